"""CoAT: a sentence LSTM that attends to regions and predicted tags, and a word LSTM (Jing 2018).

Shape legend: B studies, N beams, S regions of all views, F width of a region, K tags, k tags taken, W width.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from xpronet.errors import InputError
from xpronet.model.report_model import DerivedData, Patches, TrainStudies
from xpronet.model.settings import ModelSettings
from xpronet.precision import full_precision
from xpronet.rivals.flat import FlatModel, State, begun_sentences, either, zeros
from xpronet.rivals.layers import AdditiveAttention, LSTMCell
from xpronet.rivals.sentences import derive_sentences
from xpronet.settings_tables import read_table


@dataclass(frozen=True, kw_only=True)
class CoATSettings:
    """The `[model.options]` of coat; all its states are `model.width` wide."""

    tags: int = 5
    """How many of the likeliest findings are attended to."""
    tag_loss: float = 1.0
    """Weight of the loss of the tags."""
    spread_loss: float = 1.0
    """Weight of the loss that spreads the attention of all sentences over all regions and tags."""

    def __post_init__(self) -> None:
        if self.tags < 1:
            raise InputError(f"model.options.tags = {self.tags}: must be at least 1")


class CoATStudies(NamedTuple):
    """What the words of each study depend on."""

    regions: Float[Tensor, "B S F"]
    region_keys: Float[Tensor, "B S W"]
    mask: Bool[Tensor, "B S"]
    tags: Float[Tensor, "B k W"]
    tag_keys: Float[Tensor, "B k W"]
    tag_logits: Float[Tensor, "B K"]


class CoAT(FlatModel):
    """Co-attention on regions and tags, a topic for each sentence, and a word LSTM that starts from the topic."""

    predicts_from = ("features", "actions", "tag_attention")

    @staticmethod
    def derive(studies: TrainStudies, settings: ModelSettings) -> DerivedData:
        """Return the marks of sentences; the tags are the findings."""
        read_table(CoATSettings, settings.options, prefix="model.options.")
        return derive_sentences(studies, name=settings.name)

    def compose(self, derived: Mapping[str, Any]) -> None:
        """Make the layers."""
        options = read_table(CoATSettings, self.settings.options, prefix="model.options.")
        self.num_tags = min(options.tags, self.num_findings)
        self.tag_weight, self.spread_weight = options.tag_loss, options.spread_loss
        width, channels = self.settings.width, self.backbone.width_out
        self.tag_output = nn.Linear(channels, self.num_findings)
        self.tag_embedding = nn.Embedding(self.num_findings, width)
        self.region_attention = AdditiveAttention(sources=channels, state=width, width=width)
        self.tag_attention = AdditiveAttention(sources=width, state=width, width=width)
        self.join = nn.Linear(channels + width, width)
        self.sentence = LSTMCell(width, width)
        self.topic_of_state = nn.Linear(width, width, bias=False)
        self.topic_of_context = nn.Linear(width, width)
        self.stop_of_before = nn.Linear(width, width, bias=False)
        self.stop_of_state = nn.Linear(width, width)
        self.stop = nn.Linear(width, 2)
        self.word = LSTMCell(width, width)
        self.word_output = nn.Linear(width, self.num_words)

    def encode(self, patches: Patches, findings: Bool[Tensor, "B K"], bank: Any = None) -> CoATStudies:
        """Predict the tags, and project regions and the likeliest tags; the given findings have no part in it."""
        mask = patches.mask.unsqueeze(-1)
        tag_logits = full_precision(self.tag_output((patches.features * mask).sum(1) / mask.sum(1)))
        # No gradient passes the choice.
        tags = self.tag_embedding(tag_logits.topk(self.num_tags, dim=-1).indices)
        return CoATStudies(
            patches.features,
            self.region_attention.key(patches.features),
            patches.mask,
            tags,
            self.tag_attention.key(tags),
            tag_logits,
        )

    def begin(self, encoded: CoATStudies, num_beams: int) -> State:
        """Return zero states."""
        blank = zeros(encoded.tags, num_beams, self.settings.width)
        return {
            **dict.fromkeys(("sentence", "sentence_cell", "features", "word_cell"), blank),
            "actions": zeros(encoded.tags, num_beams, 2),
            "attention": zeros(encoded.tags, num_beams, encoded.mask.shape[1]),
            "tag_attention": zeros(encoded.tags, num_beams, self.num_tags),
        }

    def advance(
        self,
        encoded: CoATStudies,
        state: State,
        words: Int[Tensor, "B N"],
        opens: Bool[Tensor, "B N"],
        silent: Bool[Tensor, "B N"],
    ) -> State:
        """Begin a sentence at a boundary, else read the word."""
        features, cell = self.word(self.word_embedding(words), state["features"], state["word_cell"])
        inside = {**self._own(state), "features": features, "word_cell": cell}
        return either(opens, self._begin_sentence(encoded, state, words), inside) if opens.any() else inside

    def _own(self, state: State) -> State:
        names = ("sentence", "sentence_cell", "features", "word_cell", "actions", "attention", "tag_attention")
        return {name: state[name] for name in names}

    def _begin_sentence(self, encoded: CoATStudies, state: State, words: Int[Tensor, "B N"]) -> State:
        before = state["sentence"]
        seen = self.region_attention(before, encoded.regions, encoded.region_keys, encoded.mask)
        tags = self.tag_attention(before, encoded.tags, encoded.tag_keys)
        context = self.join(torch.cat([seen.context, tags.context], dim=-1))
        now, cell = self.sentence(context, before, state["sentence_cell"])
        topic = torch.tanh(self.topic_of_state(now) + self.topic_of_context(context))
        stop = self.stop(torch.tanh(self.stop_of_before(before) + self.stop_of_state(now)))
        blank = torch.zeros_like(now)
        features, word_cell = self.word(topic, blank, blank)
        first = self.word_embedding(torch.full_like(words, self.bos))
        features, word_cell = self.word(first, features, word_cell)
        return {
            "sentence": now,
            "sentence_cell": cell,
            "features": features,
            "word_cell": word_cell,
            "actions": full_precision(stop).log_softmax(-1),
            "attention": seen.weights,
            "tag_attention": tags.weights,
        }

    def word_logits(self, state: State) -> Float[Tensor, "B N words"]:
        """Return the logits of the next word."""
        return self.word_output(self.output_dropout(state["features"]))

    def extra_losses(
        self, encoded: CoATStudies, trace: State, words: Int[Tensor, "B T"], findings: Bool[Tensor, "B K"]
    ) -> dict[str, Tensor]:
        """Return the loss of the tags, and (1 - Σ_s α_sr)², averaged over regions and over tags."""
        truth = findings.to(encoded.tag_logits.dtype)
        begun = begun_sentences(trace, words, self.eos, self.padding).unsqueeze(-1)
        spread = torch.zeros((), device=words.device)
        for name, mask in (
            ("attention", encoded.mask),
            ("tag_attention", torch.ones_like(trace["tag_attention"][:, 0])),
        ):
            missing = (1 - (trace[name] * begun).sum(1)).square() * mask
            spread = spread + (missing.sum(-1) / mask.sum(-1)).mean()
        return {
            "tags": self.tag_weight * functional.binary_cross_entropy_with_logits(encoded.tag_logits, truth),
            "spread": self.spread_weight * spread,
        }
