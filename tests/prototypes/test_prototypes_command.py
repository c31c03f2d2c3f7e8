"""`xpronet prototypes` makes the very prototypes that training starts from."""

import re
from pathlib import Path

import pytest
import torch

from xpronet.cli import run
from xpronet.experiment.initial_prototypes import load_bank
from xpronet.experiment.recipe import Recipe
from xpronet.experiment.recipe_parts import build_backbone
from xpronet.labels.findings import FINDINGS, SCHEMAS
from xpronet.prototypes.bank import PrototypeBank


def command(recipe: Path, corpus: Path, out: Path, *more: str) -> list[str]:
    return ["prototypes", str(recipe), "--corpus", str(corpus), "--out", str(out), *more]


def test_the_bank_is_the_one_that_training_makes(
    tiny_recipe_file: Path, phantom_folder: Path, tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "prototypes.safetensors"
    assert run(command(tiny_recipe_file, phantom_folder, out)) == 0
    assert out.read_bytes() == (tiny_run / "prototypes.safetensors").read_bytes()
    printed = capsys.readouterr().out
    assert re.search(r"Cardiomegaly\W+\d+\b", printed)
    assert "Wrote 56 prototypes of width 72" in printed


def test_settings_come_from_the_recipe_and_the_command_line(
    tiny_recipe_file: Path, phantom_folder: Path, tmp_path: Path
) -> None:
    for name, seed in (("first", 1), ("again", 1), ("other", 2)):
        more = ("--set", f"prototypes.seed={seed}", "--set", "prototypes.per_finding=2")
        assert run(command(tiny_recipe_file, phantom_folder, tmp_path / name, *more)) == 0
    first, again, other = ((tmp_path / name).read_bytes() for name in ("first", "again", "other"))
    assert first == again != other
    assert PrototypeBank.load(tmp_path / "first").per_finding == 2


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ((), "already exists"),
        (("--overwrite", "--set", "bank=random"), "bank = 'random'"),
        (("--overwrite", "--set", "model.visible=none"), "model.visible = 'none'"),
        (("--overwrite", "--set", "weights=absent.pth"), "absent.pth"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_the_file(
    more: tuple[str, ...],
    message: str,
    tiny_recipe_file: Path,
    phantom_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "prototypes.safetensors"
    out.write_text("mine")
    assert run(command(tiny_recipe_file, phantom_folder, out, *more)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert out.read_text() == "mine"


@pytest.mark.parametrize("order", ["iu-xray", "mimic-cxr"])
def test_the_authors_own_file_is_taken_as_a_bank(order: str, tiny_recipe: Recipe, tmp_path: Path) -> None:
    # Each class's two rows hold its place in our order.
    published = SCHEMAS[f"published-{order}"]
    rows = torch.tensor([FINDINGS.index(name) for name in published for _ in range(2)], dtype=torch.float32)
    width = build_backbone(tiny_recipe).width_out + 5
    torch.save(rows[:, None].repeat(1, width), tmp_path / "init_prototypes.pt")
    bank = load_bank(tmp_path / "init_prototypes.pt", tiny_recipe, published_order=order)  # type: ignore[arg-type]
    assert (bank.per_finding, bank.width, bank.image_width) == (2, width, width - 5)
    for place, finding in enumerate(FINDINGS):
        assert (bank.of(finding) == place).all()
    bank.save(tmp_path / "bank.safetensors")
    assert PrototypeBank.load(tmp_path / "bank.safetensors").notes == bank.notes


def test_training_starts_from_the_authors_file(tiny_recipe_file: Path, phantom_folder: Path, tmp_path: Path) -> None:
    file, out = tmp_path / "init_prototypes.pt", tmp_path / "run"
    torch.save(torch.randn(14 * 4, 64 + 8, generator=torch.Generator().manual_seed(0)), file)
    arguments = ["train", str(tiny_recipe_file), "--corpus", str(phantom_folder), "--out", str(out)]
    assert run([*arguments, "--prototypes", str(file), "--set", "train.epochs=1"]) == 0
    assert PrototypeBank.load(out / "prototypes.safetensors").image_encoder == "published (init_prototypes.pt)"


class Harmful:
    def __reduce__(self) -> tuple[object, ...]:
        return (print, ("run",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (torch.zeros(15, 72), "15 rows are not the same number"),
        (torch.zeros(28, 64), "rows of 64 values"),
        (torch.full((28, 72), torch.nan), "not finite"),
        (torch.zeros(28), "not a matrix"),
        ({"a": 1, "b": 2}, "not a matrix"),
        (Harmful(), "not a file with a tensor alone"),
    ],
)
def test_other_files_are_refused_in_one_line(
    content: object, message: str, tiny_recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from xpronet.errors import InputError

    torch.save(content, tmp_path / "file.pt")
    with pytest.raises(InputError, match=message) as caught:
        load_bank(tmp_path / "file.pt", tiny_recipe)
    assert "\n" not in str(caught.value)
    assert capsys.readouterr().out == ""
