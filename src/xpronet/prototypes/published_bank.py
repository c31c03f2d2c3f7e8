"""The authors' own init_prototypes.pt as a bank: one tensor, which says nothing of its classes or features."""

import pickle
import warnings
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from xpronet.errors import InputError
from xpronet.labels.findings import FINDINGS, SCHEMAS
from xpronet.prototypes.bank import PrototypeBank

PublishedOrder = Literal["iu-xray", "mimic-cxr"]
"""The corpora of the published code, whose label tables differ in the order of the classes."""

SUFFIXES = (".pt", ".pth")


def read_published_bank(path: Path, *, image_width: int, order: PublishedOrder = "iu-xray") -> PrototypeBank:
    """Read prototypes as the published code saves them, and put the classes into our order.

    The file is a (14·P, E) tensor, or a mapping with such a tensor as its only entry. It is read as weights only.

    Args:
        path: the .pt file.
        image_width: how many values of a row are image features; the remaining ones are text features.
        order: the corpus whose published order the classes have.

    Raises:
        InputError: the file is missing, damaged or holds anything else.
    """
    tensor = _read_tensor(path)
    rows, width = tensor.shape
    if rows % len(FINDINGS):
        raise InputError(f"{path}: {rows} rows are not the same number for each of {len(FINDINGS)} classes")
    if width <= image_width:
        raise InputError(
            f"{path}: rows of {width} values, and the recipe's image encoder alone has {image_width}; take the image "
            "encoder that the prototypes were made with (ResNet-101 in the published code)"
        )
    if not tensor.isfinite().all():
        raise InputError(f"{path}: has values that are not finite; fetch it again")
    published = SCHEMAS[f"published-{order}"]
    blocks = tensor.reshape(len(FINDINGS), -1, width)
    vectors = blocks[[published.index(finding) for finding in FINDINGS]].flatten(0, 1)
    return PrototypeBank(
        vectors=vectors.numpy(),
        image_width=image_width,
        per_finding=rows // len(FINDINGS),
        counts=dict.fromkeys(FINDINGS, 0),
        image_encoder=f"published ({path.name})",
        text_encoder=f"published ({path.name})",
        images={},
        seed=0,
        notes=(
            f"read from {path.name}, classes in the order of the published code for {order}; the file does not say "
            "which encoders, studies and seed it was made with",
        ),
    )


def _read_tensor(path: Path) -> Tensor:
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        with warnings.catch_warnings(action="ignore"):
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    # A damaged archive can fail in any of its parts; these are what they raise.
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError):
        raise InputError(f"{path}: not a file with a tensor alone; have its owner save that with torch.save") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    if isinstance(loaded, dict) and len(loaded) == 1:
        (loaded,) = loaded.values()
    if not isinstance(loaded, Tensor) or loaded.dim() != 2 or not loaded.is_floating_point() or not len(loaded):
        raise InputError(f"{path}: not a matrix of prototypes, one a row")
    return loaded.detach().float().contiguous()
