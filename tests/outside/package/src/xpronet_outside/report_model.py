"""A report model: a GRU that reads the mean of all regions first, then the words, with attention over regions on top.

Shape legend: B studies, S regions of a study, T words, K findings, N beams, W width of the network.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from xpronet.encoders.image_encoder import ImageEncoder
from xpronet.errors import InputError
from xpronet.model.report_model import FindingsHead, Outputs, Patches, ReportModel, WordReading
from xpronet.model.settings import ModelSettings

ATTENTION = ("uniform", "additive")


class EncodedStudies(NamedTuple):
    """What the words of each study depend on."""

    regions: Tensor
    """(B, S, W)"""
    mask: Tensor
    """(B, S), true on regions of real views."""
    first: Tensor
    """(B, W), the mean of the regions: the first input of the GRU."""


class GruReportModel(ReportModel):
    """Predicts each word from the state of a GRU and the regions that it attends to.

    Options: `attention`, "uniform" (each region weighs the same) or "additive" (learned weights); `state_penalty`, the
    weight of the mean squared GRU state in the loss.
    """

    def __init__(
        self, *, backbone: ImageEncoder, settings: ModelSettings, num_words: int, padding: int, num_findings: int
    ) -> None:
        """Compose the network; see `ReportModel`.

        Raises:
            InputError: an option is unknown or has another value.
        """
        super().__init__(
            backbone=backbone, settings=settings, num_words=num_words, padding=padding, num_findings=num_findings
        )
        options = {"attention": "uniform", "state_penalty": 0.0, **settings.options}
        attention, self.state_penalty = options.pop("attention"), options.pop("state_penalty")
        if options:
            raise InputError(f"model.options: no {', '.join(options)}; there are attention and state_penalty")
        if attention not in ATTENTION:
            raise InputError(f"model.options.attention = {attention!r}: choose {' or '.join(ATTENTION)}")
        if settings.visible != "none":
            raise InputError(f"model.visible = {settings.visible!r}: this model has no prototypes; set it to 'none'")
        width = settings.width
        self.project = nn.Linear(backbone.width_out, width)
        self.word_embedding = nn.Embedding(num_words, width)
        self.dropout = nn.Dropout(settings.dropout)
        self.gru = nn.GRU(width, width, num_layers=settings.layers, batch_first=True)
        additive = attention == "additive"
        self.query = nn.Linear(width, width) if additive else None
        self.key = nn.Linear(width, width) if additive else None
        self.energy = nn.Linear(width, 1, bias=False) if additive else None
        self.word_output = nn.Linear(2 * width, num_words)
        if settings.findings_head:
            self.findings_head = FindingsHead(
                channels=backbone.width_out, num_findings=num_findings, pool=settings.findings_pool
            )

    def read(self, patches: Patches, words: Tensor, findings: Tensor) -> Outputs:
        """Predict each next word of given reports."""
        encoded = self.encode(patches, findings)
        states, _ = self.gru(self.dropout(self.word_embedding(words)), self.start(encoded))
        logits, _ = self.predict(states, encoded)
        extra = {"state_penalty": self.state_penalty * states.square().mean()} if self.state_penalty else {}
        return Outputs(
            logits=logits,
            image_responses=None,
            text_responses=None,
            region_mask=patches.mask,
            finding_logits=self.findings_head(patches) if self.findings_head is not None else None,
            extra_losses=extra,
        )

    def encode(self, patches: Patches, findings: Tensor, bank: None = None) -> EncodedStudies:
        """Project the regions and average them; the findings have no part in it."""
        mask = patches.mask.unsqueeze(-1)
        regions = torch.tanh(self.project(patches.features)) * mask
        return EncodedStudies(regions, patches.mask, regions.sum(1) / mask.sum(1))

    def start(self, encoded: EncodedStudies) -> Tensor:
        """Return the states (layers, B, W) after the first input, the mean of the regions."""
        _, state = self.gru(encoded.first.unsqueeze(1))
        return state

    def predict(self, states: Tensor, encoded: EncodedStudies) -> tuple[Tensor, Tensor]:
        """Return logits (B, T, words) and attention (B, T, S) for GRU outputs (B, T, W)."""
        scores = states.new_zeros((*states.shape[:2], encoded.regions.shape[1]))
        if self.query is not None and self.key is not None and self.energy is not None:
            both = self.query(states).unsqueeze(2) + self.key(encoded.regions).unsqueeze(1)
            scores = self.energy(torch.tanh(both)).squeeze(-1)
        attention = scores.float().masked_fill(~encoded.mask.unsqueeze(1), -torch.inf).softmax(-1)
        seen = attention.to(encoded.regions.dtype) @ encoded.regions
        return self.word_output(self.dropout(torch.cat([states, seen], dim=-1))), attention

    def start_decoding(self, encoded: EncodedStudies, *, num_beams: int, max_words: int) -> "GruDecoding":
        """Return the state in which every beam has read the images and no word."""
        return GruDecoding(self, encoded, num_beams=num_beams)

    def reread(self, encoded: EncodedStudies, words: Tensor) -> WordReading:
        """Return the probability of each word, and the attention it was predicted with."""
        states, _ = self.gru(self.word_embedding(words[:, :-1]), self.start(encoded))
        logits, attention = self.predict(states, encoded)
        chosen = logits.float().log_softmax(-1).gather(-1, words[:, 1:, None]).squeeze(-1)
        return WordReading(chosen, attention, None)


class GruDecoding:
    """One GRU state for each beam of each study."""

    def __init__(self, model: GruReportModel, encoded: EncodedStudies, *, num_beams: int) -> None:
        """Start all beams of a study from its images."""
        self.model = model
        self.encoded = encoded
        self.state = model.start(encoded).unsqueeze(2).repeat(1, 1, num_beams, 1)  # layers, B, N, W

    def step(self, words: Tensor, origin: Tensor | None = None) -> Tensor:
        """Take the newest word of every beam (B, N) and the beam that it continues; return the next log-probabilities.

        Each word belongs to the beam in its own place; the state comes from the beam that `origin` names.
        """
        if origin is not None:
            self.state = self.state.gather(2, origin[None, :, :, None].expand_as(self.state))
        studies, beams = words.shape
        outputs, state = self.model.gru(
            self.model.word_embedding(words).flatten(0, 1).unsqueeze(1), self.state.flatten(1, 2).contiguous()
        )
        self.state = state.unflatten(1, (studies, beams))
        logits, _ = self.model.predict(outputs.squeeze(1).unflatten(0, (studies, beams)), self.encoded)
        return logits.float().log_softmax(-1)

    def keep(self, studies: Tensor) -> None:
        """Continue with these studies only."""
        self.state = self.state[:, studies]
        self.encoded = EncodedStudies(*(value[studies] for value in self.encoded))
