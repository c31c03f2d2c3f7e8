"""`xpronet label`: the fourteen findings of every study of a corpus, or how far a labeler agrees with a table."""

from pathlib import Path
from typing import Literal

from rich.console import Console

from xpronet.labels.conventions import ConventionName
from xpronet.labels.findings import Uncertain


def label(
    corpus: Path,
    *,
    labeler: str = "rules",
    weights: str | None = None,
    bert: str | None = None,
    precision: Literal["fp32", "bf16"] = "fp32",
    convention: ConventionName | None = None,
    section: tuple[str, ...] = ("report",),
    against: Path | None = None,
    schema: str | None = None,
    split: str | None = None,
    uncertain: Uncertain = "positive",
    explain: str | None = None,
    table: str = "labels.csv",
    json: Path | None = None,
    overwrite: bool = False,
) -> None:
    """Label a corpus: write CORPUS/labels.csv, or with --against compare with a table and write no labels.

    For example:

        xpronet label corpus
        xpronet label corpus --against labels.csv --split test

    Args:
        corpus: a corpus folder.
        labeler: rules (built in), chexbert (needs --weights), or python:package.module:object of an installed package.
        weights: CheXbert's .pth, .pt or .safetensors file, or "hub:owner/name/FILE".
        bert: a folder with BERT's config.json and words, or "hub:owner/name"; by default the folder of the weights.
        precision: arithmetic of CheXbert.
        convention: whose labels the rules follow where authors differ: chexpert (the default), negbio or radiologist.
        section: which text to read: "report", the name of a section such as "impression", or several joined, as
            "findings+impression". Given several times, the first that a study has.
        against: a table of labels to compare with: CSV with named columns, or a pickle with --schema.
        schema: the order of a pickle's values: published-iu-xray, published-mimic-cxr, chexbert, ...
        split: compare the studies of this split only.
        uncertain: what uncertain labels become before they are compared.
        explain: a study's id; print its labels with the sentences and words that led to them, and write nothing.
        table: name of the table in the corpus folder; a recipe names another than labels.csv as its `labels`.
        json: write the comparison to this file too, with the first ids of each kind of disagreement.
        overwrite: replace the table, or the file of --json.
    """
    from xpronet.commands import label_output
    from xpronet.data.corpus import open_corpus
    from xpronet.errors import InputError
    from xpronet.files import confined, write_json
    from xpronet.labels.label_tables import read_labels
    from xpronet.labels.labelers import explained, make_labeler, unread, write_corpus_labels
    from xpronet.labels.labelled_text import labelled_texts
    from xpronet.progress import on_console

    if split is not None and against is None:
        raise InputError(f"--split {split} is for --against; labels are written for all splits")
    if json is not None and against is None:
        raise InputError("--json is for --against; labels are written to CORPUS/labels.csv")
    console = Console(highlight=False, markup=False)
    read = open_corpus(corpus)
    if explain is not None:
        label_output.print_explanation(
            console, explain, *explained(read, explain, labeler, section, convention or "chexpert")
        )
        return
    chosen = make_labeler(labeler, weights=weights, bert=bert, precision=precision, convention=convention)
    studies = read.studies if split is None else read.split(split)
    texts = list(labelled_texts(studies, section))
    if against is None:
        path = confined(corpus, table)
        counts = write_corpus_labels(chosen, texts, path, overwrite=overwrite, track=on_console)
        label_output.print_counts(console, path, counts, chosen.name)
        label_output.print_unread(console, unread(chosen, texts))
        return
    truth = read_labels(against, [study.id for study in studies], schema)
    predicted = dict(chosen.label_many(on_console(texts, "Label", len(texts))))
    comparison = label_output.compare(truth, predicted, uncertain)
    source = {"labeler": chosen.name, "against": against.name, "split": split or "all", "sections": list(section)}
    if json is not None:
        write_json(json, source | comparison.record(), overwrite=overwrite)
    label_output.print_comparison(console, comparison, source)
    label_output.print_unread(console, unread(chosen, texts))
