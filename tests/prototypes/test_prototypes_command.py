import re
from pathlib import Path

import numpy as np
import pytest

from xpronet.commands.prototypes import prototypes
from xpronet.commands.train import train
from xpronet.data.corpus import Corpus
from xpronet.errors import InputError
from xpronet.experiment.run import BANK_FILE
from xpronet.prototypes.bank import PrototypeBank

TINY = """
[images]
size = 64
short_side = 64
[backbone]
depth = 18
width = 8
[text]
width = 3
[prototypes]
per_finding = 2
[train]
seed = 0
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path


def test_the_command_writes_a_bank_and_says_what_it_is_made_of(
    hearts: Corpus, recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "prototypes.safetensors"
    prototypes(recipe, corpus=hearts.folder, out=out)
    bank = PrototypeBank.load(out)
    assert bank.vectors.shape == (28, 64 + 3)
    assert (bank.counts["Cardiomegaly"], bank.counts["No Finding"], bank.counts["Pleural Effusion"]) == (6, 6, 0)
    assert (bank.image_encoder, bank.text_encoder) == ("resnet18, width 8 (random, seed 0)", "tfidf-3")
    assert bank.images == {"size": 64, "short_side": 64, "test": "crop"}
    # Large and normal hearts must not come out alike.
    assert np.abs(bank.of("Cardiomegaly").mean(0) - bank.of("No Finding").mean(0)).max() > 0.05
    said = capsys.readouterr().out
    assert re.search(r"Cardiomegaly\W+6\b", said)
    assert "Fracture: no study has it" in said
    assert "28 prototypes of width 67" in said


def test_the_same_seed_gives_the_same_bytes(hearts: Corpus, recipe: Path, tmp_path: Path):
    for name, seed in (("first", 1), ("again", 1), ("other", 2)):
        seeds = (f"train.seed={seed}", f"prototypes.seed={seed}", "prototypes.mode=split")
        prototypes(recipe, corpus=hearts.folder, out=tmp_path / name, set_=seeds)
    first, again, other = ((tmp_path / name).read_bytes() for name in ("first", "again", "other"))
    assert first == again != other


def test_an_existing_file_is_refused_before_the_work(hearts: Corpus, recipe: Path, tmp_path: Path):
    out = tmp_path / "prototypes.safetensors"
    out.write_text("mine")
    with pytest.raises(InputError, match="already exists"):
        prototypes(recipe, corpus=hearts.folder, out=out)
    assert out.read_text() == "mine"
    prototypes(recipe, corpus=hearts.folder, out=out, overwrite=True)
    assert PrototypeBank.load(out).per_finding == 2


def test_a_mistake_leaves_no_file(hearts: Corpus, recipe: Path, tmp_path: Path):
    out = tmp_path / "out.safetensors"
    with pytest.raises(InputError, match=r"absent\.pth"):
        prototypes(recipe, corpus=hearts.folder, out=out, set_=(f"weights={tmp_path / 'absent.pth'}",))
    with pytest.raises(InputError, match="no text model here"):
        prototypes(recipe, corpus=hearts.folder, out=out, set_=(f"text.encoder={tmp_path / 'bert'}",))
    assert list(tmp_path.iterdir()) == [recipe]


@pytest.mark.slow
def test_training_begins_with_a_bank_of_its_recipe_and_makes_the_same(
    tiny_recipe_file: Path, phantom_folder: Path, tmp_path: Path
):
    bank = tmp_path / "prototypes.safetensors"
    prototypes(tiny_recipe_file, corpus=phantom_folder, out=bank)
    one = ("train.epochs=1",)
    train(tiny_recipe_file, corpus=phantom_folder, out=tmp_path / "given", prototypes=bank, set_=one)
    train(tiny_recipe_file, corpus=phantom_folder, out=tmp_path / "made", set_=one)
    assert (tmp_path / "given" / BANK_FILE).read_bytes() == bank.read_bytes()
    assert (tmp_path / "made" / BANK_FILE).read_bytes() == bank.read_bytes()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("backbone.width=4", r"image encoder resnet18, width 8 .random, seed 1., the recipe has resnet18, width 4"),
        ("train.seed=5", r"image encoder .*seed 1.*seed 5"),
        ("images.test=pad", r"images\.test crop, the recipe has pad"),
        ("images.short_side=72", r"images\.short_side 64, the recipe has 72"),
        ("text.width=5", r"text encoder tfidf-8, the recipe has tfidf-5"),
        ("prototypes.per_finding=3", r"prototypes\.per_finding 4, the recipe has 3"),
    ],
)
def test_a_bank_of_another_recipe_is_refused_by_name(
    tiny_run: Path, tiny_recipe_file: Path, phantom_folder: Path, tmp_path: Path, change: str, told: str
):
    bank = tiny_run / BANK_FILE
    with pytest.raises(InputError, match=rf"^{re.escape(str(bank))}: made with {told}"):
        train(tiny_recipe_file, corpus=phantom_folder, out=tmp_path / "run", prototypes=bank, set_=(change,))
    assert not (tmp_path / "run").exists()
