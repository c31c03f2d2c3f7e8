"""From settings to an image encoder with weights, from an encoder to what a checkpoint keeps of it, and back."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from xpronet.encoders.densenet import DenseNet121
from xpronet.encoders.hub import HUB
from xpronet.encoders.huggingface_vision import HuggingFaceVision
from xpronet.encoders.image_encoder import HUGGINGFACE, RESNET, ImageEncoder, ImageEncoderSettings
from xpronet.encoders.resnet import ResNet
from xpronet.encoders.weights import load_weights
from xpronet.errors import InputError
from xpronet.extensions import check_fulfils, is_outside, load_object

AUTO = "auto"
RANDOM = "random"
ARCHITECTURE = "architecture"
"""What a record has beside the settings of an encoder whose settings do not say everything."""


def build_image_encoder(
    settings: ImageEncoderSettings, weights: str = AUTO, *, seed: int = 0, allow_code: bool = False
) -> ImageEncoder:
    """Build an image encoder with the weights that `weights` names; it is a `torch.nn.Module`.

    Args:
        settings: which encoder.
        weights: "random"; a .safetensors, .pth or .pt file, or "hub:owner/name", loaded strictly; or "auto": a
            huggingface model's own, what an outside factory gives, random ones for the others.
        seed: what random weights are drawn from.
        allow_code: whether an outside factory may run.

    Raises:
        InputError: a file is missing, unreadable or does not fit the encoder, the hub is out of reach, or an outside
            factory is not allowed, does not exist or makes something else.
    """
    if settings.name == HUGGINGFACE:
        if weights not in (AUTO, RANDOM):
            raise InputError(f"weights = {weights!r}: a huggingface model has its own; write auto or random")
        return HuggingFaceVision.from_source(settings, seed=None if weights == AUTO else seed)
    encoder: ImageEncoder
    if is_outside(settings.name):
        encoder = _outside(settings, seed=seed, allow_code=allow_code)
    else:
        encoder = (ResNet if settings.name == RESNET else DenseNet121)(settings, seed=seed)
    if weights not in (AUTO, RANDOM):
        load_weights(as_module(encoder), weights)
    return encoder


def image_encoder_name(settings: ImageEncoderSettings, weights: str = AUTO, *, seed: int = 0) -> str:
    """Name an encoder and its weights, without the folders they lie in, for the files made with it."""
    known = not (settings.name == HUGGINGFACE or is_outside(settings.name))
    if weights == RANDOM or (weights == AUTO and known):
        origin = f"{RANDOM}, seed {seed}"
    elif weights == AUTO:
        origin = "its own weights" if settings.name == HUGGINGFACE else f"its own weights, seed {seed}"
    else:
        origin = weights if weights.startswith(HUB) else Path(weights).name
    if not known:
        details = [_without_folder(settings.source)] if settings.source else []
        details += [f"images of {settings.image_size}"] if settings.image_size else []
        return f"{', '.join([settings.name, *details])} ({origin})"
    model = settings.name
    if settings.name == RESNET:
        model += f"{settings.depth}{'-v1' if settings.stride_in_1x1 else ''}"
    variant = ", 1 channel" if settings.input_channels == 1 else ""
    variant += f", {settings.normalisation} input" if settings.normalisation != "imagenet" else ""
    return f"{model}, width {settings.width}{variant} ({origin})"


def image_encoder_record(encoder: ImageEncoder) -> dict[str, Any]:
    """Return what a checkpoint keeps of an encoder beside its weights, as JSON values without folders."""
    settings = encoder.settings
    if isinstance(encoder, HuggingFaceVision):
        settings = dataclasses.replace(settings, source=_without_folder(settings.source))
        return dataclasses.asdict(settings) | {ARCHITECTURE: encoder.architecture()}
    return dataclasses.asdict(settings)


def encoder_fingerprint(encoder: ImageEncoder) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of an encoder's settings and of all its weights."""
    digest = hashlib.sha256(json.dumps(image_encoder_record(encoder), sort_keys=True).encode())
    for name, tensor in sorted(as_module(encoder).state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def image_encoder_of_record(record: Mapping[str, Any], *, allow_code: bool) -> ImageEncoder:
    """Build the encoder that `image_encoder_record` described; its weights are still to be loaded.

    Nothing is fetched or read for it. A key that is missing has its setting's default.

    Args:
        record: the description.
        allow_code: whether an outside factory may run.

    Raises:
        InputError: the encoder is an outside one and code is not allowed or not installed, or settings are wrong.
        KeyError, TypeError: it is no such record.
    """
    values = {name: value for name, value in record.items() if name != ARCHITECTURE}
    settings = ImageEncoderSettings(**values)
    if settings.name == HUGGINGFACE:
        return HuggingFaceVision.from_architecture(settings, record[ARCHITECTURE])
    return build_image_encoder(settings, RANDOM, allow_code=allow_code)


def check_image_encoder(encoder: ImageEncoder, *, size: int) -> None:
    """Run an encoder on a black image, to see that its map is square and as deep as it says.

    Attention is drawn over images by the place of each region; that needs square maps of square images.

    Raises:
        InputError: the map is another.
    """
    module = as_module(encoder)
    training = module.training
    module.eval()
    device = next((parameter.device for parameter in module.parameters()), torch.device("cpu"))
    with torch.inference_mode():
        found = tuple(encoder(torch.zeros(1, size, size, dtype=torch.uint8, device=device)).shape)
    module.train(training)
    if len(found) != 4 or found[:2] != (1, encoder.width_out) or found[2] != found[3]:
        raise InputError(
            f"backbone.name = {encoder.settings.name!r}: makes {found} of one {size} x {size} image, not (1, "
            f"{encoder.width_out}, rows, columns) with as many rows as columns"
        )


def as_module(encoder: ImageEncoder) -> nn.Module:
    """Return the encoder as the module that it is."""
    assert isinstance(encoder, nn.Module)
    return encoder


def _outside(settings: ImageEncoderSettings, *, seed: int, allow_code: bool) -> ImageEncoder:
    """Call an outside factory; what it draws from PyTorch's generator comes from the seed."""
    what = "image encoder"
    factory = load_object(settings.name, what=what, allow_code=allow_code)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder: ImageEncoder = factory(settings)
    if not isinstance(encoder, nn.Module):
        raise InputError(f"{what} {settings.name}: makes a {type(encoder).__name__}, not a torch.nn.Module")
    check_fulfils(encoder, ImageEncoder, name=settings.name, what=what)
    if encoder.settings != settings:
        raise InputError(f"{what} {settings.name}: its `settings` are not those that its factory was given")
    return encoder


def _without_folder(source: str) -> str:
    return source if source.startswith(HUB) else Path(source).resolve().name
