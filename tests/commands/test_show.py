"""`xpronet show`: every figure from a small run, and one line for every mistake."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from xpronet.cli import run as command_line
from xpronet.data.corpus import open_corpus
from xpronet.experiment.recipe import Recipe
from xpronet.experiment.run import train_run
from xpronet.labels.findings import FINDINGS

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def bare_run(tiny_recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without prototypes and without a findings head."""
    model = dataclasses.replace(tiny_recipe.model, visible="none", findings_head=False)
    train = dataclasses.replace(tiny_recipe.train, epochs=1, best_by="word_loss")
    loss = dataclasses.replace(tiny_recipe.loss, findings=0.0)
    folder = tmp_path_factory.mktemp("bare") / "run"
    train_run(dataclasses.replace(tiny_recipe, model=model, train=train, loss=loss), folder)
    return folder


def show(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    status = command_line(["show", *map(str, arguments)])
    printed = capsys.readouterr()
    assert status == 0, printed.err
    return printed.out


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    status = command_line(["show", *map(str, arguments)])
    told = capsys.readouterr().err
    assert status == 2
    assert told.startswith("xpronet: ")
    assert told.count("\n") == 1
    return told


def test_an_atlas_names_findings_and_counts(
    tiny_run: Path, phantom_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [tmp_path / name for name in ("a.svg", "b.svg", "c.png", "d.png")]
    for file in files:
        assert "56 prototypes" in show(capsys, "atlas", tiny_run, "--out", file)
    assert files[0].read_bytes() == files[1].read_bytes()
    assert files[2].read_bytes() == files[3].read_bytes()
    said = files[0].read_text()
    assert all(finding in said for finding in FINDINGS)
    # Counted again from the corpus, the counts are those that the bank was made from.
    show(capsys, "atlas", tiny_run, "--out", files[1], "--corpus", phantom_folder, "--overwrite")
    assert files[0].read_bytes() == files[1].read_bytes()


def test_curves_are_drawn(tiny_run: Path, bare_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show(capsys, "curves", tiny_run, bare_run, "--out", tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 10_000
    assert "RUNS" in refused(capsys, "curves", "--out", tmp_path / "none.png")


def test_words_are_drawn_from_a_corpus_and_from_pictures(
    tiny_run: Path, phantom_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = open_corpus(phantom_folder).split("test")[0]
    whole, out = tmp_path / "whole.svg", tmp_path / "one.svg"
    drawn = show(capsys, "words", tiny_run, study.id, "--corpus", phantom_folder, "--out", whole, "--only", "all")
    text = drawn.split("\n")[0]
    said, word = whole.read_text(), text.split()[0].lower().rstrip(".")
    assert f">{word}<" in said
    assert "Cross-attention: the mean of" in said
    assert "in both; by chance" in said
    pictures = [phantom_folder / view.path for view in study.views]
    chosen = ("--only", word, "--head", 2, "--overwrite")
    assert text in show(capsys, "words", tiny_run, *pictures, "--out", out, *chosen)
    assert "head 2" in out.read_text()
    assert out.stat().st_size < whole.stat().st_size
    before = out.read_bytes()
    show(capsys, "words", tiny_run, *pictures, "--out", out, *chosen)
    assert out.read_bytes() == before


def test_words_without_prototypes_still_looked_somewhere(
    bare_run: Path, phantom_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = open_corpus(phantom_folder).split("test")[0]
    out = tmp_path / "words.svg"
    show(capsys, "words", bare_run, study.id, "--corpus", phantom_folder, "--out", out)
    said = out.read_text()
    assert "has no prototypes" in said
    assert "by chance" not in said


def test_reports_are_compared_as_text_and_as_figure(
    tiny_run: Path, bare_run: Path, phantom_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = open_corpus(phantom_folder).split("test")[1]
    out = tmp_path / "compare.png"
    copy = tmp_path / "copy"
    shutil.copytree(tiny_run, copy)
    printed = show(capsys, "compare", copy, bare_run, "--corpus", phantom_folder, "--study", study.id, "--out", out)
    assert f"Reference: {study.report}" in printed
    assert "copy (" in printed
    assert "run (" in printed
    assert out.stat().st_size > 10_000
    assert printed.count("Reference: ") == 1
    assert "no study 'x'" in refused(capsys, "compare", copy, "--corpus", phantom_folder, "--study", "x")


def test_a_prototype_is_drawn_with_its_words(
    tiny_run: Path, phantom_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "prototype.svg"
    printed = show(
        capsys, "prototype", tiny_run, "cardiomegaly", 1, "--corpus", phantom_folder, "--out", out, "--regions", 2
    )
    said = out.read_text()
    assert "Cardiomegaly, prototype 1" in said
    assert said.count("<image") == 2
    for word in printed.split("Words: ")[1].split("\n")[0].split(", "):
        assert f">{word.split()[0]}<" in said


def test_examples_of_all_prototypes_are_written(
    tiny_run: Path, phantom_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    assert "56 prototypes" in show(capsys, "prototypes", run, "--corpus", phantom_folder)
    record = json.loads((run / "prototype_examples.json").read_text())
    assert {len(finding["prototypes"]) for finding in record["findings"]} == {4}
    assert "--overwrite" in refused(capsys, "prototypes", run, "--corpus", phantom_folder)


def test_what_cannot_be_drawn_is_told_in_a_line(
    tiny_run: Path, bare_run: Path, phantom_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "figure.png"
    assert "no prototypes" in refused(capsys, "atlas", bare_run, "--out", out)
    there = ("--corpus", phantom_folder, "--out", out)
    assert "no prototypes" in refused(capsys, "prototype", bare_run, "Edema", 0, *there)
    assert "'Odema' is no finding" in refused(capsys, "prototype", tiny_run, "Odema", 0, *there)
    assert "no study 'none'" in refused(capsys, "words", tiny_run, "none", *there)
    assert "none.png: no such file" in refused(capsys, "words", tiny_run, tmp_path / "none.png", "--out", out)
    assert "0 to 3" in refused(capsys, "prototype", tiny_run, "Edema", 4, *there)
    assert ".png, .svg or .pdf" in refused(capsys, "atlas", tiny_run, "--out", tmp_path / "figure.gif")
    out.write_text("mine")
    assert "--overwrite" in refused(capsys, "atlas", tiny_run, "--out", out)
    assert out.read_text() == "mine"
