"""An image encoder with a linear layer for the findings, and the loss that teaches both."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor, nn

from xpronet.encoders.resnet import ResNet
from xpronet.pretrain.settings import PARTS, FitSettings

Pool = Literal["mean", "max"]


class FindingsClassifier(nn.Module):
    """Features of an image averaged over its area, then one logit a finding."""

    def __init__(self, backbone: ResNet, num_findings: int, settings: FitSettings) -> None:
        """Put a linear layer, drawn from the settings' seed, behind a backbone; freeze what is not trained."""
        super().__init__()
        self.backbone = backbone
        self.fc = nn.Linear(backbone.width_out, num_findings)
        generator = torch.Generator().manual_seed(settings.seed)
        nn.init.normal_(self.fc.weight, std=0.01, generator=generator)
        nn.init.zeros_(self.fc.bias)
        self._dropout = settings.dropout
        self._stored = settings.batch_norm == "stored"
        self._num_frozen = PARTS.index(settings.train_from)
        for part in self._parts()[: self._num_frozen]:
            for module in part:
                module.requires_grad_(False)

    def forward(
        self, images: Float[Tensor, "images size size"], generator: torch.Generator | None = None
    ) -> Float[Tensor, "images findings"]:
        """Return logits of grey images of 0..255; a generator draws the dropout of training, none leaves it out."""
        features: Tensor = self.backbone(images)
        pooled = features.float().mean((2, 3))
        if generator is not None and self._dropout:
            kept = torch.rand(pooled.shape, generator=generator) >= self._dropout
            pooled = pooled * kept.to(pooled.device) / (1 - self._dropout)
        logits: Tensor = self.fc(pooled)
        return logits

    def train(self, mode: bool = True) -> "FindingsClassifier":
        """Set the mode; what is frozen keeps the statistics that it came with."""
        super().train(mode)
        parts = self._parts() if self._stored else self._parts()[: self._num_frozen]
        for part in parts:
            for module in part:
                module.eval()
        return self

    def trained(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Yield the parameters that are trained, by name."""
        return ((name, parameter) for name, parameter in self.named_parameters() if parameter.requires_grad)

    def _parts(self) -> list[list[nn.Module]]:
        """Return the modules of each of `PARTS`, the head aside."""
        backbone = self.backbone
        layers: list[nn.Module] = [backbone.layer1, backbone.layer2, backbone.layer3, backbone.layer4]
        return [[backbone.conv1, backbone.bn1], *([layer] for layer in layers)]


def pool_views(
    logits: Float[Tensor, "images findings"], owners: Int64[Tensor, " images"], num_studies: int, pool: Pool
) -> Float[Tensor, "studies findings"]:
    """Return a study's logits: the mean or the greatest of those of its images.

    Args:
        logits: of each image.
        owners: number of each image's study.
        num_studies: how many studies there are; each has an image.
        pool: which of the two.
    """
    pooled = logits.new_zeros(num_studies, logits.shape[1])
    where = owners[:, None].expand_as(logits)
    return pooled.scatter_reduce(0, where, logits, "mean" if pool == "mean" else "amax", include_self=False)


def masked_loss(
    logits: Float[Tensor, "rows findings"],
    targets: Float[Tensor, "rows findings"],
    weights: Float[Tensor, " findings"],
) -> Float[Tensor, ""]:
    """Return the mean binary cross-entropy over the labels that are known (not NaN), positives weighted by finding."""
    known = ~targets.isnan()
    terms = nn.functional.binary_cross_entropy_with_logits(
        logits, targets.nan_to_num(), pos_weight=weights, reduction="none"
    )
    return (terms * known).sum() / known.sum().clamp(min=1)


def positive_weights(
    targets: Float32[np.ndarray, "studies findings"], settings: FitSettings
) -> Float32[Tensor, " findings"]:
    """Return the weight of each finding's positive labels, from how often it is present among the train studies."""
    present, absent = (targets == 1).sum(0), (targets == 0).sum(0)
    if settings.class_weights == "none":
        return torch.ones(targets.shape[1])
    ratio = np.maximum(absent, 1) / np.maximum(present, 1)
    weights = np.sqrt(ratio) if settings.class_weights == "root" else ratio
    return torch.from_numpy(np.clip(weights, 1, settings.most_weight).astype(np.float32))
