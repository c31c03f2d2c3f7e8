"""A network of 16 wide for every test of the package."""

from collections.abc import Callable

import pytest
import torch

from xpronet.encoders.image_encoder import ImageEncoderSettings
from xpronet.encoders.resnet import ResNet
from xpronet.model.network import XProNet
from xpronet.model.settings import ModelSettings

NUM_FINDINGS = 4


def small_settings(**choices) -> ModelSettings:
    values = {"width": 16, "feed_forward": 24, "heads": 2, "layers": 2, "per_finding": 3, "bank_rows": 12}
    return ModelSettings(**{**values, "bank_width": 10, "gamma": 5, **choices})


@pytest.fixture(scope="session")
def make_network() -> Callable[..., XProNet]:
    def make(*, num_words: int = 11, num_findings: int = NUM_FINDINGS, seed: int = 0, **choices) -> XProNet:
        torch.manual_seed(seed)
        return XProNet(
            backbone=ResNet(ImageEncoderSettings(depth=18, width=2), seed=seed),
            settings=small_settings(**choices),
            num_words=num_words,
            padding=0,
            num_findings=num_findings,
        ).eval()

    return make


@pytest.fixture(scope="session")
def make_settings() -> Callable[..., ModelSettings]:
    return small_settings
