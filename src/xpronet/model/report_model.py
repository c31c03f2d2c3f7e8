"""What every network that writes reports has in common, ours or another package's: it can be trained, searched, stored.

Shape legend: B studies, V views, R regions of a view, S = V·R regions of a study, T words, K findings, N beams.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor, nn

from xpronet.encoders.image_encoder import ImageEncoder
from xpronet.errors import InputError
from xpronet.model.settings import ModelSettings
from xpronet.precision import full_precision
from xpronet.text.vocabulary import Vocabulary


class Patches(NamedTuple):
    """Backbone features of each study."""

    features: Float[Tensor, "B S channels"]
    mask: Bool[Tensor, "B S"]
    """True on the regions of real views."""


class Outputs(NamedTuple):
    """What the losses need from one forward pass with teacher forcing."""

    logits: Float[Tensor, "B T words"]
    image_responses: Float[Tensor, "B S width"] | None
    text_responses: Float[Tensor, "B T width"] | None
    region_mask: Bool[Tensor, "B S"]
    finding_logits: Float[Tensor, "B K"] | None
    view_finding_logits: Float[Tensor, "B V K"] | None = None
    """Of each view by itself, in training only; of absent views anything finite."""
    view_mask: Bool[Tensor, "B V"] | None = None
    """True on the real views of `view_finding_logits`."""
    extra_losses: Mapping[str, Float[Tensor, ""]] = MappingProxyType({})
    """Terms that a report model adds to the loss, by name, weighted already."""


class WordReading(NamedTuple):
    """What a second pass over a generated report says of every word."""

    log_probabilities: Float[Tensor, "B T"]
    """Of each word, given those before it."""
    attention: Float[Tensor, "B T S"]
    """Attention on the regions; sums to 1 over them."""
    shares: Float[Tensor, "B T P"] | None
    """Each prototype's share in the response to each word, averaged over heads; None without prototypes."""
    language: Float[Tensor, "B T"] | None = None
    """Share of each word that came from what had been written, and from no region; None where a model has no such."""


@dataclass(frozen=True, kw_only=True)
class TrainStudies:
    """What a report model may derive data of its own from: the train split, and nothing else of a corpus."""

    reports: Sequence[str]
    """As the corpus has them."""
    findings: Bool[np.ndarray, "studies K"]
    """Their labels."""
    names: tuple[str, ...]
    """Names of the findings."""
    vocabulary: Vocabulary
    """Built from the reports."""


@dataclass(frozen=True, kw_only=True)
class DerivedData:
    """What a report model derived from the train studies before training."""

    record: Mapping[str, Any]
    """JSON values that the model is built from; a checkpoint keeps them, so they hold nothing of a single study."""
    vocabulary: Vocabulary
    """The vocabulary, with the phrases that the model writes."""
    encode: Callable[[str], list[int]]
    """Turns a report into the ids that the model learns to write."""
    summary: tuple[str, ...] = ()
    """What was derived, in a few lines for the user."""


@runtime_checkable
class NextWord(Protocol):
    """What is searched: the state of all beams of all studies."""

    def step(self, words: Int[Tensor, "B N"], origin: Int[Tensor, "B N"] | None) -> Float[Tensor, "B N vocabulary"]:
        """Take each beam's newest word and the beam it continues; return log-probabilities of the next word."""
        ...

    def keep(self, studies: Int[Tensor, "kept"]) -> None:
        """Drop all studies but these."""
        ...


class FindingsHead(nn.Module):
    """Predict the findings from the patch features of all views."""

    def __init__(self, *, channels: int, num_findings: int, pool: str) -> None:
        super().__init__()
        self.with_max = pool == "mean+max"
        self.linear = nn.Linear(channels * (2 if self.with_max else 1), num_findings)

    def forward(self, patches: Patches) -> Float[Tensor, "B K"]:
        """Return one logit for each finding."""
        mask = patches.mask.unsqueeze(-1)
        pooled = (patches.features * mask).sum(1) / mask.sum(1)
        if self.with_max:
            # A nodule fills one region of a hundred: the maximum shows what the mean hides.
            highest = patches.features.masked_fill(~mask, -torch.inf).amax(1)
            pooled = torch.cat([pooled, highest], dim=-1)
        return self.linear(pooled)

    def by_view(self, patches: Patches, view_mask: Bool[Tensor, "B V"]) -> Float[Tensor, "B V K"]:
        """Return the logits that each view would have by itself; of absent views those of a black one."""
        studies, num_views = view_mask.shape
        regions, channels = patches.features.shape[1] // num_views, patches.features.shape[2]
        views = patches.features.reshape(studies * num_views, regions, channels)
        logits: Tensor = self(Patches(views, views.new_ones(views.shape[:2], dtype=torch.bool)))
        return logits.view(studies, num_views, -1)

    def region_shares(self, patches: Patches) -> Float[Tensor, "B S K"]:
        """Return the contribution of each region to each logit; as the head is linear, they and the bias add up to it.

        Computed in full precision under autocast, too, because differences of sums are compared. The maximum of a
        channel counts for the first region that has it.
        """
        mask = patches.mask.unsqueeze(-1)
        channels = patches.features.shape[-1]
        weight = full_precision(self.linear.weight)
        features = full_precision(patches.features)
        with torch.autocast(features.device.type, enabled=False):
            shares = (features * mask / mask.sum(1, keepdim=True)) @ weight[:, :channels].T
            if self.with_max:
                kept = features.masked_fill(~mask, -torch.inf)
                first = kept.argmax(1, keepdim=True)
                highest = torch.zeros_like(features).scatter(1, first, kept.gather(1, first))
                shares = shares + highest @ weight[:, channels:].T
        return shares


class ReportModel(nn.Module):
    """A network from images to reports, with the image encoder and the findings head that all of them share.

    A subclass implements `read` for training, and `encode` and `start_decoding` for generation; `reread` if its words
    have evidence. What it computes word by word must equal what it computes with teacher forcing.

    A factory, such as the subclass, that has an attribute `derive` is asked first for what the train studies give:
    `derive(studies: TrainStudies, settings: ModelSettings) -> DerivedData`, which must be the same for the same
    studies. It is then called with the record as one more keyword argument, `derived`.
    """

    derived: Mapping[str, Any] | None = None
    """The record of what was derived from the train studies; None of a model that derives nothing."""

    def __init__(
        self, *, backbone: ImageEncoder, settings: ModelSettings, num_words: int, padding: int, num_findings: int
    ) -> None:
        """Keep what is common; the subclass adds its own layers.

        Args:
            backbone: computes patch features from images; a module.
            settings: of everything after the backbone.
            num_words: size of the vocabulary, including special tokens.
            padding: id that fills the end of a report.
            num_findings: K.
        """
        super().__init__()
        assert isinstance(backbone, nn.Module), "an image encoder is a module"
        self.settings = settings
        self.num_words = num_words
        self.padding = padding
        self.backbone = backbone
        self.findings_head: FindingsHead | None = None
        # Not a weight: it is fitted after each epoch and stored with the thresholds, which apply to its probabilities.
        self.calibration: Tensor
        self.register_buffer("calibration", torch.tensor([[1.0], [0.0]]).repeat(1, num_findings), persistent=False)

    @abstractmethod
    def read(self, patches: Patches, words: Int[Tensor, "B T"], findings: Bool[Tensor, "B K"]) -> Outputs:
        """Predict each next word of given reports from patch features.

        Args:
            patches: of the studies' views.
            words: report ids from BOS on, without the last.
            findings: the findings that a study is said to have; a model that needs none ignores them.
        """

    def read_samples(
        self, patches: Patches, words: Int[Tensor, "B N T"], findings: Bool[Tensor, "B K"]
    ) -> Float[Tensor, "B N T words"]:
        """Return the logits of each next word of several reports of each study.

        A model that encodes a study once for all its reports is faster than this one, which reads each by itself.

        Args:
            patches: of the studies' views.
            words: report ids from BOS on, without the last.
            findings: the findings that a study is said to have.
        """
        each = words.shape[1]
        repeated = Patches(*(part.repeat_interleave(each, dim=0) for part in patches))
        outputs = self.read(repeated, words.flatten(0, 1), findings.repeat_interleave(each, dim=0))
        return outputs.logits.view(*words.shape[:2], *outputs.logits.shape[1:])

    @abstractmethod
    def encode(self, patches: Patches, findings: Bool[Tensor, "B K"], bank: Any = None) -> Any:
        """Return what the words of each study depend on, computed once for all words and beams.

        Args:
            patches: of the studies' views.
            findings: the findings that a study is said to have.
            bank: what `prepare_decoding` returned.
        """

    @abstractmethod
    def start_decoding(self, encoded: Any, *, num_beams: int, max_words: int) -> NextWord:
        """Return the state in which every beam of every study has written nothing."""

    def reread(self, encoded: Any, words: Int[Tensor, "B length"]) -> WordReading | None:
        """Read generated reports once more for their evidence; None where this model has none.

        Args:
            encoded: the studies.
            words: ids from BOS on, one more than the words that are reread.
        """
        return None

    def prepare_decoding(self) -> Any:
        """Return what `encode` needs of the weights alone, computed once for all studies; None for nothing."""
        return None

    def forward(
        self,
        images: UInt8[Tensor, "B V height width"] | Float[Tensor, "B V R channels"],
        view_mask: Bool[Tensor, "B V"],
        words: Int[Tensor, "B T"],
        findings: Bool[Tensor, "B K"],
    ) -> Outputs:
        """Predict each next word of given reports from images.

        Args:
            images: greyscale, or patch features as `encode_images` takes them; those of absent views are ignored.
            view_mask: true on real views, at least one per study.
            words: report ids from BOS on, without the last.
            findings: the findings that a study is said to have.
        """
        patches = self.encode_images(images, view_mask)
        if not self.training:
            return self.read(patches, words, findings)
        shown = leave_views_out(view_mask, self.settings.view_dropout)
        regions = patches.mask.shape[1] // view_mask.shape[1]
        outputs = self.read(patches._replace(mask=shown.repeat_interleave(regions, dim=1)), words, findings)
        if self.findings_head is None or view_mask.shape[1] == 1:
            return outputs
        by_view = self.findings_head.by_view(patches, view_mask)
        outputs = outputs._replace(view_finding_logits=by_view, view_mask=view_mask)
        return outputs if shown is view_mask else outputs._replace(finding_logits=self.findings_head(patches))

    def encode_images(
        self,
        images: UInt8[Tensor, "B V height width"] | Float[Tensor, "B V R channels"],
        view_mask: Bool[Tensor, "B V"],
        backbone: ImageEncoder | None = None,
    ) -> Patches:
        """Return the patch features of all views, view by view and row by row (paper, eq. 1).

        Args:
            images: greyscale; or floating-point patch features that the same image encoder, frozen, computed before
                (a feature cache). Those of absent views are ignored.
            view_mask: true on real views.
            backbone: a faster equivalent of the network's own.
        """
        if images.is_floating_point():
            return Patches(full_precision(images).flatten(1, 2), view_mask.repeat_interleave(images.shape[2], dim=1))
        seen = (backbone or self.backbone)(images[view_mask])
        regions = seen.flatten(2).transpose(1, 2)
        num_regions = regions.shape[1]
        features = regions.new_zeros((*view_mask.shape, *regions.shape[1:]))
        features[view_mask] = regions
        return Patches(features.flatten(1, 2), view_mask.repeat_interleave(num_regions, dim=1))

    def predict_findings(self, patches: Patches) -> Float[Tensor, "B K"]:
        """Return the probability of each finding, calibrated once training has fitted a calibration.

        Raises:
            InputError: the network has no findings head.
        """
        if self.findings_head is None:
            raise InputError("this model has no findings head: use --labels-from reference or all")
        scale, shift = full_precision(self.calibration)
        probabilities: Tensor = (scale * full_precision(self.findings_head(patches)) + shift).sigmoid()
        return probabilities

    def calibrate(self, calibration: Float[Tensor, "2 K"]) -> None:
        """Set the scale and shift that calibrate the logits of the findings."""
        self.calibration.copy_(calibration)


def leave_views_out(view_mask: Bool[Tensor, "B V"], share: float) -> Bool[Tensor, "B V"]:
    """Return which views are shown where a share of the studies of several views is shown without some of them.

    How many of a study's views stay, at least one, and which, is drawn from PyTorch's generator; nothing is drawn
    where the share is 0.
    """
    if not share or view_mask.shape[1] == 1:
        return view_mask
    studies, views = view_mask.shape
    # On the CPU, whose generator a step's dropout is seeded by as well, whatever the device.
    order, some, count = torch.rand(studies, views), torch.rand(studies, 1), torch.rand(studies, 1)
    real = view_mask.cpu()
    rank = order.masked_fill(~real, torch.inf).argsort(1).argsort(1)
    several = real.sum(1, keepdim=True) - 1
    kept = 1 + (count * several).long()
    shown = real & ((some >= share) | (several == 0) | (rank < kept))
    return shown.to(view_mask.device)
