"""Backbone weights: from a file, from the Hugging Face hub, or drawn at random; loaded strictly."""

import pickle
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from xpronet.encoders.resnet import BLOCKS, BackboneSettings, ResNet
from xpronet.errors import InputError

RANDOM = "random"
HUB = "hub:"
HUB_FILE = "model.safetensors"
HUB_SECONDS = 10
"""How long one question to the hub may take before we call it out of reach."""

_LAYER3_BLOCK = re.compile(r"layer3\.(\d+)\.(.+)")


def load_backbone(settings: BackboneSettings, source: str, *, seed: int = 0) -> ResNet:
    """Build a ResNet with the weights that `source` names.

    A ResNet-101 may be made from ResNet-50's weights: `deepen` keeps the function that they compute.

    Args:
        settings: which ResNet.
        source: "random", a .safetensors, .pth or .pt file with torchvision's names, or "hub:owner/name".
        seed: what random weights are drawn from.

    Raises:
        InputError: the file is missing, unreadable, or its names or shapes are not those of this ResNet; or the hub
            is out of reach.
    """
    backbone = ResNet(settings, seed=seed)
    if source == RANDOM:
        return backbone
    weights = read_weights(hub_file(source, HUB_FILE) if source.startswith(HUB) else Path(source))
    wanted = backbone.state_dict()
    weights = {name: tensor for name, tensor in weights.items() if not name.startswith("fc.")}
    if settings.depth == 101 and not any(name.startswith(f"layer3.{BLOCKS[50][2]}.") for name in weights):
        weights = deepen(weights)
    # Files from before PyTorch 0.4.1 have no such counter, and inference has no use for it.
    weights = {name: tensor for name, tensor in wanted.items() if name.endswith("num_batches_tracked")} | weights
    _refuse_names("lacks", [name for name in wanted if name not in weights], settings, source)
    _refuse_names("has unknown", [name for name in weights if name not in wanted], settings, source)
    for name, tensor in wanted.items():
        if weights[name].shape != tensor.shape:
            shapes = f"{tuple(weights[name].shape)}, not {tuple(tensor.shape)}"
            raise InputError(f"{source}: {name} has shape {shapes}; check the backbone's depth and width")
    backbone.load_state_dict({name: tensor.to(wanted[name].dtype) for name, tensor in weights.items()})
    return backbone


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a file of named tensors, .safetensors or a PyTorch archive of tensors and nothing else.

    Raises:
        InputError: the file is missing or no such file.
    """
    if not path.is_file():
        raise InputError(
            f"{path}: no such weights file; give a .safetensors or .pth file, {RANDOM}, or {HUB}owner/name"
        )
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        if path.suffix in (".pth", ".pt"):
            weights = torch.load(path, map_location="cpu", weights_only=True)
        else:
            raise InputError(f"{path}: weights are read from .safetensors, .pth and .pt files")
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path}: not a whole file of weights ({reason}); fetch it again") from None
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


def hub_file(source: str, file_name: str) -> Path:
    """Fetch one file of a hub repository, or find it where it was fetched before.

    Args:
        source: "hub:owner/name" or "owner/name".
        file_name: which file of the repository.

    Raises:
        InputError: the hub is out of reach and the file was not fetched before, or there is no such file.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    # The hub's client has changed its HTTP library twice; its own error has always been derived from the library's.
    library_error = HfHubHTTPError.__bases__[0]
    try:
        return Path(hf_hub_download(source.removeprefix(HUB), file_name, etag_timeout=HUB_SECONDS))
    except HFValidationError:
        raise InputError(f"{source}: not a hub name; write {HUB}owner/name") from None
    except HfHubHTTPError as error:
        status = error.response.status_code
        raise InputError(f"{source}: the hub gives no {file_name} (status {status}); check the name") from None
    except (OSError, library_error):
        raise InputError(
            f"{source}: the hub is out of reach and {file_name} was not fetched before; give the path of a local file"
        ) from None


def _refuse_names(complaint: str, names: list[str], settings: BackboneSettings, source: str) -> None:
    if names:
        first = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        raise InputError(f"{source}: {complaint} {len(names)} weights of ResNet-{settings.depth} ({first})")
