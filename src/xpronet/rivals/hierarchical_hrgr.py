"""HRGR: for each sentence, retrieve a template or write it word by word (Li 2018).

The templates are derived (`templates.py`), the original's were made by hand; there is no reinforcement stage and none
of its post-processing, which adds normal sentences.

Shape legend: B studies, N beams, S regions of all views, W width.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from xpronet.model.report_model import DerivedData, Patches, TrainStudies
from xpronet.model.settings import ModelSettings
from xpronet.precision import full_precision
from xpronet.rivals.flat import FlatModel, State, either, zeros
from xpronet.rivals.layers import AdditiveAttention, LSTMCell
from xpronet.rivals.sentences import derive_sentences
from xpronet.rivals.templates import SHARE, TemplateChoice, check_share, derive_templates
from xpronet.settings_tables import read_table


@dataclass(frozen=True, kw_only=True)
class HRGRSettings:
    """The `[model.options]` of hrgr; all its states are `model.width` wide."""

    template_share: float = SHARE
    """Of the train reports that must have a template's meaning."""

    def __post_init__(self) -> None:
        check_share(self.template_share)


class RegionStudies(NamedTuple):
    """What the words of each study depend on."""

    regions: Float[Tensor, "B S W"]
    sentence_keys: Float[Tensor, "B S W"]
    word_keys: Float[Tensor, "B S W"]
    mask: Bool[Tensor, "B S"]


class HRGR(FlatModel):
    """A sentence LSTM over regions, with a stop, a retrieval policy and a topic; a word LSTM with its own attention."""

    sees_phrases = True

    @staticmethod
    def derive(studies: TrainStudies, settings: ModelSettings) -> DerivedData:
        """Return the templates, which are words of the vocabulary.

        Raises:
            InputError: no sentence is in so many reports, or no report has two sentences.
        """
        options = read_table(HRGRSettings, settings.options, prefix="model.options.")
        templates = derive_templates(studies, share=options.template_share, name=settings.name)
        return derive_sentences(
            studies,
            name=settings.name,
            phrases=templates.phrases(),
            choose=TemplateChoice(templates.templates),
            record={"templates": templates.record()},
            summary=templates.summary(len(studies.reports)),
        )

    def compose(self, derived: Mapping[str, Any]) -> None:
        """Make the layers."""
        read_table(HRGRSettings, self.settings.options, prefix="model.options.")
        width = self.settings.width
        self.embed_regions = nn.Linear(self.backbone.width_out, width)
        self.region_dropout = nn.Dropout(self.settings.patch_dropout)
        self.sentence_attention = AdditiveAttention(sources=width, state=width, width=width)
        self.sentence = LSTMCell(width, width)
        self.topic = nn.Linear(width, width)
        self.stop = nn.Linear(width, 1)
        self.policy = nn.Linear(width, 1 + self.num_phrases)
        self.word_attention = AdditiveAttention(sources=width, state=width, width=width)
        self.word = LSTMCell(3 * width, width)
        self.word_output = nn.Linear(width, self.num_words)

    def encode(self, patches: Patches, findings: Bool[Tensor, "B K"], bank: Any = None) -> RegionStudies:
        """Project the regions for both levels; the given findings have no part in it."""
        regions = self.region_dropout(self.embed_regions(patches.features).relu())
        return RegionStudies(
            regions, self.sentence_attention.key(regions), self.word_attention.key(regions), patches.mask
        )

    def begin(self, encoded: RegionStudies, num_beams: int) -> State:
        """Return zero states."""
        blank = zeros(encoded.regions, num_beams, self.settings.width)
        return {
            **dict.fromkeys(("sentence", "sentence_cell", "topic", "features", "word_cell"), blank),
            "actions": zeros(encoded.regions, num_beams, 2 + self.num_phrases),
            **dict.fromkeys(
                ("attention", "phrase_attention"), zeros(encoded.regions, num_beams, encoded.mask.shape[1])
            ),
        }

    def advance(
        self,
        encoded: RegionStudies,
        state: State,
        words: Int[Tensor, "B N"],
        opens: Bool[Tensor, "B N"],
        silent: Bool[Tensor, "B N"],
    ) -> State:
        """Begin a sentence at a boundary; read the word, of which a sentence behind a template sees the full stop."""
        names = ("sentence", "sentence_cell", "topic", "features", "word_cell", "actions", "phrase_attention")
        begun = {name: state[name] for name in names}
        if opens.any():
            begun = either(opens, self._begin_sentence(encoded, state), begun)
        # The first sentence begins from BOS, the others from the full stop before them: a template ends with one.
        read = torch.where(opens & (words >= self.first_phrase), self.full_stop, words)
        seen = self.word_attention(begun["features"], encoded.regions, encoded.word_keys, encoded.mask)
        inputs = torch.cat([self.word_embedding(read), begun["topic"], seen.context], dim=-1)
        features, cell = self.word(inputs, begun["features"], begun["word_cell"])
        return {**begun, "features": features, "word_cell": cell, "attention": seen.weights}

    def _begin_sentence(self, encoded: RegionStudies, state: State) -> State:
        seen = self.sentence_attention(state["sentence"], encoded.regions, encoded.sentence_keys, encoded.mask)
        now, cell = self.sentence(seen.context, state["sentence"], state["sentence_cell"])
        topic = self.topic(now).sigmoid()
        stop = full_precision(self.stop(now))
        policy = full_precision(self.policy(topic)).log_softmax(-1)
        go_on = functional.logsigmoid(-stop)
        blank = torch.zeros_like(now)
        return {
            "sentence": now,
            "sentence_cell": cell,
            "topic": topic,
            "features": blank,
            "word_cell": blank,
            "actions": torch.cat([functional.logsigmoid(stop), go_on + policy], dim=-1),
            "phrase_attention": seen.weights,
        }

    def word_logits(self, state: State) -> Float[Tensor, "B N words"]:
        """Return the logits of the next word."""
        return self.word_output(self.output_dropout(state["features"]))
