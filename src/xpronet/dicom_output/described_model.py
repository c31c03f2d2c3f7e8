"""The model as the author of a DICOM object: what it is, and which weights."""

from dataclasses import dataclass, field
from typing import Any

from xpronet import __version__
from xpronet.dicom_output.identifiers import derived_uid
from xpronet.evaluation.model_origin import ModelOrigin
from xpronet.generation.runtime import ModelDescription

MANUFACTURER = "XProNet"
MODEL_NAME = "XProNet report model"


@dataclass(frozen=True, kw_only=True)
class DescribedModel:
    """What a DICOM object says about the model behind it."""

    fingerprint: str
    """First digits of the SHA-256 of the weights: the same fingerprint is the same model, whatever its folder."""
    name: str = MODEL_NAME
    """What it is, for people."""
    parameters: tuple[str, ...] = ()
    """How it was used, a line each: search, image size, number of views."""
    origin: ModelOrigin = field(default_factory=ModelOrigin)
    """What it learned from and what it is worth."""

    @property
    def version(self) -> str:
        """The version of this package and of the weights."""
        return f"{__version__}, checkpoint {self.fingerprint}"

    @property
    def uid(self) -> str:
        """The model as a device: the same weights are the same device."""
        return derived_uid("model", self.fingerprint)


def describe_model(
    model: ModelDescription, *, fingerprint: str, labels_from: str, origin: ModelOrigin, search: Any = None
) -> DescribedModel:
    """Describe a checkpoint or an exported folder.

    Args:
        model: the checkpoint or exported folder.
        fingerprint: first digits of the SHA-256 of the weights.
        labels_from: what decided which prototypes were visible.
        origin: what it learned from and what it is worth.
        search: settings of the beam search; by default the model's own.
    """
    search = search or model.search
    return DescribedModel(
        fingerprint=fingerprint,
        parameters=(
            f"image: {model.images.size} x {model.images.size} pixels, {model.images.test}; "
            f"at most {model.max_views} views of a study in training",
            f"search: beams {search.beams}, choose {search.choose}, at most {search.max_words} words",
            f"prototypes visible by: {labels_from}",
        ),
        origin=origin,
    )
