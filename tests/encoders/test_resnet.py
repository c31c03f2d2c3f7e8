import numpy as np
import pytest
import torch

from xpronet.encoders.image_encoder import RGB_DEVIATION, RGB_MEAN, ImageEncoderSettings, normalise
from xpronet.encoders.resnet import ResNet
from xpronet.errors import InputError


@pytest.mark.parametrize(("depth", "width_out"), [(18, 64), (34, 64), (50, 256), (101, 256)])
def test_each_depth_reduces_pictures_32_fold(depth: int, width_out: int):
    settings = ImageEncoderSettings(depth=depth, width=8)
    backbone = ResNet(settings).eval()
    with torch.inference_mode():
        assert backbone(255 * torch.rand(2, 64, 96)).shape == (2, width_out, 2, 3)
    assert backbone.width_out == width_out


@pytest.mark.parametrize(("depth", "millions"), [(18, 11.177), (34, 21.285), (50, 23.508), (101, 42.500)])
def test_number_of_weights_is_the_familys_without_classifier(depth: int, millions: float):
    with torch.device("meta"):
        backbone = ResNet(ImageEncoderSettings(depth=depth))
    assert sum(weights.numel() for weights in backbone.parameters()) / 1e6 == pytest.approx(millions, abs=1e-3)


def test_names_are_torchvisions():
    names = list(ResNet(ImageEncoderSettings(depth=50, width=8)).state_dict())
    assert len(names) == 318  # 320 of a torchvision file, less fc.weight and fc.bias
    for name in (
        "conv1.weight",
        "bn1.running_var",
        "layer3.5.conv3.weight",
        "layer2.0.downsample.1.num_batches_tracked",
    ):
        assert name in names


def test_weights_depend_on_the_seed_alone():
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first = ResNet(ImageEncoderSettings(depth=18, width=8), seed=3).state_dict()
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(2)
    again = ResNet(ImageEncoderSettings(depth=18, width=8), seed=3).state_dict()
    other = ResNet(ImageEncoderSettings(depth=18, width=8), seed=4).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["layer4.1.conv2.weight"], other["layer4.1.conv2.weight"])


def test_random_weights_have_hes_deviation():
    weight = ResNet(ImageEncoderSettings(depth=18, width=32)).layer3[1].conv2.weight
    assert weight.std().item() == pytest.approx((2 / (9 * 128)) ** 0.5, rel=0.02)


def test_variants_halve_the_picture_in_different_convolutions():
    def strides(stride_in_1x1: bool) -> list[int]:
        block = ResNet(ImageEncoderSettings(depth=50, width=8, stride_in_1x1=stride_in_1x1)).layer2[0]
        return [convolution.stride[0] for convolution in (block.conv1, block.conv2, block.conv3)]

    assert strides(False) == [1, 2, 1]
    assert strides(True) == [2, 1, 1]


def test_variants_share_weights_and_differ_in_what_they_compute():
    variants = [ResNet(ImageEncoderSettings(depth=50, width=8, stride_in_1x1=first)).eval() for first in (False, True)]
    variants[1].load_state_dict(variants[0].state_dict())
    pictures = 255 * torch.rand(1, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert not torch.allclose(variants[0](pictures), variants[1](pictures))


def test_three_equal_channels_are_normalised_as_imagenets():
    grey = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 5), dtype=np.uint8)
    rgb = normalise(torch.from_numpy(grey))
    assert rgb.shape == (2, 3, 3, 4, 5)
    for channel, (mean, deviation) in enumerate(zip(RGB_MEAN, RGB_DEVIATION, strict=True)):
        np.testing.assert_allclose(rgb[:, :, channel].numpy(), (grey / 255 - mean) / deviation, atol=1e-6)
    torch.testing.assert_close(normalise(torch.from_numpy(grey).float()), rgb)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"depth": 152}, "backbone.depth = 152"),
        ({"width": 0}, "backbone.width = 0"),
        ({"depth": 18, "stride_in_1x1": True}, "backbone.stride_in_1x1"),
    ],
)
def test_wrong_settings_are_refused_by_name(wrong: dict, named: str):
    with pytest.raises(InputError, match=named):
        ImageEncoderSettings(**wrong)
