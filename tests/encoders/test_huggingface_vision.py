import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from xpronet.encoders.build import (
    build_image_encoder,
    image_encoder_name,
    image_encoder_of_record,
    image_encoder_record,
)
from xpronet.encoders.image_encoder import ImageEncoderSettings
from xpronet.errors import InputError

transformers = pytest.importorskip("transformers")

VIT = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
PREPROCESSOR = {
    "image_mean": [0.5, 0.4, 0.3],
    "image_std": [0.2, 0.25, 0.5],
    "rescale_factor": 1 / 255,
    "size": {"height": 32, "width": 32},
}


def save(folder: Path, kind: str, preprocessor: dict[str, Any] | None = PREPROCESSOR, **config: Any) -> Path:
    """Save a model with random weights as its library does, and what its image CPU would have written."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        made = getattr(transformers, f"{kind}Config")(**config)
        transformers.AutoModel.from_config(made).save_pretrained(folder)
    if preprocessor is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    return folder


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("hf") / "tiny-vit", "ViT", **VIT, image_size=32, patch_size=8)


@pytest.fixture(scope="module")
def dino(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Like RAD-DINO: a CPU that resizes the short side and crops."""
    preprocessor = {"crop_size": {"height": 56, "width": 56}, "do_center_crop": True, "size": {"shortest_edge": 60}}
    values = {key: VIT[key] for key in ("hidden_size", "num_hidden_layers", "num_attention_heads")}
    folder = tmp_path_factory.mktemp("hf") / "tiny-dino"
    return save(folder, "Dinov2", PREPROCESSOR | preprocessor, **values, image_size=70, patch_size=14)


def settings(folder: Path, **more: Any) -> ImageEncoderSettings:
    return ImageEncoderSettings(name="huggingface", source=str(folder), **more)


def images(size: int = 32) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (2, size, size), generator=generator, dtype=torch.uint8)


def test_the_map_is_the_models_patches_in_their_places(vit: Path):
    encoder = build_image_encoder(settings(vit)).eval()
    model = transformers.AutoModel.from_pretrained(vit)
    mean, deviation = (torch.tensor(PREPROCESSOR[key])[:, None, None] for key in ("image_mean", "image_std"))
    with torch.inference_mode():
        states = model((images()[:, None] / 255 - mean) / deviation).last_hidden_state
        found = encoder(images())
    assert (found.shape, encoder.width_out) == ((2, 16, 4, 4), 16)
    for row in range(4):
        for column in range(4):
            torch.testing.assert_close(found[:, :, row, column], states[:, 1 + 4 * row + column])
    # The pooler serves the classifier alone, and would never learn.
    assert not [name for name, _ in encoder.named_parameters() if "pooler" in name]


def test_dinov2_sees_the_size_of_its_processor(dino: Path):
    encoder = build_image_encoder(settings(dino)).eval()
    with torch.inference_mode():
        assert encoder(images(56)).shape == encoder(images(100)).shape == (2, 16, 4, 4)
        assert encoder(images(100).float()).isfinite().all()
        flat = torch.full((1, 100, 100), 80, dtype=torch.uint8)
        torch.testing.assert_close(encoder(flat), encoder(flat[:, :56, :56]))
    larger = build_image_encoder(settings(dino, image_size=98)).eval()
    with torch.inference_mode():
        assert larger(images(98)).shape == (2, 16, 7, 7)


@pytest.mark.parametrize(
    ("kind", "config", "shape"),
    [
        ("Dinov2WithRegisters", {**VIT, "image_size": 32, "patch_size": 8, "num_register_tokens": 3}, (16, 4, 4)),
        ("SiglipVision", {**VIT, "image_size": 32, "patch_size": 8}, (16, 4, 4)),
        ("ResNet", {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"}, (16, 4, 4)),
        ("ConvNext", {"hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2}, (16, 4, 4)),
        (
            "Swin",
            {
                "embed_dim": 8,
                "depths": [1, 1],
                "num_heads": [1, 2],
                "window_size": 2,
                "image_size": 32,
                "patch_size": 4,
            },
            (16, 4, 4),
        ),
    ],
)
def test_other_families_give_maps_too(tmp_path: Path, kind: str, config: dict[str, Any], shape: tuple[int, ...]):
    config = {key: value for key, value in config.items() if not (kind.startswith("Dino") and key.startswith("interm"))}
    encoder = build_image_encoder(settings(save(tmp_path / "model", kind, **config))).eval()
    with torch.inference_mode():
        assert encoder(images()).shape == (2, *shape)
    assert encoder.width_out == shape[0]


def test_a_size_other_than_it_was_trained_on_is_taken(vit: Path):
    encoder = build_image_encoder(settings(vit, image_size=64)).eval()
    with torch.inference_mode():
        assert encoder(images(64)).shape == (2, 16, 8, 8)


def test_auto_takes_the_models_own_weights_and_random_draws_them(vit: Path):
    own = build_image_encoder(settings(vit), "auto").state_dict()
    stored = transformers.AutoModel.from_pretrained(vit).state_dict()
    assert all(torch.equal(tensor, stored[name.removeprefix("model.")]) for name, tensor in own.items())
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    first, again, other = (build_image_encoder(settings(vit), "random", seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.rand(3), expected)
    name = "model.embeddings.patch_embeddings.projection.weight"
    assert torch.equal(first[name], again[name])
    assert not torch.equal(first[name], other[name])
    assert not torch.equal(first[name], own[name]) or not torch.equal(other[name], own[name])
    with pytest.raises(InputError, match=r"weights = 'resnet\.pth'.*auto or random"):
        build_image_encoder(settings(vit), "resnet.pth")


def test_a_record_builds_it_again_without_its_folder(dino: Path, tmp_path: Path):
    folder = tmp_path / "secret" / "mine"
    shutil.copytree(dino, folder)
    encoder = build_image_encoder(settings(folder)).eval()
    record = json.loads(json.dumps(image_encoder_record(encoder)))
    shutil.rmtree(folder)
    assert "secret" not in json.dumps(record)
    again = image_encoder_of_record(record, allow_code=False)
    again.load_state_dict(encoder.state_dict())
    with torch.inference_mode():
        assert torch.equal(again.eval()(images(70)), encoder(images(70)))


def test_a_record_of_a_model_that_transformers_lacks_is_refused(vit: Path):
    record = image_encoder_record(build_image_encoder(settings(vit)))
    record["architecture"]["config"]["model_type"] = "something-new"
    with pytest.raises(InputError, match=r"^huggingface model tiny-vit: the installed transformers cannot build it"):
        image_encoder_of_record(record, allow_code=False)


def test_what_is_no_vision_model_is_refused_in_one_line(vit: Path, tmp_path: Path):
    bert = save(tmp_path / "bert", "Bert", vocab_size=20, **VIT)
    unprocessed = save(tmp_path / "unprocessed", "ViT", None, **VIT, image_size=32, patch_size=8)
    vague = save(tmp_path / "vague", "ViT", {"size": 32}, **VIT, image_size=32, patch_size=8)
    holes = shutil.copytree(vit, tmp_path / "holes")
    weights = transformers.AutoModel.from_pretrained(vit).state_dict()
    from safetensors.torch import save_file

    kept = {name: tensor for name, tensor in weights.items() if "layer.1." not in name and "layers.1." not in name}
    assert len(kept) < len(weights)
    save_file(kept, holes / "model.safetensors", metadata={"format": "pt"})
    torn = shutil.copytree(vit, tmp_path / "torn")
    (torn / "model.safetensors").write_bytes((vit / "model.safetensors").read_bytes()[:1000])
    coded = shutil.copytree(vit, tmp_path / "coded")
    config = json.loads((coded / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "mine.Config", "AutoModel": "mine.Model"}}
    (coded / "config.json").write_text(json.dumps(config))
    (coded / "mine.py").write_text("raise SystemExit('ran')")
    for folder, told in (
        (bert, "a bert is no vision model"),
        (unprocessed, "preprocessor_config.json: no such file"),
        (vague, "preprocessor_config.json: says no size, image_mean and image_std"),
        (holes, "weights ("),
        (torn, "cannot be loaded as a vision model"),
        (coded, "cannot be loaded as a vision model"),
        (tmp_path / "absent", "no vision model here (no config.json)"),
    ):
        with pytest.raises(InputError) as raised:
            build_image_encoder(settings(folder))
        assert str(folder) in str(raised.value)
        assert told in str(raised.value)
        assert "\n" not in str(raised.value)


def test_its_name_says_model_and_weights_without_folders(vit: Path):
    assert image_encoder_name(settings(vit)) == "huggingface, tiny-vit (its own weights)"
    assert image_encoder_name(settings(vit, image_size=64), "random", seed=2) == (
        "huggingface, tiny-vit, images of 64 (random, seed 2)"
    )
    hub = ImageEncoderSettings(name="huggingface", source="hub:microsoft/rad-dino")
    assert image_encoder_name(hub) == "huggingface, hub:microsoft/rad-dino (its own weights)"
