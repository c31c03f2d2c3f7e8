"""Settings of the network, including every architectural difference between the presets."""

from dataclasses import dataclass, field
from typing import Any, Literal

from xpronet.errors import InputError

CHOICES = {
    "norm": ("torch", "published"),
    "visible": ("findings", "all", "none"),
    "scale": ("sqrt", "linear"),
    "fusion": ("linear", "add"),
    "findings_pool": ("mean", "mean+max"),
}


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """Sizes and choices of everything after the image backbone."""

    name: str = "xpronet"
    """The report model: xpronet, another of `model.build.BUILT_IN`, or python:package.module:factory of an installed
    package."""
    options: dict[str, Any] = field(default_factory=dict)
    """Settings of its own of another report model; xpronet has none."""
    width: int = 512
    """d_model: width of patches, words and projected prototypes inside the network."""
    feed_forward: int = 512
    """Hidden width of the transformer's feed-forward layers."""
    heads: int = 8
    """Heads of the attention and of the prototype matching; must divide the width."""
    layers: int = 3
    """Number of encoder layers and of decoder layers."""
    dropout: float = 0.1
    """Dropout of the transformer and of the responding weights."""
    patch_dropout: float = 0.5
    """Dropout after the patch embedding."""
    view_dropout: float = 0.0
    """Probability that a report of a train study of several views is learned without some of them; the findings head
    and the image encoder still see all of them. A study with fewer views than those of the training then costs less."""
    norm: Literal["torch", "published"] = "torch"
    """Layer normalisation: PyTorch's, or the published one (unbiased deviation, epsilon added to it)."""
    visible: Literal["findings", "all", "none"] = "findings"
    """Prototypes a study may query: those of its findings, all of them, or no prototype network at all."""
    per_finding: int = 20
    """N_p: prototypes of each finding (paper, eq. 6)."""
    bank_rows: int = 280
    """Total number of prototypes: findings times N_p, or any number if `visible` is all."""
    bank_width: int = 2816
    """D: width of a stored prototype, which joins image features and text features."""
    project_bank: bool = True
    """Project the bank to the network's width (eq. 8); otherwise `bank_width` must equal `width`."""
    gamma: int = 15
    """γ: prototypes that respond to a query, for each head."""
    scale: Literal["sqrt", "linear"] = "sqrt"
    """Divide similarities by the square root of a head's width (published) or by that width (eq. 10)."""
    fusion: Literal["linear", "add"] = "linear"
    """Fuse feature and response by a linear layer over both (eq. 14), or add them as R2GenCMN does."""
    findings_head: bool = True
    """Predict the findings from the images."""
    findings_pool: Literal["mean", "mean+max"] = "mean+max"
    """How the regions of all views are pooled for the findings head."""

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise InputError(f"model.{name} = {getattr(self, name)!r}: choose {' or '.join(choices)}")
        for name in ("width", "feed_forward", "heads", "layers", "per_finding", "bank_rows", "bank_width", "gamma"):
            if getattr(self, name) < 1:
                raise InputError(f"model.{name} = {getattr(self, name)}: must be at least 1")
        if self.width % self.heads or self.width % 2:
            raise InputError(f"model.width = {self.width}: must be even and divisible by model.heads = {self.heads}")
        for name in ("dropout", "patch_dropout", "view_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"model.{name} = {getattr(self, name)}: must be at least 0 and below 1")
        if self.visible == "findings" and self.bank_rows % self.per_finding:
            raise InputError(
                f"model.bank_rows = {self.bank_rows}: must be a multiple of model.per_finding = {self.per_finding}"
            )
        if not self.project_bank and self.bank_width != self.width:
            raise InputError(
                f"model.bank_width = {self.bank_width}: must equal model.width = {self.width} "
                "where model.project_bank is false"
            )
