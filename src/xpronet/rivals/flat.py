"""Hierarchical and retrieving report models as flat next-word models: one search, one limit, exact likelihoods.

At a boundary (`sentences.py`) a model chooses an action: end the report, write the next sentence word by word, or take
a phrase: a template, written as a whole, or a mark that is written as nothing. With p the probability of an action,

    P(end) = p(end),   P(word) = p(write) · P(word | topic),   P(phrase k) = p(k),

and inside a sentence P(word) = P(word | topic, words), P(end) = 0. These sum to 1, and -log P of a report is the sum of
the hierarchical losses for stopping, actions and words with weights of 1.

Shape legend: B studies, N beams, T words, S regions of all views, P phrases.
"""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from xpronet.encoders.image_encoder import ImageEncoder
from xpronet.model.report_model import FindingsHead, NextWord, Outputs, Patches, ReportModel, WordReading
from xpronet.model.settings import ModelSettings
from xpronet.precision import full_precision

NEVER = -1e4
"""Log-probability of what cannot come next: e to it is 0, and unlike -inf it stays a number when it is masked."""

State = dict[str, Tensor]
"""State of each beam of each study, every tensor (B, N, ...); or, under the same names, of each word (B, T, ...)."""


class FlatModel(ReportModel):
    """A report model of sentences, as a distribution over the next word.

    A subclass implements `compose`, `encode`, `begin`, `advance` and `word_logits`. In the state that `advance` returns
    are, beside whatever is its own, `features`, which `word_logits` reads, `actions`, which count at a boundary, and
    `attention` (B, N, S), which the next word is drawn from.
    """

    predicts_from: tuple[str, ...] = ("features", "actions")
    """What `word_logits` and `actions` read of the state, and `extra_losses` of the trace."""
    sees_phrases: bool = False
    """Whether the state has `phrase_attention` (B, N, S), which a phrase in place of the next word is drawn from."""

    def __init__(
        self,
        *,
        backbone: ImageEncoder,
        settings: ModelSettings,
        num_words: int,
        padding: int,
        num_findings: int,
        derived: Mapping[str, Any],
    ) -> None:
        """Keep what is common; see `ReportModel`.

        Args:
            backbone: the image encoder.
            settings: of everything behind it.
            num_words: size of the vocabulary, phrases included.
            padding: id that fills the end of a report.
            num_findings: K.
            derived: the record that `derive_sentences` made.
        """
        super().__init__(
            backbone=backbone, settings=settings, num_words=num_words, padding=padding, num_findings=num_findings
        )
        self.num_findings = num_findings
        marks = derived["sentences"]
        self.bos, self.eos, self.full_stop = int(marks["bos"]), int(marks["eos"]), int(marks["full_stop"])
        self.most_sentences, self.most_words = int(marks["most_sentences"]), int(marks["most_words"])
        self.num_phrases = len(marks["phrases"])
        self.first_phrase = num_words - self.num_phrases
        ordinary = torch.ones(num_words, dtype=torch.bool)
        ordinary[[padding, self.bos, self.eos]] = False
        ordinary[self.first_phrase :] = False
        closes, silent, ends = torch.zeros(3, num_words, dtype=torch.bool)
        closes[self.full_stop] = True
        ends[self.eos] = True
        for number, (_, text) in enumerate(marks["phrases"], self.first_phrase):
            (closes if text else silent)[number] = True
        only_full_stop = torch.full((num_words,), NEVER)
        only_full_stop[self.full_stop] = 0.0
        for name, value in (
            ("ordinary", ordinary),
            ("closes", closes),
            ("silent", silent),
            ("ends", ends),
            ("only_full_stop", only_full_stop),
        ):
            self.register_buffer(name, value, persistent=False)
        self.ordinary: Tensor
        self.closes: Tensor
        self.silent: Tensor
        self.ends: Tensor
        self.only_full_stop: Tensor
        if settings.findings_head:
            self.findings_head = FindingsHead(
                channels=backbone.width_out, num_findings=num_findings, pool=settings.findings_pool
            )
        self.word_embedding = nn.Embedding(num_words, self.embedding_width(settings))
        self.output_dropout = nn.Dropout(settings.dropout)
        self.compose(derived)

    @abstractmethod
    def compose(self, derived: Mapping[str, Any]) -> None:
        """Make the layers that are the model's own.

        Args:
            derived: the record that the model's `derive` made.
        """

    @staticmethod
    def embedding_width(settings: ModelSettings) -> int:
        """Return the width of a word's embedding."""
        return settings.width

    @abstractmethod
    def begin(self, encoded: Any, num_beams: int) -> State:
        """Return the state of beams that have read nothing."""

    @abstractmethod
    def advance(
        self,
        encoded: Any,
        state: State,
        words: Int[Tensor, "B N"],
        opens: Bool[Tensor, "B N"],
        silent: Bool[Tensor, "B N"],
    ) -> State:
        """Read the newest word of each beam.

        Args:
            encoded: the studies.
            state: before it.
            words: ids.
            opens: whether a boundary follows the word.
            silent: whether the word is a phrase that is written as nothing: the words of a sentence follow.
        """

    @abstractmethod
    def word_logits(self, state: State) -> Float[Tensor, "B N words"]:
        """Return the logits of the next word; those of anything but ordinary words are ignored."""

    def actions(self, state: State, logits: Float[Tensor, "B N words"]) -> Float[Tensor, "B N actions"]:
        """Return the log-probabilities of ending the report, of writing, and of each phrase; they sum to 1.

        Args:
            state: with `actions`, unless a model has another way.
            logits: of the next word.
        """
        return full_precision(state["actions"])

    def extra_losses(
        self, encoded: Any, trace: State, words: Int[Tensor, "B T"], findings: Bool[Tensor, "B K"]
    ) -> dict[str, Tensor]:
        """Return what a model adds to the loss.

        Args:
            encoded: the studies.
            trace: the states behind each word.
            words: ids from BOS on.
            findings: the studies' labels.
        """
        return {}

    def next_state(self, encoded: Any, state: State, words: Int[Tensor, "B N"], *, first: bool) -> State:
        """Read the newest word of each beam and keep count; `first` says that it is BOS."""
        closed = self.closes[words]
        silent = self.silent[words] & (not first)
        opens = torch.ones_like(closed) if first else closed
        sentences = torch.zeros_like(words) if first else state["sentences"] + closed
        length = torch.zeros_like(words) if first else torch.where(opens | silent, 0, state["length"] + 1)
        after = self.advance(encoded, state, words, opens, silent)
        return {**after, "opens": opens, "sentences": sentences, "length": length}

    def log_probabilities(self, state: State) -> Float[Tensor, "B N words"]:
        """Return the log-probability of each next word."""
        logits = full_precision(self.word_logits(state))
        words = logits.masked_fill(~self.ordinary, -torch.inf).log_softmax(-1).masked_fill(~self.ordinary, NEVER)
        words = torch.where((state["length"] >= self.most_words).unsqueeze(-1), self.only_full_stop, words)
        actions = self.actions(state, logits)
        must_end = torch.full_like(actions, NEVER)
        must_end[..., 0] = 0.0
        actions = torch.where((state["sentences"] >= self.most_sentences).unsqueeze(-1), must_end, actions)
        boundary = (words + actions[..., 1:2]).clamp(min=NEVER)
        boundary = torch.where(self.ends, actions[..., :1], boundary)
        if self.num_phrases:
            boundary = torch.cat([boundary[..., : self.first_phrase], actions[..., 2:]], dim=-1)
        return torch.where(state["opens"].unsqueeze(-1), boundary, words)

    def trace(self, encoded: Any, words: Int[Tensor, "B T"]) -> State:
        """Return the states behind each word of given reports, from BOS on."""
        names = [*self.predicts_from, "attention", "opens", "sentences", "length"]
        names += ["phrase_attention"] if self.sees_phrases else []
        state = self.begin(encoded, 1)
        states = []
        for place in range(words.shape[1]):
            state = self.next_state(encoded, state, words[:, place : place + 1], first=place == 0)
            states.append(state)
        return {name: torch.cat([state[name] for state in states], dim=1) for name in names}

    def read(self, patches: Patches, words: Int[Tensor, "B T"], findings: Bool[Tensor, "B K"]) -> Outputs:
        """Predict each next word of given reports."""
        encoded = self.encode(patches, findings)
        trace = self.trace(encoded, words)
        return Outputs(
            logits=self.log_probabilities(trace),
            image_responses=None,
            text_responses=None,
            region_mask=patches.mask,
            finding_logits=self.findings_head(patches) if self.findings_head is not None else None,
            extra_losses=self.extra_losses(encoded, trace, words, findings),
        )

    def reread(self, encoded: Any, words: Int[Tensor, "B length"]) -> WordReading:
        """Return the probability of each word, and the attention that it was predicted with."""
        trace = self.trace(encoded, words[:, :-1])
        chosen = self.log_probabilities(trace).gather(-1, words[:, 1:, None]).squeeze(-1)
        attention = trace["attention"]
        if self.sees_phrases:
            phrases = (words[:, 1:] >= self.first_phrase).unsqueeze(-1)
            attention = torch.where(phrases, trace["phrase_attention"], attention)
        return WordReading(chosen, attention.float(), None)

    def start_decoding(self, encoded: Any, *, num_beams: int, max_words: int) -> NextWord:
        """Return the state in which every beam of every study has written nothing."""
        return FlatDecoding(self, encoded, num_beams=num_beams)

    def select(self, encoded: Any, studies: Int[Tensor, "kept"]) -> Any:
        """Return some of the encoded studies."""
        return type(encoded)(*(value[studies] for value in encoded))


class FlatDecoding:
    """The beams of all studies; regions and their projections exist once for each study."""

    def __init__(self, model: FlatModel, encoded: Any, *, num_beams: int) -> None:
        """Begin all beams."""
        self._model = model
        self._encoded = encoded
        self._state = model.begin(encoded, num_beams)
        self._first = True

    def step(
        self, words: Int[Tensor, "B N"], origin: Int[Tensor, "B N"] | None = None
    ) -> Float[Tensor, "B N vocabulary"]:
        """Take each beam's newest word and the beam it continues; return log-probabilities of the next word."""
        if origin is not None:
            rows = torch.arange(len(origin), device=origin.device).unsqueeze(1)
            self._state = {name: value[rows, origin] for name, value in self._state.items()}
        self._state = self._model.next_state(self._encoded, self._state, words, first=self._first)
        self._first = False
        return self._model.log_probabilities(self._state)

    def keep(self, studies: Int[Tensor, "kept"]) -> None:
        """Continue with these studies only."""
        self._encoded = self._model.select(self._encoded, studies)
        self._state = {name: value[studies] for name, value in self._state.items()}


def either(where: Bool[Tensor, "B N"], first: State, second: State) -> State:
    """Return the first state where a beam is marked, else the second; both have the same names."""
    return {
        name: torch.where(where.view(*where.shape, *(1,) * (value.dim() - 2)), value, second[name])
        for name, value in first.items()
    }


def zeros(like: Tensor, num_beams: int, *widths: int) -> Tensor:
    """Return zeros (B, N, ...) for the studies of a tensor (B, ...), in full precision."""
    return like.new_zeros((len(like), num_beams, *widths), dtype=torch.promote_types(like.dtype, torch.float32))


def begun_sentences(trace: State, words: Int[Tensor, "B T"], eos: int, padding: int) -> Bool[Tensor, "B T"]:
    """Return at which words of given reports a sentence begins: at a boundary behind which the report goes on."""
    begun = trace["opens"].clone()
    begun[:, :-1] &= (words[:, 1:] != eos) & (words[:, 1:] != padding)
    # Behind the last word that is read, the longest report ends.
    begun[:, -1] = False
    return begun
