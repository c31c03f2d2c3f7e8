"""Cited numbers beside measured ones: one column for what is comparable, and never for more without force."""

from pathlib import Path

import pytest

from xpronet.cli import run
from xpronet.experiment.variant_table import RowNotes, SeedsScore, Variant, VariantTable, read_variant_table
from xpronet.files import read_json, write_json

NAMES = ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L", "METEOR", "CIDEr")


def row(name: str, value: float) -> Variant:
    scores = {each: SeedsScore(value=value, low=0.1, high=0.9, spread=None, each=(value,)) for each in NAMES}
    notes = RowNotes(findings_from="none", exactness="exact", differs="nothing")
    return Variant(name=name, oracle=False, scores=scores, notes=notes)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    table = VariantTable(
        title="Table 1",
        stamp={"corpus": "IU X-Ray", "split": "test, 590 of 590 studies", "protocol": "published-iu"},
        variants=(row("ST", 0.111), row("R2GenCMN", 0.222)),
        constants=(row("constant, best BLEU-4", 0.197),),
    )
    write_json(tmp_path / "table.json", table.record())
    assert read_variant_table(read_json(tmp_path / "table.json"), where="here") == table
    return tmp_path


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert run(["table", *arguments]) == 0
    return capsys.readouterr().out.splitlines()


def test_comparable_numbers_stand_beside_and_all_others_apart(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, str(folder), "--published")
    apart = next(number for number, line in enumerate(lines) if line.startswith("Cited, not comparable"))
    beside = "\n".join(lines[:apart])
    assert "0.111" in beside
    assert "0.168" in beside  # R2GenCMN, re-run on the same split
    assert "0.066" not in beside
    assert any("0.066" in line for line in lines[apart:])  # ST, on a split of its own


def test_wrong_cells_are_shown_with_their_correction(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "\n".join(printed(capsys, str(folder), "--published"))
    assert "0.304! 0.367" in text
    assert "0.220! 0.297" in text
    assert "! SentSAT+KG: printed 0.304 is its CIDEr" in text


def test_one_column_is_refused_without_force(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["table", str(folder), "--published", "--one-column"]) == 2
    message = capsys.readouterr().err
    assert "are not comparable with this table, the first is ST of Li 2018" in message
    assert len(message.splitlines()) == 1
    forced = "\n".join(printed(capsys, str(folder), "--published", "--one-column", "--force"))
    assert "0.066" in forced
    assert "Cited, not comparable" not in forced


def test_a_folder_without_a_table_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["table", str(tmp_path)]) == 2
    assert "table.json: no such table; make it with `xpronet rivals" in capsys.readouterr().err
