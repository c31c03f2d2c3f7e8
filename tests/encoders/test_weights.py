import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from xpronet.encoders.build import build_image_encoder, image_encoder_name
from xpronet.encoders.image_encoder import ImageEncoderSettings
from xpronet.encoders.resnet import ResNet
from xpronet.encoders.weights import read_weights
from xpronet.errors import InputError

SMALL = ImageEncoderSettings(depth=18, width=8)


def outputs(backbone: ResNet, size: int = 64) -> torch.Tensor:
    pictures = torch.randint(0, 256, (2, size, size), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    with torch.inference_mode():
        return backbone.eval()(pictures)


def with_lively_normalisation(backbone: ResNet) -> ResNet:
    """Give the normalisation layers weights as training leaves them."""
    generator = torch.Generator().manual_seed(1)
    for module in backbone.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for tensor in (module.weight.data, module.running_var):
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
            for tensor in (module.bias.data, module.running_mean):
                tensor.copy_(torch.randn(tensor.shape, generator=generator) / 4)
    return backbone


def test_random_weights_come_from_the_seed():
    first, again, other = (build_image_encoder(SMALL, "random", seed=seed).conv1.weight for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".pt"])
def test_a_file_gives_back_its_weights(tmp_path: Path, suffix: str):
    path = tmp_path / f"weights{suffix}"
    backbone = with_lively_normalisation(ResNet(SMALL, seed=5))
    weights = backbone.state_dict() | {"fc.weight": torch.zeros(10, 64), "fc.bias": torch.zeros(10)}
    save_file(weights, path) if suffix == ".safetensors" else torch.save(weights, path)
    assert torch.equal(outputs(build_image_encoder(SMALL, str(path))), outputs(backbone))


def test_half_precision_without_counters_becomes_single_precision(tmp_path: Path):
    backbone = ResNet(SMALL, seed=5)
    weights = {name: tensor.half() for name, tensor in backbone.state_dict().items() if "num_batches" not in name}
    save_file(weights, tmp_path / "half.safetensors")
    loaded = build_image_encoder(SMALL, str(tmp_path / "half.safetensors"))
    assert {tensor.dtype for tensor in loaded.parameters()} == {torch.float32}
    assert torch.equal(loaded.conv1.weight, backbone.conv1.weight.half().float())


def test_resnet101_made_of_resnet50_computes_the_same(tmp_path: Path):
    shallow = with_lively_normalisation(ResNet(ImageEncoderSettings(depth=50, width=8), seed=5))
    save_file(shallow.state_dict(), tmp_path / "resnet50.safetensors")
    deep = build_image_encoder(ImageEncoderSettings(depth=101, width=8), str(tmp_path / "resnet50.safetensors"))
    assert len(deep.layer3) == 23
    torch.testing.assert_close(outputs(deep), outputs(shallow), atol=1e-6, rtol=1e-6)


def test_the_blocks_added_can_learn(tmp_path: Path):
    save_file(ResNet(ImageEncoderSettings(depth=50, width=8)).state_dict(), tmp_path / "resnet50.safetensors")
    deep = build_image_encoder(ImageEncoderSettings(depth=101, width=8), str(tmp_path / "resnet50.safetensors"))
    deep(255 * torch.rand(2, 64, 64)).square().mean().backward()
    assert deep.layer3[22].bn3.weight.grad.abs().max() > 0


def test_resnet101_of_a_whole_file_is_not_deepened(tmp_path: Path):
    settings = ImageEncoderSettings(depth=101, width=8)
    backbone = ResNet(settings, seed=5)
    save_file(backbone.state_dict(), tmp_path / "resnet101.safetensors")
    loaded = build_image_encoder(settings, str(tmp_path / "resnet101.safetensors"))
    assert all(torch.equal(tensor, backbone.state_dict()[name]) for name, tensor in loaded.state_dict().items())


@pytest.mark.parametrize("missing", ["layer3.6.", "layer4.2.conv1"])
def test_missing_names_are_named(tmp_path: Path, missing: str):
    settings = ImageEncoderSettings(depth=101, width=8)
    weights = {name: tensor for name, tensor in ResNet(settings).state_dict().items() if not name.startswith(missing)}
    save_file(weights, tmp_path / "holes.safetensors")
    with pytest.raises(InputError, match=rf"holes\.safetensors: lacks .*\({missing}"):
        build_image_encoder(settings, str(tmp_path / "holes.safetensors"))


def test_unknown_names_are_named(tmp_path: Path):
    save_file(ResNet(SMALL).state_dict() | {"head.weight": torch.zeros(1)}, tmp_path / "more.safetensors")
    with pytest.raises(InputError, match=r"more\.safetensors: has unknown 1 weights .*head\.weight"):
        build_image_encoder(SMALL, str(tmp_path / "more.safetensors"))


def test_other_shapes_are_refused(tmp_path: Path):
    save_file(ResNet(ImageEncoderSettings(depth=18, width=16)).state_dict(), tmp_path / "wide.safetensors")
    with pytest.raises(InputError, match=r"wide\.safetensors: conv1\.weight has shape \(16, 3, 7, 7\), not \(8,"):
        build_image_encoder(SMALL, str(tmp_path / "wide.safetensors"))


class Dangerous:
    def __reduce__(self):
        return (print, ("unpickled!",))


def test_files_that_are_no_weights_are_refused_and_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    save_file(ResNet(SMALL).state_dict(), tmp_path / "whole.safetensors")
    whole = (tmp_path / "whole.safetensors").read_bytes()
    torch.save(ResNet(SMALL).state_dict(), tmp_path / "whole.pth")
    wrong = {
        "short.safetensors": whole[: len(whole) // 2],
        "text.safetensors": b"not weights",
        "short.pth": (tmp_path / "whole.pth").read_bytes()[:1000],
        "text.pth": b"not weights",
        "empty.pth": b"",
        "dangerous.pth": pickle.dumps(Dangerous()),
        "weights.txt": b"not weights",
    }
    torch.save([1, 2], tmp_path / "list.pth")
    torch.save({"model": {"weight": torch.zeros(1)}}, tmp_path / "nested.pth")
    for name, content in wrong.items():
        (tmp_path / name).write_bytes(content)
    for name in (*wrong, "list.pth", "nested.pth", "absent.pth"):
        with pytest.raises(InputError, match=name) as raised:
            build_image_encoder(SMALL, str(tmp_path / name))
        assert "\n" not in str(raised.value)
    assert "unpickled!" not in capsys.readouterr().out


@pytest.mark.parametrize("zipped", [True, False])
def test_damaged_archives_raise_nothing_else(tmp_path: Path, zipped: bool):
    path = tmp_path / "damaged.pth"
    weights = {name: tensor for name, tensor in ResNet(SMALL).state_dict().items() if "bn1" in name}
    torch.save(weights, path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    assert weights.keys() == read_weights(path).keys()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(200):
        damaged = bytearray(whole)
        for place in rng.integers(0, 3000, size=5):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            read_weights(path)
        except InputError:
            refused += 1
    assert refused > 20


def test_the_name_says_weights_without_their_folder():
    settings = ImageEncoderSettings(depth=50, stride_in_1x1=True)
    assert image_encoder_name(settings, "/data/secret/resnet50.pth") == "resnet50-v1, width 64 (resnet50.pth)"
    assert image_encoder_name(SMALL, "random", seed=3) == "resnet18, width 8 (random, seed 3)"
    assert image_encoder_name(SMALL, "hub:owner/name") == "resnet18, width 8 (hub:owner/name)"


@pytest.mark.slow
def test_published_resnet50_loads_and_becomes_resnet101(shared: Path):
    path = shared / "weights" / "resnet50_v1_imagenet_fp16.safetensors"
    if not path.is_file():
        pytest.skip(f"no {path.name} beside the checkout")
    shallow, deep = (
        outputs(build_image_encoder(ImageEncoderSettings(depth=depth, stride_in_1x1=True), str(path)), 224)
        for depth in (50, 101)
    )
    assert shallow.shape == (2, 2048, 7, 7)
    torch.testing.assert_close(deep, shallow, atol=1e-4, rtol=0)
