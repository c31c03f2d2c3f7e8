"""The encoder's file: recipes name it as weights, and its findings can be measured again."""

from pathlib import Path

import pytest
import torch

from xpronet.encoders.build import build_image_encoder
from xpronet.encoders.image_encoder import ImageEncoderSettings
from xpronet.encoders.resnet import ResNet
from xpronet.encoders.weights import deepen, read_weights
from xpronet.errors import InputError
from xpronet.labels.findings import FINDINGS
from xpronet.pretrain.classifier import FindingsClassifier
from xpronet.pretrain.encoder_file import read_encoder, write_encoder
from xpronet.pretrain.settings import FitSettings

SETTINGS = ImageEncoderSettings(depth=50, width=4, stride_in_1x1=True)


@pytest.fixture
def network() -> FindingsClassifier:
    return FindingsClassifier(ResNet(SETTINGS, seed=3), len(FINDINGS), FitSettings()).eval()


@pytest.fixture
def file(network: FindingsClassifier, tmp_path: Path) -> Path:
    path = tmp_path / "encoder.safetensors"
    write_encoder(path, network.state_dict(), backbone=SETTINGS, notes={"findings": FINDINGS, "val_auroc": 0.8})
    return path


def test_the_file_is_the_backbone_that_recipes_load(network: FindingsClassifier, file: Path) -> None:
    images = 255 * torch.rand(2, 64, 64)
    backbone = build_image_encoder(SETTINGS, str(file)).eval()
    torch.testing.assert_close(backbone(images), network.backbone(images), rtol=0, atol=0)
    deeper = build_image_encoder(ImageEncoderSettings(depth=101, width=4, stride_in_1x1=True), str(file)).eval()
    torch.testing.assert_close(deeper(images), network.backbone(images))


def test_findings_and_notes_come_back(network: FindingsClassifier, file: Path) -> None:
    read = read_encoder(file)
    images = torch.rand(2, 64, 64) * 255
    torch.testing.assert_close(read.network(images), network(images), rtol=0, atol=0)
    assert read.notes["val_auroc"] == 0.8
    assert read.notes["backbone"]["depth"] == 50


def test_files_of_another_architecture_or_kind_are_refused(file: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"encoder.safetensors: .* weights of ResNet-18 .*check the depth"):
        build_image_encoder(ImageEncoderSettings(depth=18, width=4), str(file))
    with pytest.raises(InputError, match=r"encoder.safetensors: conv1.weight has shape .*check the backbone's depth"):
        build_image_encoder(ImageEncoderSettings(depth=50, width=8, stride_in_1x1=True), str(file))
    from safetensors.torch import save_file

    save_file(deepen(read_weights(file)), tmp_path / "bare.safetensors")
    with pytest.raises(InputError, match=r"bare.safetensors: not an encoder with findings"):
        read_encoder(tmp_path / "bare.safetensors")
    with pytest.raises(InputError, match="no such file"):
        read_encoder(tmp_path / "gone.safetensors")
