"""The published network with weights that are a function of their names, and its figures."""

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from xpronet.encoders.image_encoder import ImageEncoderSettings
from xpronet.encoders.resnet import ResNet
from xpronet.model.network import XProNet
from xpronet.model.published_checkpoint import published_name
from xpronet.model.report_model import Patches
from xpronet.model.settings import ModelSettings

FIGURES = Path(__file__).parent / "figures"


@pytest.fixture(scope="session")
def official_shapes() -> dict[str, tuple[int, ...]]:
    """Every parameter and buffer of the published model, by the authors' name."""
    lines = (FIGURES / "shapes.txt").read_text().splitlines()
    return {name: tuple(map(int, shape)) for name, *shape in (line.split(" ") for line in lines)}


@pytest.fixture(scope="module", params=[0, 7], ids=["seed0", "seed7"])
def seed(request: pytest.FixtureRequest) -> int:
    return request.param


@pytest.fixture(scope="module")
def figures(seed: int) -> dict[str, np.ndarray]:
    with np.load(FIGURES / f"seed{seed}.npz") as arrays:
        return {name: arrays[name] for name in arrays}


@pytest.fixture(scope="session")
def published_network() -> Callable[..., XProNet]:
    """Make the network of a seed, with other settings where they are given."""
    return _published_network


@pytest.fixture(scope="module")
def network(seed: int) -> XProNet:
    return _published_network(seed)


@pytest.fixture(scope="module")
def patches(seed: int) -> Patches:
    noise = np.random.default_rng([seed, 7]).standard_normal((6, 98, 2048))
    features = torch.from_numpy((0.5 * np.abs(noise)).astype(np.float32))
    return Patches(features, torch.ones(6, 98, dtype=torch.bool))


def _published_network(seed: int, **choices: Any) -> XProNet:
    # Patch features are given, so the backbone is never run: it only has to say how many channels it would have.
    backbone = ResNet(ImageEncoderSettings(depth=18, width=8))
    backbone.width_out = 2048
    network = XProNet(
        backbone=backbone,
        settings=ModelSettings(**{"norm": "published", "findings_head": False, **choices}),
        num_words=761,
        padding=0,
        num_findings=14,
    )
    state = network.state_dict()
    filled = {
        name: torch.from_numpy(fill(published_name(name), tuple(tensor.shape), seed))
        for name, tensor in state.items()
        if not name.startswith("backbone.")
    }
    filled["word_output.bias"][0] = {0: 4.0, 7: 3.0}[seed]
    network.load_state_dict(state | filled)
    return network.eval()


def fill(name: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Return the tensor that the figures were computed with."""
    noise = np.random.default_rng([seed, zlib.crc32(name.encode())]).standard_normal(shape).astype(np.float32)
    if name.endswith("a_2"):
        return 1 + np.float32(0.05) * noise
    if len(shape) < 2:
        return np.float32(0.05) * noise
    scale = 1 / np.sqrt(np.prod(shape[1:]))
    if name.endswith("logit.weight"):
        scale *= 1.5
    if name.endswith("lut.weight"):
        scale = 0.05
    if name.endswith("protypes"):
        scale = 0.3
    return (scale * noise).astype(np.float32)
