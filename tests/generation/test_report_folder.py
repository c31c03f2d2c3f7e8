"""Reports about a folder of images without any text."""

import shutil
from pathlib import Path

import pytest

import xpronet
from xpronet.cli import run
from xpronet.data.corpus import Corpus
from xpronet.errors import InputError
from xpronet.files import read_json
from xpronet.generation.report_folder import open_folder, report_folder


@pytest.fixture
def films(phantom: Corpus, tmp_path: Path) -> Path:
    """A study of two views in a folder of its own, a study of one image, and a file that is no image."""
    folder = tmp_path / "films"
    (folder / "first").mkdir(parents=True)
    two = next(study for study in phantom.studies if len(study.views) == 2)
    for number, view in enumerate(two.views):
        shutil.copy(phantom.view_path(view), folder / "first" / f"{number}.png")
    shutil.copy(phantom.view_path(two.views[0]), folder / "second.v1.png")
    (folder / "notes.txt").write_text("no image\n")
    return folder


def test_each_study_has_a_text_and_its_evidence(tiny_run: Path, films: Path, tmp_path: Path) -> None:
    out = tmp_path / "reports"
    model = xpronet.load(tiny_run)
    outcome = report_folder(model, open_folder(films, out), out, batch_size=1)
    assert (outcome.written, dict(outcome.refused)) == (2, {})
    assert sorted(path.name for path in out.iterdir()) == [
        "first.json",
        "first.txt",
        "second.v1.json",
        "second.v1.txt",
    ]
    alone = model.report(sorted((films / "first").iterdir()), study_id="first")
    assert (out / "first.txt").read_text() == alone.text + "\n"
    record = read_json(out / "first.json")
    assert record["report"] == alone.text
    assert record["views"] == ["0.png", "1.png"]
    assert len(record["words"]) == len(alone.words)
    assert "reference" not in record


def test_a_damaged_image_does_not_end_the_work(
    tiny_run: Path, films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (films / "broken.png").write_text("no image\n")
    words = ["report", str(tiny_run), str(films), "--out", str(tmp_path / "reports")]
    assert run(words) == 1
    printed = capsys.readouterr()
    assert "Wrote 2 reports" in printed.out
    assert "broken: no report: " in printed.err
    assert "xpronet: 1 of 3 studies have no report, for the reasons above" in printed.err
    assert run(words) == 2
    assert "already exists" in capsys.readouterr().err


def test_two_studies_of_one_name_are_refused(films: Path, tmp_path: Path) -> None:
    shutil.copy(films / "second.v1.png", films / "first.png")
    with pytest.raises(InputError, match=r"first and first\.png are studies of one name"):
        open_folder(films, tmp_path / "reports")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("{films}", "add --out FOLDER"),
        ("{films}/second.v1.png --out {out}", "--out is for one folder of studies"),
        ("{films} --out {out} --html page.html", "are for one study"),
        ("{films} --out {films}", "already exists"),
        ("{films} --out {films} --overwrite", "is the folder of the images"),
    ],
)
def test_what_does_not_fit_a_folder(
    words: str, told: str, tiny_run: Path, films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [word.format(films=films, out=tmp_path / "reports") for word in words.split()]
    assert run(["report", str(tiny_run), *given]) == 2
    assert told in capsys.readouterr().err
