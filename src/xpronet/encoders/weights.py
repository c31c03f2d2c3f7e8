"""Image encoder weights from a file or from the Hugging Face hub, loaded strictly."""

import pickle
import re
import struct
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from xpronet.encoders.densenet import DenseNet121, current_names
from xpronet.encoders.hub import HUB, hub_file
from xpronet.encoders.resnet import BLOCKS, ResNet
from xpronet.errors import InputError
from xpronet.files import utf8_name

HUB_FILE = "model.safetensors"

DAMAGED = (
    *(SafetensorError, pickle.UnpicklingError, struct.error, EOFError, RuntimeError),
    *(ValueError, LookupError, TypeError, AttributeError, AssertionError),
)
"""What the readers raise on damaged bytes; PyTorch's has no error of its own for them."""

_LAYER3_BLOCK = re.compile(r"layer3\.(\d+)\.(.+)")


def load_weights(encoder: nn.Module, source: str) -> None:
    """Fill an encoder with the weights of a file, strictly; a classifier in the file is passed over.

    A ResNet-101 may be filled from ResNet-50's weights: `deepen` keeps the function that they compute.

    Args:
        encoder: a ResNet, a DenseNet-121, or any other module, whose own names then count.
        source: a .safetensors, .pth or .pt file with torchvision's names, or "hub:owner/name".

    Raises:
        InputError: the file is missing, unreadable, or its names or shapes are not those of this encoder; or the hub
            is out of reach.
    """
    weights = read_weights(hub_file(source, HUB_FILE) if source.startswith(HUB) else Path(source))
    wanted = encoder.state_dict()
    what, remedy = type(encoder).__name__, "check backbone.name"
    if isinstance(encoder, ResNet):
        what, remedy = f"ResNet-{encoder.settings.depth}", "check the depth"
        weights = {name: tensor for name, tensor in weights.items() if not name.startswith("fc.")}
        if encoder.settings.depth == 101 and _blocks_of_layer3(weights) == set(range(BLOCKS[50][2])):
            weights = deepen(weights)
    elif isinstance(encoder, DenseNet121):
        what, weights = "DenseNet-121", current_names(weights)
    # Files from before PyTorch 0.4.1 have no such counter, and inference has no use for it.
    weights = {name: tensor for name, tensor in wanted.items() if name.endswith("num_batches_tracked")} | weights
    for complaint, names in (
        ("lacks", [name for name in wanted if name not in weights]),
        ("has unknown", [name for name in weights if name not in wanted]),
    ):
        if names:
            first = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
            raise InputError(f"{source}: {complaint} {len(names)} weights of {what} ({first}); {remedy}")
    for name, tensor in wanted.items():
        if weights[name].shape != tensor.shape:
            shapes = f"{tuple(weights[name].shape)}, not {tuple(tensor.shape)}"
            raise InputError(
                f"{source}: {name} has shape {shapes}; check the backbone's depth, width and input_channels"
            )
    encoder.load_state_dict({name: tensor.to(wanted[name].dtype) for name, tensor in weights.items()})


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a file of named tensors, .safetensors or a PyTorch archive of tensors and nothing else.

    Raises:
        InputError: the file is missing or no such file.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such weights file; give a .safetensors or .pth file, random, or {HUB}owner/name")
    if path.suffix not in (".safetensors", ".pth", ".pt"):
        raise InputError(f"{path}: weights are read from .safetensors, .pth and .pt files; convert it to one of them")
    try:
        if path.suffix == ".safetensors":
            with utf8_name(path) as name:
                return load_file(name)
        with warnings.catch_warnings():
            # What a strange or damaged file leads to is said below, in one line.
            warnings.simplefilter("ignore", UserWarning)
            weights = torch.load(path, map_location="cpu", weights_only=True)
    except DAMAGED:
        raise InputError(f"{path}: not a whole file of tensors; fetch it again") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    if not isinstance(weights, dict) or not all(isinstance(tensor, Tensor) for tensor in weights.values()):
        raise InputError(f"{path}: not a mapping from names to tensors; save the model's state_dict() alone")
    return weights


def deepen(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Make ResNet-101's weights of ResNet-50's, computing the same function.

    The 17 blocks that layer3 lacks are copies of its last one whose final normalisation has weight and bias 0: each
    adds nothing to its shortcut, which is past a ReLU already, until training changes it.
    """
    deeper = dict(weights)
    last = BLOCKS[50][2] - 1
    for name, tensor in weights.items():
        match = _LAYER3_BLOCK.fullmatch(name)
        if match is None or int(match[1]) != last:
            continue
        silenced = match[2] in ("bn3.weight", "bn3.bias")
        for block in range(last + 1, BLOCKS[101][2]):
            deeper[f"layer3.{block}.{match[2]}"] = torch.zeros_like(tensor) if silenced else tensor.clone()
    return deeper


def _blocks_of_layer3(weights: Mapping[str, Tensor]) -> set[int]:
    matches = (_LAYER3_BLOCK.fullmatch(name) for name in weights)
    return {int(match[1]) for match in matches if match is not None}
