"""Any vision model of the transformers library as an image encoder: ViT, DINOv2 (so RAD-DINO), ResNet, ConvNeXt, Swin.

Shape legend: N images, T tokens, C channels.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, UInt8
from safetensors import SafetensorError
from torch import Tensor, nn

from xpronet.encoders.hub import HUB, hub_folder, quiet_transformers
from xpronet.encoders.image_encoder import ImageEncoderSettings
from xpronet.errors import InputError
from xpronet.files import read_json

CONFIG_FILE = "config.json"
PREPROCESSOR_FILE = "preprocessor_config.json"
KEPT_TO_ITSELF = ("_name_or_path", "id2label", "label2id")
"""Entries of a model's configuration that its features do not depend on."""


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """How a model's own image CPU presents images to it, as far as grey squares are concerned."""

    image_size: int
    """Side of its images in pixels."""
    scale: float
    """What values of 0..255 are multiplied by, 1/255 as a rule."""
    mean: tuple[float, ...]
    """Subtracted from each channel then."""
    deviation: tuple[float, ...]
    """Each channel is divided by it then."""


class HuggingFaceVision(nn.Module):
    """Turn grey images into maps of the last hidden states; CLS and register tokens are left out."""

    def __init__(
        self, settings: ImageEncoderSettings, model: nn.Module, preprocessing: Preprocessing, *, where: str
    ) -> None:
        """Wrap a model.

        Args:
            settings: which model.
            model: of the transformers library.
            preprocessing: how it wants its images.
            where: the model's folder or name, for messages.

        Raises:
            InputError: it is no vision model, or its output cannot be laid out as a map.
        """
        super().__init__()
        self.settings = settings
        self.preprocessing = preprocessing
        self.model = model
        config: Any = model.config
        if getattr(model, "main_input_name", "") != "pixel_values":
            raise InputError(f"{where}: a {config.model_type} is no vision model; name one, such as a ViT or DINOv2")
        pooler = getattr(model, "pooler", None)
        if isinstance(pooler, nn.Module) and any(True for _ in pooler.parameters()):
            # It serves the classifier; without it every parameter that is left can learn.
            model.pooler = None  # type: ignore[assignment]
        parameters = signature(model.forward).parameters
        self._options = {"interpolate_pos_encoding": True} if "interpolate_pos_encoding" in parameters else {}
        patch = getattr(config, "patch_size", None)
        self._patch_size = patch[0] if isinstance(patch, list | tuple) else patch
        # Class and distillation token at most, then registers.
        self._most_prefix_tokens = 2 + int(getattr(config, "num_register_tokens", 0))
        self.width_out = self._probe(where)

    @classmethod
    def from_source(cls, settings: ImageEncoderSettings, *, seed: int | None) -> "HuggingFaceVision":
        """Build the model that `settings.source` names.

        Args:
            settings: which model.
            seed: draw the weights at random from it; None loads the model's own, every one of them.

        Raises:
            InputError: the extra is not installed, the model is missing, damaged or no vision model, or the hub is
                out of reach.
        """
        source = settings.source
        folder = hub_folder(source) if source.startswith(HUB) else Path(source)
        if not (folder / CONFIG_FILE).is_file():
            raise InputError(
                f"{source}: no vision model here (no {CONFIG_FILE}); give a model's folder or {HUB}owner/name"
            )
        preprocessing = _read_preprocessing(folder / PREPROCESSOR_FILE, settings.image_size)
        model = _pretrained(folder, source) if seed is None else _random(_read_config(folder, source), seed, source)
        return cls(settings, model, preprocessing, where=source)

    @classmethod
    def from_architecture(cls, settings: ImageEncoderSettings, architecture: Mapping[str, Any]) -> "HuggingFaceVision":
        """Build a model of what `architecture` returned, with weights that are still to be loaded.

        Raises:
            InputError: the installed transformers does not have the model.
            KeyError, TypeError: it is not what `architecture` returns.
        """
        transformers = _transformers()
        where = f"huggingface model {settings.source}"
        config = dict(architecture["config"])
        try:
            made = transformers.AutoConfig.for_model(config.pop("model_type"), **config)
        except ValueError as error:
            raise InputError(f"{where}: the installed transformers cannot build it ({_line(error)})") from None
        values = dict(architecture["preprocessing"])
        values |= {name: tuple(values[name]) for name in ("mean", "deviation")}
        return cls(settings, _random(made, 0, where), Preprocessing(**values), where=where)

    def architecture(self) -> dict[str, Any]:
        """Return all that is needed to build the model again without its folder, as JSON values."""
        config = json.loads(self.model.config.to_json_string(use_diff=False))  # type: ignore[union-attr,operator]
        preprocessing = self.preprocessing
        return {
            "config": {name: value for name, value in config.items() if name not in KEPT_TO_ITSELF},
            "preprocessing": {
                "image_size": preprocessing.image_size,
                "scale": preprocessing.scale,
                "mean": list(preprocessing.mean),
                "deviation": list(preprocessing.deviation),
            },
        }

    def forward(
        self, images: UInt8[Tensor, "images height width"] | Float[Tensor, "images height width"]
    ) -> Float[Tensor, "images channels rows columns"]:
        """Compute the last hidden states of grey images of 0..255, resized to the model's own size."""
        size = self.preprocessing.image_size
        grey = (images if images.is_floating_point() else images.to(torch.get_default_dtype())).unsqueeze(1)
        if grey.shape[-2:] != (size, size):
            grey = nn.functional.interpolate(grey, (size, size), mode="bilinear", antialias=True)
        mean, deviation = (
            grey.new_tensor(values)[:, None, None] for values in (self.preprocessing.mean, self.preprocessing.deviation)
        )
        channels = (grey * self.preprocessing.scale - mean) / deviation
        states: Tensor = self.model(pixel_values=channels, **self._options).last_hidden_state
        return states if states.dim() == 4 else self._map(states)

    def _map(self, states: Float[Tensor, "N T C"]) -> Float[Tensor, "N C rows columns"]:
        """Lay the tokens of patches out as they lie in the image."""
        tokens = states.shape[1]
        side = self.preprocessing.image_size // self._patch_size if self._patch_size else 0
        prefix = tokens - side**2
        if not 0 <= prefix <= self._most_prefix_tokens:
            # Models that merge patches on their way, like Swin, have no such tokens.
            side, prefix = math.isqrt(tokens), 0
        if side**2 + prefix != tokens:
            raise InputError(
                f"backbone.source = {self.settings.source!r}: its {tokens} tokens are not the patches of a square; "
                "take another model"
            )
        return states[:, prefix:].transpose(1, 2).reshape(*states.shape[::2], side, side)

    def _probe(self, where: str) -> int:
        """Return the channels of the maps, having run the model on a black image."""
        training = self.model.training
        self.model.eval()
        size = self.preprocessing.image_size
        try:
            with torch.inference_mode():
                output = self(torch.zeros(1, size, size, dtype=torch.uint8))
        except (ValueError, RuntimeError, AttributeError) as error:
            raise InputError(f"{where}: gives no map of a {size} x {size} image ({_line(error)})") from None
        self.model.train(training)
        return int(output.shape[1])


def _read_preprocessing(path: Path, image_size: int) -> Preprocessing:
    """Read what a model's image CPU does.

    Args:
        path: its file.
        image_size: the size that the user wants instead of the CPU's, 0 for the CPU's.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; save the model's image CPU beside it")
    record = read_json(path)
    try:
        cropped = record.get("do_center_crop") and record.get("crop_size")
        size = image_size or _side(record["crop_size"] if cropped else record["size"])
        normalised = record.get("do_normalize", True)
        mean, deviation = (
            tuple(map(float, record[key])) if normalised else default
            for key, default in (("image_mean", (0.0,)), ("image_std", (1.0,)))
        )
        # Its default, where the file does not say, is that of every CPU of the library.
        scale = float(record.get("rescale_factor", 1 / 255)) if record.get("do_rescale", True) else 1.0
        return Preprocessing(image_size=size, scale=scale, mean=mean, deviation=deviation)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InputError(
            f"{path}: says no size, image_mean and image_std; take the file that came with the model"
        ) from None


def _side(size: Any) -> int:
    """Return the side of the square that a CPU's `size` means."""
    if isinstance(size, Mapping):
        size = size["shortest_edge"] if "shortest_edge" in size else min(size["height"], size["width"])
    if not isinstance(size, int) or size < 1:
        raise ValueError("not a side in pixels")
    return size


def _transformers() -> Any:
    try:
        import transformers
    except ModuleNotFoundError:
        raise InputError("a huggingface image encoder needs the extra [text]: pip install 'xpronet[text]'") from None
    return transformers


def _read_config(folder: Path, source: str) -> Any:
    transformers = _transformers()
    try:
        return transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{source}: cannot be loaded as a vision model ({_line(error)}); fetch it again") from None


def _random(config: Any, seed: int, where: str) -> nn.Module:
    """Build a model with random weights, leaving PyTorch's own generator as it was."""
    transformers = _transformers()
    with quiet_transformers(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            model: nn.Module = transformers.AutoModel.from_config(config, trust_remote_code=False, dtype=torch.float32)
        except (ValueError, KeyError) as error:
            raise InputError(f"{where}: the installed transformers cannot build it ({_line(error)})") from None
    return model


def _pretrained(folder: Path, source: str) -> nn.Module:
    """Load a model all of whose weights come from its file."""
    transformers = _transformers()
    with quiet_transformers():
        try:
            model, loaded = transformers.AutoModel.from_pretrained(
                folder,
                local_files_only=True,
                trust_remote_code=False,
                dtype=torch.float32,
                output_loading_info=True,
            )
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            raise InputError(f"{source}: cannot be loaded as a vision model ({_line(error)}); fetch it again") from None
    missing = sorted(name for name in loaded["missing_keys"] if not name.startswith("pooler."))
    if missing:
        raise InputError(f"{source}: lacks {len(missing)} weights ({', '.join(missing[:3])}); fetch it again")
    wrapped: nn.Module = model
    return wrapped


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
