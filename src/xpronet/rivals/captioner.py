"""The LSTM captioners: one skeleton around the cells of Show and Tell, adaptive attention, ATT2IN and TopDown.

Equations as in the public implementation of the four (ImageCaptioning.pytorch); `public_names` loads its weights.

Shape legend: B studies, N beams of each, T words, S regions of all views, E word width, H state width, K findings.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from xpronet.encoders.image_encoder import ImageEncoder
from xpronet.errors import InputError
from xpronet.model.report_model import FindingsHead, NextWord, Outputs, Patches, ReportModel, WordReading
from xpronet.model.settings import ModelSettings
from xpronet.precision import full_precision
from xpronet.rivals.cells import AdaptiveCell, Cell, CellStep, EncodedRegions, InputCell, PlainCell, State, TopDownCell
from xpronet.settings_tables import read_table

SHOW_AND_TELL, ADAPTIVE, ATT2IN, TOP_DOWN = "st", "adaatt", "att2in", "topdown"


@dataclass(frozen=True, kw_only=True)
class CaptionerSettings:
    """The `[model.options]` of a captioner; the width of its state is `model.width`."""

    maxout: bool = False
    """Take the larger of two candidates, not the tanh of one: of st, which makes it SCST's "FC", and of adaatt; att2in
    always does."""
    raw_regions: bool = False
    """Attend to the image encoder's own regions and leave words without a ReLU, as att2in's paper did; else regions are
    embedded first, as those who train it since then do. Of att2in only."""
    word_width: int = 0
    """Width of the word embedding; 0 is the state's."""
    attention_width: int = 0
    """Width of the attention's keys; 0 is the state's."""
    dropout: float = 0.5
    """Of embedded words, embedded images and the state that words are predicted from."""

    def __post_init__(self) -> None:
        for name in ("word_width", "attention_width"):
            if getattr(self, name) < 0:
                raise InputError(f"model.options.{name} = {getattr(self, name)}: must not be negative")
        if not 0 <= self.dropout < 1:
            raise InputError(f"model.options.dropout = {self.dropout}: must be at least 0 and below 1")


class Captioner(ReportModel):
    """A recurrent network that writes a report word by word, with or without attention on the regions."""

    def __init__(
        self, *, backbone: ImageEncoder, settings: ModelSettings, num_words: int, padding: int, num_findings: int
    ) -> None:
        """Compose the network that `settings.name` names.

        Args:
            backbone: from images to patch features; a module.
            settings: the name, the state's width, the findings head, and the captioner's own options.
            num_words: size of the vocabulary, special words included.
            padding: id that fills the end of a report.
            num_findings: K.

        Raises:
            InputError: an option is unknown, of another type, or none of this captioner's.
        """
        super().__init__(
            backbone=backbone, settings=settings, num_words=num_words, padding=padding, num_findings=num_findings
        )
        options = read_table(CaptionerSettings, settings.options, prefix="model.options.")
        kind, channels, state = settings.name, backbone.width_out, settings.width
        words, keys = options.word_width or state, options.attention_width or state
        _check(kind, options, words=words, state=state)
        self.word_embedding = nn.Embedding(num_words, words)
        rectified = kind != SHOW_AND_TELL and not options.raw_regions
        self.word_activation = nn.Sequential(nn.ReLU(), nn.Dropout(options.dropout)) if rectified else nn.Identity()
        self.pooled_embedding: nn.Module | None = None
        if kind == SHOW_AND_TELL:
            self.pooled_embedding = nn.Linear(channels, words)
        elif kind in (ADAPTIVE, TOP_DOWN):
            self.pooled_embedding = _embedding(channels, state, options.dropout)
        self.region_embedding: nn.Module | None = None
        if kind != SHOW_AND_TELL and not options.raw_regions:
            self.region_embedding = _embedding(channels, state, options.dropout)
        regions = channels if options.raw_regions else state
        self.cell = _make_cell(kind, options, words=words, state=state, regions=regions, keys=keys)
        self.word_output = nn.Linear(state, num_words)
        if settings.findings_head:
            self.findings_head = FindingsHead(channels=channels, num_findings=num_findings, pool=settings.findings_pool)
        if kind == SHOW_AND_TELL:
            nn.init.uniform_(self.word_embedding.weight, -0.1, 0.1)
            nn.init.uniform_(self.word_output.weight, -0.1, 0.1)
            nn.init.zeros_(self.word_output.bias)

    def read(self, patches: Patches, words: Int[Tensor, "B T"], findings: Bool[Tensor, "B K"]) -> Outputs:
        """Predict each next word of given reports; the findings are for models that use them."""
        steps = list(self.each_step(self.encode(patches, findings), words))
        return Outputs(
            logits=self.word_output(torch.cat([step.output for step in steps], dim=1)),
            image_responses=None,
            text_responses=None,
            region_mask=patches.mask,
            finding_logits=self.findings_head(patches) if self.findings_head is not None else None,
        )

    def encode(self, patches: Patches, findings: Bool[Tensor, "B K"], bank: None = None) -> EncodedRegions:
        """Pool and embed the regions and project their keys, once for all words and beams."""
        features, mask = patches
        pooled = None
        if self.pooled_embedding is not None:
            weights = mask.unsqueeze(-1)
            pooled = self.pooled_embedding((features * weights).sum(1) / weights.sum(1))
        regions = self.region_embedding(features) if self.region_embedding is not None else features
        return EncodedRegions(
            regions=regions,
            keys=self.cell.region_keys(regions),
            mask=mask,
            pooled=pooled,
            image_gates=self.cell.image_inputs(pooled) if pooled is not None else None,
        )

    def start_decoding(self, encoded: EncodedRegions, *, num_beams: int, max_words: int) -> NextWord:
        """Return the state in which every beam of every study has written nothing."""
        return RecurrentDecoding(self, encoded, num_beams=num_beams)

    def reread(self, encoded: EncodedRegions, words: Int[Tensor, "B length"]) -> WordReading:
        """Read generated reports once more, and note where each word looked.

        A captioner without attention has seen the mean of all regions: each region has the same share of it.
        """
        steps = list(self.each_step(encoded, words[:, :-1]))
        outputs = torch.cat([step.output for step in steps], dim=1)
        log_probabilities = full_precision(self.word_output(outputs)).log_softmax(-1)
        attention = encoded.mask.unsqueeze(1) * torch.ones_like(words[:, 1:, None], dtype=torch.float32)
        language = None
        if steps[0].attention is not None:
            attention = torch.cat([step.attention for step in steps if step.attention is not None], dim=1).float()
        if steps[0].language is not None:
            language = torch.cat([step.language for step in steps if step.language is not None], dim=1).float()
        # What is left to the regions may be so little that it rounds to nothing.
        attention = attention / attention.sum(-1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny)
        return WordReading(log_probabilities.gather(-1, words[:, 1:, None]).squeeze(-1), attention, None, language)

    def each_step(self, encoded: EncodedRegions, words: Int[Tensor, "B T"]) -> Iterator[CellStep]:
        """Yield the steps of reading given words."""
        inputs = self.word_inputs(words)
        state = self.cell.begin(encoded, self.settings.width)
        for place in range(words.shape[1]):
            step: CellStep = self.cell(inputs[:, place : place + 1], encoded, state)
            state = step.state
            yield step

    def word_inputs(self, words: Int[Tensor, "B T"]) -> Float[Tensor, "B T G"]:
        """Return what words add to the gates of the cell."""
        return self.cell.word_inputs(self.word_activation(self.word_embedding(words)))


class RecurrentDecoding:
    """The states of several beams for each of several studies; regions, keys and image gates exist once a study."""

    def __init__(self, model: Captioner, encoded: EncodedRegions, *, num_beams: int) -> None:
        """Give every beam the state before the first word."""
        self._model = model
        self._encoded = encoded
        self._state: State = tuple(
            part.expand(-1, num_beams, -1) for part in model.cell.begin(encoded, model.settings.width)
        )

    def step(
        self, words: Int[Tensor, "B N"], origin: Int[Tensor, "B N"] | None = None
    ) -> Float[Tensor, "B N vocabulary"]:
        """Take the newest word of every beam and return the log-probabilities of the next.

        Args:
            words: ids.
            origin: the beam of the same study that each beam continues; None where each continues itself.
        """
        if origin is not None:
            index = origin.unsqueeze(-1)
            self._state = tuple(part.gather(1, index.expand(-1, -1, part.shape[-1])) for part in self._state)
        step: CellStep = self._model.cell(self._model.word_inputs(words), self._encoded, self._state)
        self._state = step.state
        return full_precision(self._model.word_output(step.output)).log_softmax(-1)

    def keep(self, studies: Int[Tensor, "kept"]) -> None:
        """Continue with these studies only."""
        self._encoded = self._encoded.keep(studies)
        self._state = tuple(part[studies] for part in self._state)


def _embedding(width_in: int, width_out: int, dropout: float) -> nn.Module:
    return nn.Sequential(nn.Linear(width_in, width_out), nn.ReLU(), nn.Dropout(dropout))


def _make_cell(kind: str, options: CaptionerSettings, *, words: int, state: int, regions: int, keys: int) -> Cell:
    dropout = options.dropout
    if kind == SHOW_AND_TELL:
        return PlainCell(words=words, state=state, maxout=options.maxout, dropout=dropout)
    if kind == ADAPTIVE:
        return AdaptiveCell(words=words, state=state, attention=keys, maxout=options.maxout, dropout=dropout)
    made = InputCell if kind == ATT2IN else TopDownCell
    return made(words=words, state=state, regions=regions, attention=keys, dropout=dropout)


def _check(kind: str, options: CaptionerSettings, *, words: int, state: int) -> None:
    """Refuse options that a captioner does not have."""
    if options.maxout and kind not in (SHOW_AND_TELL, ADAPTIVE):
        always = "always has a maxout cell" if kind == ATT2IN else "has no maxout cell"
        raise InputError(f"model.options.maxout = true: {kind} {always}; remove it, or choose st or adaatt")
    if options.raw_regions and kind != ATT2IN:
        raise InputError(f"model.options.raw_regions = true: {kind} embeds its regions; remove it, or choose att2in")
    if kind == ADAPTIVE and words != state:
        raise InputError(
            f"model.options.word_width = {words}: of adaatt it must be model.width = {state}, because the sentinel is "
            "a row among the regions"
        )
