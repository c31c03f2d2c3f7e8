"""docs/explanation/parity.md against the presets: what the page says is what a recipe gets."""

import ast
from pathlib import Path

import pytest

from xpronet.experiment.recipe import PRESETS, make_recipe

ROOT = Path(__file__).parents[2]
COLUMNS = 9


def rows() -> list[list[str]]:
    lines = (ROOT / "docs" / "explanation" / "parity.md").read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    return [row for row in cells if row[0] not in ("topic", "what") and not row[0].startswith("---")]


DIFFERENCES = [row for row in rows() if len(row) == COLUMNS]
SETTINGS = [row for row in DIFFERENCES if row[3] != "–"]


def test_every_row_is_whole():
    assert {len(row) for row in rows()} == {3, COLUMNS}
    assert len(DIFFERENCES) > 40
    assert all(all(row) for row in rows())


@pytest.mark.parametrize("row", SETTINGS, ids=lambda row: row[0])
def test_presets_are_what_the_page_says(row):
    section, name = row[3].strip("`").split(".")
    for preset, told in zip(("published", "paper", "xpronet"), row[4:7], strict=True):
        value = getattr(getattr(make_recipe({"preset": preset}, where="test"), section), name)
        assert str(value) == told.strip("`"), preset


def test_every_choice_of_a_preset_is_on_the_page():
    told = {row[3].strip("`") for row in SETTINGS}
    chosen = {
        f"{section}.{name}" for preset in PRESETS.values() for section, values in preset.items() for name in values
    }
    assert chosen <= told


@pytest.mark.parametrize("named", sorted({row[-1].strip("`") for row in rows()}))
def test_tests_named_on_the_page_exist(named):
    path, _, function = named.partition("::")
    module = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    names = {node.name for node in module.body if isinstance(node, ast.FunctionDef)}
    assert function in names if function else any(name.startswith("test_") for name in names)
