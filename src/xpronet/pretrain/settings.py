"""What decides how an image encoder is trained on findings."""

import dataclasses
from dataclasses import dataclass, field
from typing import Literal

import tomli_w

from xpronet.encoders.image_encoder import ImageEncoderSettings
from xpronet.errors import InputError
from xpronet.labels.findings import Uncertain
from xpronet.precision import Precision

Shard = Literal["stem", "layer1", "layer2", "layer3", "layer4", "head"]
PARTS: tuple[Shard, ...] = ("stem", "layer1", "layer2", "layer3", "layer4", "head")
"""Parts of the network, from the image to the findings."""


@dataclass(frozen=True, kw_only=True)
class LabelSettings:
    """What a finding's state teaches."""

    table: str = "labels.csv"
    """Table of labels, in the corpus folder."""
    uncertain: Uncertain = "positive"
    """An uncertain finding counts as positive or negative, or is left out of the loss."""
    blank: Literal["negative", "ignore"] = "negative"
    """A finding that a report does not mention counts as negative, or is left out of the loss."""


@dataclass(frozen=True, kw_only=True)
class AugmentSettings:
    """How far a train image is changed at random. It is never mirrored: the heart is on the left."""

    rotation: float = 10.0
    """Largest rotation to either side, in degrees."""
    scale: float = 0.1
    """Largest change of size; 0.1 is between 0.9 and 1.1."""
    translate: float = 0.05
    """Largest shift along either axis, as a share of the side."""
    contrast: float = 0.25
    """Largest change of contrast about the image's mean; 0.25 is between 0.75 and 1.25."""
    brightness: float = 0.15
    """Largest shift of all grey values, as a share of white."""

    def __post_init__(self) -> None:
        for name in ("scale", "translate", "contrast", "brightness"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"augment.{name} = {getattr(self, name)}: must be at least 0 and below 1")
        if not 0 <= self.rotation <= 180:
            raise InputError(f"augment.rotation = {self.rotation}: must be between 0 and 180 degrees")


@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """Optimiser, schedule and loss."""

    epochs: int = 6
    """Passes over the train studies."""
    batch_size: int = 16
    """Studies in a batch; a study has up to `max_views` images."""
    max_views: int = 2
    """Images used of each study, in reading order."""
    size: int = 224
    """Side of the square that the network sees, in pixels."""
    small_size: int = 192
    """Side in the first epochs, which cost less with it."""
    small_epochs: int = 0
    """How many epochs see `small_size`."""
    train_from: Shard = "stem"
    """First part of the network that is trained; parts before it keep their weights and statistics."""
    batch_norm: Literal["batch", "stored"] = "batch"
    """Normalise train batches by their own statistics, or by those that came with the weights."""
    loss_on: Literal["study", "image"] = "study"
    """Compare a study's labels with the logits of all its images together, or with those of each image."""
    pool_views: Literal["mean", "max"] = "mean"
    """How the logits of a study's images become those of the study, in the loss and in use."""
    class_weights: Literal["none", "root", "balanced"] = "root"
    """Weight of a positive label: 1, the square root of negatives over positives, or their ratio."""
    most_weight: float = 8.0
    """Largest weight of a positive label."""
    dropout: float = 0.2
    """On the pooled features."""
    learning_rate: float = 2e-4
    """Peak rate of the backbone."""
    head_learning_rate: float = 1e-3
    """Peak rate of the findings' linear layer."""
    weight_decay: float = 0.05
    """AdamW's, on weights of more than one dimension."""
    warm_up: float = 0.05
    """Share of all steps that the rate rises; it falls along a cosine afterwards."""
    clip_norm: float = 1.0
    """Largest norm of the gradient."""
    average: float = 0.995
    """Decay, at each step, of the moving average of the weights, which is validated and kept; 0 for none."""
    patience: int = 3
    """Epochs without a better validation AUROC before training stops; 0 never stops early."""
    precision: Precision = "auto"
    """Arithmetic of the forward pass; `auto` is bf16 where the device multiplies that itself."""
    seed: int = 0
    """Of the linear layer, order, augmentation and dropout."""
    save_steps: int = 50
    """Steps between checkpoints to go on from; each epoch ends with one too."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "max_views", "save_steps"):
            if getattr(self, name) < 1:
                raise InputError(f"fit.{name} = {getattr(self, name)}: must be at least 1")
        rates = ("learning_rate", "head_learning_rate", "weight_decay", "small_epochs", "patience", "seed")
        for name in rates:
            if getattr(self, name) < 0:
                raise InputError(f"fit.{name} = {getattr(self, name)}: must not be negative")
        for name in ("dropout", "warm_up", "average"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"fit.{name} = {getattr(self, name)}: must be at least 0 and below 1")
        for name in ("size", "small_size"):
            if getattr(self, name) < 32:
                raise InputError(f"fit.{name} = {getattr(self, name)}: at least 32 pixels are needed")
        if self.most_weight < 1 or self.clip_norm <= 0:
            raise InputError("fit.most_weight must be at least 1 and fit.clip_norm above 0")


@dataclass(frozen=True, kw_only=True)
class PretrainRecipe:
    """Everything that decides an image encoder."""

    corpus: str = ""
    """Corpus folder; the command line's --corpus comes first."""
    nih: str = ""
    """Folder of NIH ChestX-ray14 films whose train part is learned too; empty for none."""
    weights: str = "random"
    """Weights to start from: random, a safetensors or pth file, or hub:OWNER/NAME."""
    short_side: int = 256
    """Side of the square that films are kept in, before they are augmented."""
    backbone: ImageEncoderSettings = field(default_factory=ImageEncoderSettings)
    """Which ResNet."""
    labels: LabelSettings = field(default_factory=LabelSettings)
    """What a finding's state teaches."""
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    """How train images are changed."""
    fit: FitSettings = field(default_factory=FitSettings)
    """Optimiser, schedule and loss."""

    def __post_init__(self) -> None:
        if self.short_side < max(self.fit.size, self.fit.small_size):
            raise InputError(f"short_side = {self.short_side}: must be at least fit.size and fit.small_size")

    def to_toml(self) -> str:
        """Return the recipe with every value spelled out."""
        return tomli_w.dumps(dataclasses.asdict(self))
