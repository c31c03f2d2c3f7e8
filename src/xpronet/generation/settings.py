"""How reports are generated for a whole split."""

from dataclasses import dataclass
from typing import Literal

from xpronet.errors import InputError


@dataclass(frozen=True, kw_only=True)
class GenerationSettings:
    """How a split's reports are generated: what may change them first, then how the work is cut up."""

    labels_from: Literal["predicted", "reference", "all"] = "predicted"
    """What decides which prototypes are visible: the model's findings; the reference's (an oracle, for reproduction
    only: the model is told what is in the report); or nothing, so that all are."""
    beams: int | None = None
    """Beam hypotheses of the search; by default as the checkpoint says."""
    choose: Literal["likeliest", "agreeing"] | None = None
    """Take the likeliest finished hypothesis, or, of as many as there are beams, the one that agrees best with the
    findings; by default as the checkpoint says."""
    evidence: float | None = None
    """How much the claims of partial reports count beside the probability of their words, when they are compared with
    the findings head; 0: not at all; by default as the checkpoint says."""
    max_error: float | None = None
    """Mark in each report the sentences among whose claims the expected share of false ones is at most this; needs a
    calibrated model."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """Arithmetic of the image encoder."""
    batch_size: int = 32
    """Studies whose images are in memory at a time, and as many again for each worker."""
    workers: int = 0
    """Processes that read images, for each that generates reports."""
    part_size: int = 1024
    """Studies in a part, which is written whole; bounds what is in memory and what a kill can lose."""

    def __post_init__(self) -> None:
        if self.batch_size < 1 or self.part_size < 1 or self.workers < 0:
            raise InputError("--batch-size and --part-size must be at least 1, --workers at least 0")
