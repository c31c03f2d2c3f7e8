"""The report models that XProNet is compared with: each rebuilt from its equations, as report models of ours.

1. A rival is a `ReportModel` like any other: one search, one length limit, one scorecard. None is told the findings.
2. Each reads model.options into settings of its own; `layers.py` has the LSTM cell and the additive attention of the
   recurrent ones.
3. Hierarchical and retrieving models are flat next-word models (`flat.py`): at a boundary they end, write, or take a
   phrase. Templates are words that stand for a whole sentence, choices that are written as nothing are silent words;
   both are phrases of the vocabulary, and a search counts the words that a phrase is written with.
4. One method reads a word, `advance`. Teacher forcing and search both call it, so they cannot differ.
5. What a model needs of a corpus it derives from the train split before training (`derive`): sentences
   (`sentences.py`), templates (`templates.py`), a graph of findings (`graph_findings.py`). The run folder and every
   checkpoint keep the record, derived.json; it holds counts, and sentences that a share of all train reports has.
6. `captioner` has the four LSTM captioners, one skeleton around the cells of `cells.py`; `public_names` loads the
   public implementation's weights into them.
7. `hierarchical_coat`, `hierarchical_hrgr`, `hierarchical_cmas`, `graph_sentsat`, `graph_kerp` and `ratchet` have a
   model each; `catalogue` and recipes/rivals/ say how close each is to its original.
"""
