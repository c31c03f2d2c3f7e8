import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from xpronet.encoders.build import (
    build_image_encoder,
    check_image_encoder,
    image_encoder_name,
    image_encoder_of_record,
    image_encoder_record,
)
from xpronet.encoders.image_encoder import ImageEncoder, ImageEncoderSettings, normalise
from xpronet.encoders.resnet import ResNet
from xpronet.errors import InputError

CODE = """
import torch
from torch import nn


class Patches(nn.Module):
    def __init__(self, settings, stride=(16, 16)):
        super().__init__()
        self.settings = settings
        self.width_out = settings.width
        self.convolution = nn.Conv2d(1, settings.width, 16, stride=stride)

    def forward(self, images):
        return self.convolution(images.unsqueeze(1) / 255)


def oblong(settings):
    return Patches(settings, stride=(16, 8))


def boastful(settings):
    encoder = Patches(settings)
    encoder.width_out = 99
    return encoder


def forgetful(settings):
    encoder = Patches(settings)
    del encoder.settings
    return encoder


def changed(settings):
    import dataclasses

    return Patches(dataclasses.replace(settings, width=3))


def no_module(settings):
    return len
"""


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "outside_encoders.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path / "site")
    yield
    sys.modules.pop("outside_encoders", None)


def named(factory: str, **more: int) -> ImageEncoderSettings:
    return ImageEncoderSettings(name=f"python:outside_encoders:{factory}", width=8, **more)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"name": "vgg"}, "backbone.name = 'vgg': choose resnet, densenet121, huggingface or python:"),
        ({"name": "densenet121", "width": 7}, "backbone.width = 7: must be even"),
        ({"name": "densenet121", "stride_in_1x1": True}, "densenet121 has no such convolution"),
        ({"input_channels": 2}, "backbone.input_channels = 2: must be 1 or 3"),
        ({"name": "huggingface"}, "backbone.source: name the model's folder"),
        ({"source": "folder"}, "backbone.source = 'folder': weights of a resnet"),
        ({"image_size": -1}, "backbone.image_size = -1"),
    ],
)
def test_wrong_settings_are_named(wrong: dict[str, object], told: str):
    with pytest.raises(InputError) as raised:
        ImageEncoderSettings(**wrong)
    assert told in str(raised.value)


def test_one_channel_has_the_mean_of_the_three():
    grey = torch.tensor([[0, 100, 255]], dtype=torch.uint8)
    found = normalise(grey, channels=1)
    assert found.shape == (1, 1, 3)
    torch.testing.assert_close(found[0, 0, 1], torch.tensor((100 / 255 - 0.449) / 0.226))


def test_a_resnet_of_one_channel_takes_the_weights_of_one(tmp_path: Path):
    settings = ImageEncoderSettings(depth=18, width=4, input_channels=1, normalisation="torchxrayvision")
    encoder = ResNet(settings, seed=1)
    save_file(encoder.state_dict(), tmp_path / "grey.safetensors")
    loaded = build_image_encoder(settings, str(tmp_path / "grey.safetensors"))
    assert torch.equal(loaded.conv1.weight, encoder.conv1.weight)
    assert loaded.conv1.weight.shape == (4, 1, 7, 7)
    seen = []
    loaded.conv1.register_forward_hook(lambda module, given, result: seen.append(given[0]))
    loaded.eval()(torch.full((1, 32, 32), 255, dtype=torch.uint8))
    assert seen[0].unique().tolist() == [1024.0]


@pytest.mark.parametrize("name", ["resnet", "densenet121"])
def test_a_record_gives_back_the_encoder(name: str):
    settings = ImageEncoderSettings(name=name, depth=18, width=4)
    encoder = build_image_encoder(settings, seed=3)
    assert isinstance(encoder, ImageEncoder)
    again = image_encoder_of_record(image_encoder_record(encoder), allow_code=False)
    assert again.settings == settings
    assert again.state_dict().keys() == encoder.state_dict().keys()


def test_records_from_before_there_were_other_encoders_mean_a_resnet():
    encoder = image_encoder_of_record({"depth": 18, "width": 4, "stride_in_1x1": False}, allow_code=False)
    assert isinstance(encoder, ResNet)
    assert encoder.settings == ImageEncoderSettings(depth=18, width=4)


@pytest.mark.usefixtures("outside")
class TestOutside:
    def test_a_factory_of_another_package_is_called_with_the_settings(self, tmp_path: Path):
        encoder = build_image_encoder(named("Patches"), seed=1, allow_code=True)
        check_image_encoder(encoder, size=64)
        assert encoder(torch.zeros(2, 64, 64, dtype=torch.uint8)).shape == (2, 8, 4, 4)
        again, other = (build_image_encoder(named("Patches"), seed=seed, allow_code=True) for seed in (1, 2))
        assert torch.equal(encoder.convolution.weight, again.convolution.weight)
        assert not torch.equal(encoder.convolution.weight, other.convolution.weight)
        save_file(other.state_dict(), tmp_path / "other.safetensors")
        loaded = build_image_encoder(named("Patches"), str(tmp_path / "other.safetensors"), allow_code=True)
        assert torch.equal(loaded.convolution.weight, other.convolution.weight)

    def test_it_does_not_run_without_leave(self):
        with pytest.raises(
            InputError, match=r"^image encoder python:outside_encoders:Patches: runs code .*--allow-code"
        ):
            build_image_encoder(named("Patches"))
        record = image_encoder_record(build_image_encoder(named("Patches"), allow_code=True))
        with pytest.raises(InputError, match="--allow-code"):
            image_encoder_of_record(record, allow_code=False)
        assert image_encoder_of_record(record, allow_code=True).settings == named("Patches")

    @pytest.mark.parametrize(
        ("factory", "told"),
        [
            ("forgetful", "its Patches lacks settings of ImageEncoder"),
            ("changed", "its `settings` are not those that its factory was given"),
            ("no_module", "makes a builtin_function_or_method, not a torch.nn.Module"),
            ("absent", "outside_encoders has no 'absent'"),
        ],
    )
    def test_what_is_no_image_encoder_is_refused(self, factory: str, told: str):
        with pytest.raises(InputError) as raised:
            build_image_encoder(named(factory), allow_code=True)
        assert str(raised.value).startswith(f"image encoder python:outside_encoders:{factory}: ")
        assert told in str(raised.value)

    @pytest.mark.parametrize("factory", ["oblong", "boastful"])
    def test_a_map_that_is_not_square_or_of_another_depth_is_refused(self, factory: str):
        encoder = build_image_encoder(named(factory), allow_code=True)
        with pytest.raises(InputError, match=r"^backbone\.name = 'python:outside_encoders:\w+': makes \(1, 8, 4, "):
            check_image_encoder(encoder, size=64)

    def test_its_name_is_the_factorys(self):
        name = image_encoder_name(named("Patches"), seed=3)
        assert name == "python:outside_encoders:Patches (its own weights, seed 3)"


def test_checking_leaves_an_encoder_as_it_was():
    encoder = ResNet(ImageEncoderSettings(depth=18, width=4)).train()
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    check_image_encoder(encoder, size=64)
    assert encoder.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in encoder.state_dict().items())
