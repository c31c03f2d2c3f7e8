"""encoder.safetensors: a backbone that recipes name as `weights`, the findings' linear layer beside it."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from xpronet.encoders.image_encoder import ImageEncoderSettings
from xpronet.encoders.resnet import ResNet
from xpronet.errors import InputError
from xpronet.pretrain.classifier import FindingsClassifier
from xpronet.pretrain.settings import FitSettings
from xpronet.pretrain.state import read_tensors, write_tensors

ENCODER_FILE = "encoder.safetensors"
NOTES = "xpronet"
"""Under which name the file's metadata holds what it was made from."""


@dataclass(frozen=True, kw_only=True)
class EncoderFile:
    """A trained encoder that has been read."""

    network: FindingsClassifier
    """Backbone and findings."""
    notes: Mapping[str, Any]
    """What it was made from: see `write_encoder`."""


def write_encoder(
    path: Path, tensors: Mapping[str, Tensor], *, backbone: ImageEncoderSettings, notes: Mapping[str, Any]
) -> None:
    """Write a classifier's tensors under torchvision's names, with notes on what they were made from.

    Args:
        path: the file.
        tensors: of a `FindingsClassifier`.
        backbone: which ResNet.
        notes: findings, settings, corpora, scores.
    """
    renamed = {name.removeprefix("backbone."): tensor for name, tensor in tensors.items()}
    about = {"backbone": dataclasses.asdict(backbone), **notes}
    write_tensors(path, renamed, {NOTES: json.dumps(about), "format": "pt"})


def read_encoder(path: Path) -> EncoderFile:
    """Read an encoder with its findings.

    Raises:
        InputError: the file is missing, damaged, or was not written by `write_encoder`.
    """
    tensors, metadata = read_tensors(path)
    try:
        notes = json.loads(metadata[NOTES])
        backbone = ImageEncoderSettings(**notes["backbone"])
        network = FindingsClassifier(ResNet(backbone), len(notes["findings"]), FitSettings())
        network.load_state_dict(
            {name if name.startswith("fc.") else f"backbone.{name}": tensor for name, tensor in tensors.items()}
        )
    except (KeyError, TypeError, ValueError, RuntimeError):
        raise InputError(f"{path}: not an encoder with findings; make one with `xpronet pretrain`") from None
    return EncoderFile(network=network.eval(), notes=notes)
