"""What report generation asks of a network, whatever computes it: PyTorch, or a runtime without a PyTorch network.

Shape legend: B studies, V views, K findings, N beams, T words.
"""

from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from xpronet.encoders.folding import fold_batch_norms
from xpronet.images.transforms import ImageSettings
from xpronet.model.claim_calibration import ClaimCalibration
from xpronet.model.fast_cpu import fast_copy
from xpronet.model.out_of_distribution import Gate
from xpronet.model.report_model import NextWord, Patches, ReportModel, WordReading
from xpronet.model.search_settings import BeamSettings
from xpronet.model.texture_gate import TextureGate
from xpronet.text.vocabulary import Vocabulary


@runtime_checkable
class ModelDescription(Protocol):
    """What must be known of a model to write reports with it; a checkpoint knows it, and so does an exported folder."""

    vocabulary: Vocabulary
    images: ImageSettings
    max_views: int
    search: BeamSettings
    findings: tuple[str, ...]
    thresholds: dict[str, float]
    gate: Gate | None
    texture: TextureGate | None
    claims: ClaimCalibration | None

    @property
    def per_finding(self) -> int | None:
        """Return the prototypes of each finding, None where prototypes belong to no finding."""
        ...


class EncodedImages(NamedTuple):
    """What a runtime saw in the images of a batch of studies."""

    patches: Any
    """Features of every region, in the runtime's own form."""
    probabilities: Float[Tensor, "B K"] | None
    """Of each finding; None of a network without a findings head."""
    pooled: Float[Tensor, "B V channels"]
    """The mean over each view's regions; the gate judges by it."""


@runtime_checkable
class Runtime(Protocol):
    """A network that can look at images, begin reports, continue them word by word, and say what it looked at."""

    device: torch.device
    """Where its scores of words are."""
    predicts_findings: bool
    """Whether the network has a findings head."""

    def encode_images(self, images: UInt8[Tensor, "B V height width"], view_mask: Bool[Tensor, "B V"]) -> EncodedImages:
        """Look at the images."""
        ...

    def finding_regions(self, patches: Any) -> Float[Tensor, "B S K"]:
        """Return what each region adds to each finding's logit; only of a network with a findings head."""
        ...

    def encode(self, patches: Any, findings: Bool[Tensor, "B K"]) -> Any:
        """Return what the words are written about, with the prototypes of these findings visible."""
        ...

    def begin(self, encoded: Any, *, num_beams: int, max_words: int) -> NextWord:
        """Begin reports."""
        ...

    def word_evidence(self, encoded: Any, words: Int[Tensor, "B T"]) -> WordReading | None:
        """Read generated reports once more; `words` are ids from BOS on. None of a model without evidence."""
        ...


def pool_views(features: Float[Tensor, "B S channels"], num_views: int) -> Float[Tensor, "B V channels"]:
    """Return the mean of the features of each view's regions, which lie view after view."""
    studies, regions, channels = features.shape
    return features.float().reshape(studies, num_views, regions // num_views, channels).mean(2)


class TorchRuntime:
    """The network itself, as it is when the runtime is made: make a new one after its weights have changed."""

    def __init__(self, network: ReportModel, device: torch.device) -> None:
        """Move the network to the device, copy it with fast layers, project the bank and fold the batch norms once."""
        self.network = fast_copy(network.to(device)).eval()
        self.device = device
        self._backbone = fold_batch_norms(network.backbone)
        with torch.inference_mode():
            self._bank = network.prepare_decoding()
        self.predicts_findings = network.findings_head is not None

    def encode_images(
        self,
        images: UInt8[Tensor, "B V height width"] | Float[Tensor, "B V R channels"],
        view_mask: Bool[Tensor, "B V"],
    ) -> EncodedImages:
        """Return what the model sees in images, or in patch features of its own image encoder."""
        seen = self.network.encode_images(images.to(self.device), view_mask.to(self.device), self._backbone)
        # Whatever the backbone computes in: the likeliest reports are so alike that rounding would choose among them.
        with torch.autocast(self.device.type, enabled=False):
            patches = seen._replace(features=seen.features.float())
            probabilities = self.network.predict_findings(patches) if self.predicts_findings else None
        return EncodedImages(patches, probabilities, pool_views(patches.features, images.shape[1]))

    def finding_regions(self, patches: Patches) -> Float[Tensor, "B S K"]:
        """Return what each region adds to each finding's logit."""
        assert self.network.findings_head is not None, "only a findings head has regions"
        return self.network.findings_head.region_shares(patches)

    def encode(self, patches: Patches, findings: Bool[Tensor, "B K"]) -> Any:
        """Return what the words are written about, with the prototypes of these findings visible."""
        return self.network.encode(patches, findings.to(self.device), self._bank)

    def begin(self, encoded: Any, *, num_beams: int, max_words: int) -> NextWord:
        """Begin reports."""
        return self.network.start_decoding(encoded, num_beams=num_beams, max_words=max_words)

    def word_evidence(self, encoded: Any, words: Int[Tensor, "B T"]) -> WordReading | None:
        """Read written reports once more."""
        return self.network.reread(encoded, words.to(self.device))
