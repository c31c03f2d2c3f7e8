from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from xpronet.encoders.build import build_image_encoder, image_encoder_name
from xpronet.encoders.densenet import DenseNet121
from xpronet.encoders.image_encoder import ImageEncoderSettings
from xpronet.errors import InputError

SMALL = ImageEncoderSettings(name="densenet121", width=8)
GREY = ImageEncoderSettings(name="densenet121", width=8, input_channels=1, normalisation="torchxrayvision")


def images(count: int = 2, size: int = 64) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, size, size), generator=generator, dtype=torch.uint8)


def worn(settings: ImageEncoderSettings, seed: int = 5) -> DenseNet121:
    """Return a network whose batch statistics, factors and shifts are not those of a new one."""
    encoder = DenseNet121(settings, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    for module in encoder.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for tensor in (module.weight.data, module.running_var):
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
            for tensor in (module.bias.data, module.running_mean):
                tensor.copy_(torch.randn(tensor.shape, generator=generator) / 4)
    return encoder.eval()


def test_it_has_the_published_sizes():
    with torch.device("meta"):
        encoder = DenseNet121(ImageEncoderSettings(name="densenet121"))
    state = encoder.state_dict()
    assert sum(weights.numel() for weights in encoder.parameters()) == 6_953_856
    assert len(state) == 120 + 5 * 121  # convolutions, and normalisations with their statistics
    assert encoder.width_out == 1024
    for name, shape in {
        "features.conv0.weight": (64, 3, 7, 7),
        "features.norm0.running_var": (64,),
        "features.denseblock1.denselayer1.conv1.weight": (128, 64, 1, 1),
        "features.denseblock3.denselayer24.norm1.weight": (256 + 23 * 32,),
        "features.denseblock4.denselayer16.conv2.weight": (32, 128, 3, 3),
        "features.transition2.conv.weight": (256, 512, 1, 1),
        "features.transition3.norm.num_batches_tracked": (),
        "features.norm5.bias": (1024,),
    }.items():
        assert state[name].shape == shape


def reference(state: dict[str, Tensor], channels: Tensor) -> Tensor:
    """Compute DenseNet-121 as the paper writes it: layer l sees [x_0, ..., x_(l-1)], kept apart in a list."""

    def norm(name: str, values: Tensor) -> Tensor:
        mean, variance, factor, shift = (
            state[f"features.{name}.{part}"].reshape(1, -1, 1, 1)
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (values - mean) / (variance + 1e-5).sqrt() * factor + shift

    def convolution(name: str, values: Tensor, **how: int) -> Tensor:
        return functional.conv2d(values, state[f"features.{name}.weight"], **how)

    values = norm("norm0", convolution("conv0", channels, stride=2, padding=3)).clamp(min=0)
    values = functional.max_pool2d(values, 3, stride=2, padding=1)
    for block, layers in ((1, 6), (2, 12), (3, 24), (4, 16)):
        seen = [values]
        for layer in range(1, layers + 1):
            name = f"denseblock{block}.denselayer{layer}"
            inner = convolution(f"{name}.conv1", norm(f"{name}.norm1", torch.cat(seen, 1)).clamp(min=0))
            seen.append(convolution(f"{name}.conv2", norm(f"{name}.norm2", inner).clamp(min=0), padding=1))
        values = torch.cat(seen, 1)
        if block < 4:
            name = f"transition{block}"
            values = convolution(f"{name}.conv", norm(f"{name}.norm", values).clamp(min=0))
            n, c, h, w = values.shape
            values = values.reshape(n, c, h // 2, 2, w // 2, 2).mean((3, 5))
    return norm("norm5", values).clamp(min=0)


def test_it_computes_what_the_paper_says():
    encoder = worn(SMALL)
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    channels = (images()[:, None] / 255 - mean[:, None, None]) / deviation[:, None, None]
    with torch.inference_mode():
        expected, found = reference(encoder.state_dict(), channels), encoder(images())
    assert found.shape == (2, encoder.width_out, 2, 2) == (2, 128, 2, 2)
    assert expected.max() > 0.1
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_one_channel_goes_from_minus_to_plus_1024():
    encoder = worn(GREY)
    assert encoder.features.conv0.weight.shape == (8, 1, 7, 7)
    seen = []
    encoder.features.conv0.register_forward_hook(lambda module, given, result: seen.append(given[0]))
    with torch.inference_mode():
        encoder(torch.tensor([0, 51, 255], dtype=torch.uint8).reshape(3, 1, 1).expand(3, 32, 32))
    torch.testing.assert_close(seen[0][:, :, 0, 0], torch.tensor([[-1024.0], [-614.4], [1024.0]]))


def test_weights_come_from_the_seed_alone():
    first, again, other = (DenseNet121(SMALL, seed=seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(tensor, again[name]) for name, tensor in first.items())
    assert not torch.equal(first["features.conv0.weight"], other["features.conv0.weight"])
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    DenseNet121(SMALL)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("settings", [SMALL, GREY])
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_file_gives_back_its_weights_and_its_classifier_is_passed_over(
    tmp_path: Path, settings: ImageEncoderSettings, suffix: str
):
    path = tmp_path / f"weights{suffix}"
    encoder = worn(settings)
    weights = encoder.state_dict() | {
        "classifier.weight": torch.zeros(18, 128),
        "classifier.bias": torch.zeros(18),
        "op_threshs": torch.zeros(18),
    }
    save_file(weights, path) if suffix == ".safetensors" else torch.save(weights, path)
    loaded = build_image_encoder(settings, str(path)).eval()
    with torch.inference_mode():
        assert torch.equal(loaded(images()), encoder(images()))


def test_names_of_old_files_are_read(tmp_path: Path):
    """Files from before 2018 write denselayer1.norm.1, and have no counters."""
    encoder = worn(SMALL)
    weights = {name: tensor for name, tensor in encoder.state_dict().items() if "num_batches" not in name}
    for number in "12":
        weights = {
            name.replace(f".norm{number}.", f".norm.{number}.").replace(f".conv{number}.", f".conv.{number}.")
            if "denselayer" in name
            else name: tensor
            for name, tensor in weights.items()
        }
    assert "features.denseblock1.denselayer1.norm.1.weight" in weights
    save_file(weights, tmp_path / "old.safetensors")
    loaded = build_image_encoder(SMALL, str(tmp_path / "old.safetensors")).eval()
    with torch.inference_mode():
        assert torch.equal(loaded(images()), encoder(images()))


def test_other_files_are_refused_by_name(tmp_path: Path):
    state = DenseNet121(SMALL).state_dict()
    holes = {name: tensor for name, tensor in state.items() if not name.startswith("features.denseblock4")}
    save_file(holes, tmp_path / "holes.safetensors")
    with pytest.raises(InputError, match=r"holes\.safetensors: lacks \d+ weights of DenseNet-121 \(features\.denseblo"):
        build_image_encoder(SMALL, str(tmp_path / "holes.safetensors"))
    save_file(state | {"head.weight": torch.zeros(1)}, tmp_path / "more.safetensors")
    with pytest.raises(InputError, match=r"has unknown 1 weights of DenseNet-121 \(head\.weight\)"):
        build_image_encoder(SMALL, str(tmp_path / "more.safetensors"))
    save_file(DenseNet121(GREY).state_dict(), tmp_path / "grey.safetensors")
    with pytest.raises(InputError, match=r"conv0\.weight has shape \(8, 1, 7, 7\), not \(8, 3, .*input_channels"):
        build_image_encoder(SMALL, str(tmp_path / "grey.safetensors"))


def test_its_name_says_what_decides_its_features():
    assert image_encoder_name(SMALL, seed=2) == "densenet121, width 8 (random, seed 2)"
    expected = "densenet121, width 8, 1 channel, torchxrayvision input (all.pt)"
    assert image_encoder_name(GREY, "/data/all.pt") == expected
