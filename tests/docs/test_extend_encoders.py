"""The code of docs/how_to/extend_encoders.md does what the page says, from the command line."""

import re
import shutil
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import tomli_w
import torch

from xpronet.cli import run as run_command
from xpronet.encoders.image_encoder import ImageEncoderSettings
from xpronet.errors import InputError
from xpronet.experiment.recipe import make_recipe
from xpronet.experiment.run import BANK_FILE
from xpronet.model.checkpoint import load_checkpoint
from xpronet.model.checkpoint_files import find_checkpoint
from xpronet.prototypes.bank import PrototypeBank
from xpronet.training.run_folder import read_journal

PAGE = Path(__file__).parents[2] / "docs" / "how_to" / "extend_encoders.md"
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE.read_text(), re.DOTALL)
PYTHON = [text for language, text in BLOCKS if language == "python"]
TOML = [tomllib.loads(text) for language, text in BLOCKS if language == "toml"]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The page's two encoders as an installed package."""
    site = tmp_path_factory.mktemp("site")
    (site / "my_encoders.py").write_text("\n\n".join(text for text in PYTHON if "class " in text))
    sys.path.insert(0, str(site))
    yield site
    sys.path.remove(str(site))
    sys.modules.pop("my_encoders", None)


@pytest.fixture(scope="module")
def run(package: Path, tiny_recipe_text: str, phantom_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run trained with both, as a user would."""
    folder = tmp_path_factory.mktemp("outside")
    tree = tomllib.loads(tiny_recipe_text)
    for block in TOML:
        if "my_encoders" in str(block):
            tree = {**tree, **{name: {**tree.get(name, {}), **values} for name, values in block.items()}}
    tree["train"]["epochs"] = 1
    (folder / "recipe.toml").write_text(tomli_w.dumps(tree))
    arguments = ["train", str(folder / "recipe.toml"), "--corpus", str(phantom_folder), "--out", str(folder / "run")]
    assert run_command(arguments) == 0
    return folder / "run"


def test_recipes_of_the_page_are_recipes():
    assert len(TOML) == 4
    recipes = [make_recipe(block, where="page") for block in TOML]
    assert [recipe.backbone.name for recipe in recipes[:2]] == ["densenet121", "huggingface"]
    assert recipes[0].backbone.input_channels == 1


def test_a_run_learns_with_them_and_its_prototypes_say_so(run: Path):
    losses = [event["train"]["total"] for event in read_journal(run, "epoch")]
    assert len(losses) == 1
    bank = PrototypeBank.load(run / BANK_FILE)
    assert bank.image_encoder == "python:my_encoders:PatchEncoder (its own weights, seed 1)"
    assert bank.text_encoder == "python:my_encoders:WordCounts, width 16"
    assert (bank.image_width, bank.width) == (32, 32 + 16)


def test_its_checkpoint_loads_with_leave_alone(run: Path, monkeypatch: pytest.MonkeyPatch):
    folder = find_checkpoint(run)
    with pytest.raises(InputError) as raised:
        load_checkpoint(run)
    assert str(raised.value).startswith(f"{folder}: image encoder python:my_encoders:PatchEncoder: runs code")
    assert "--allow-code" in str(raised.value)
    assert "\n" not in str(raised.value)
    monkeypatch.chdir(run.parent)
    [block] = [text for text in PYTHON if "allow_code" in text]
    space: dict[str, object] = {}
    exec(block, space)
    network = space["checkpoint"].network
    assert network.backbone.settings == ImageEncoderSettings(name="python:my_encoders:PatchEncoder", depth=18, width=32)
    images = torch.randint(0, 256, (2, 2, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    patches = network.encode_images(images, torch.ones(2, 2, dtype=torch.bool))
    assert patches.features.shape == (2, 2 * 16, 32)


def test_nothing_is_imported_from_the_checkpoint_folder(
    run: Path, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    copy = Path(shutil.copytree(find_checkpoint(run), tmp_path / "checkpoint"))
    shutil.copy(package / "my_encoders.py", copy)
    monkeypatch.setattr(sys, "path", ["", *(entry for entry in sys.path if entry != str(package))])
    monkeypatch.delitem(sys.modules, "my_encoders")
    monkeypatch.chdir(copy)
    with pytest.raises(InputError, match="no module 'my_encoders' is installed"):
        load_checkpoint(copy, allow_code=True)
