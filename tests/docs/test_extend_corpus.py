"""The reader of docs/how_to/extend_corpus.md makes a corpus, from the command line and from Python."""

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xpronet.cli import run
from xpronet.data.corpus import open_corpus

PAGE = (Path(__file__).parents[2] / "docs" / "how_to" / "extend_corpus.md").read_text()
READER, USE = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
[COMMAND] = re.findall(r"^    xpronet (.*)$", PAGE, re.MULTILINE)
WRONG = """
def text(): return "corpus"
def holds_text():
    from xpronet.corpora.source import SourceCorpus
    return SourceCorpus(name="x", studies=iter(["s1"]), images=None)
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the page's studies, and its reader as an installed package."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "my_corpora.py").write_text(READER + WRONG)
    for number in range(10):
        folder = tmp_path / "studies" / f"p{number // 2}_s{number}"
        folder.mkdir(parents=True)
        (folder / "report.txt").write_text(f"FINDINGS: Lung {number} is clear.\nIMPRESSION: Normal.\n")
        for name in ("a", "b"):
            Image.fromarray(np.random.default_rng(number).integers(0, 256, (40, 48), np.uint8)).save(
                folder / f"{name}.png"
            )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path / "site")
    yield tmp_path
    sys.modules.pop("my_corpora", None)


def test_the_command_makes_a_corpus(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(shlex.split(COMMAND)) == 0
    assert "corpus: 10 studies" in capsys.readouterr().out
    corpus = open_corpus(Path("corpus"))
    first = corpus.studies[0]
    assert (first.id, first.patient, first.report) == ("p0_s0", "p0", "Lung 0 is clear.")
    assert first.sections == {"findings": "Lung 0 is clear.", "impression": "Normal."}
    assert [(view.width, view.height) for view in first.views] == [(48, 40)] * 2
    assert first.source == "p0_s0/report.txt"
    assert (corpus.name, corpus.licence, corpus.made["options"]) == ("folders", "ours", {"root": "studies"})
    assert all(corpus.studies[n].split == corpus.studies[n + 1].split for n in range(0, 10, 2)), "drawn by patient"
    assert run(["prepare", "check", "corpus"]) == 0


def test_the_code_makes_the_same(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exec(USE, {})
    assert "'train': 6" in capsys.readouterr().out
    assert len(open_corpus(Path("corpus")).studies) == 10


def test_unusable_studies_are_named_and_left_out(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("studies/p0_s0/a.png").write_text("no image")
    Path("studies/p1_s2/report.txt").write_text("FINDINGS: nan\n")
    assert run(shlex.split(COMMAND)) == 2
    assert "1 of 10 studies cannot be used: 1 with no report (first p1_s2; p1_s2/report.txt: 'nan')" in (
        capsys.readouterr().err
    )
    assert run([*shlex.split(COMMAND), "--tolerate", "2"]) == 0
    assert "left out: 1 with an image that cannot be read" in capsys.readouterr().out
    assert len(open_corpus(Path("corpus")).studies) == 8


@pytest.mark.parametrize(
    ("reader", "options", "line"),
    [
        ("python:my_corpora:read_folders", (), "missing a required argument: 'root'; its options are (root: str"),
        ("python:my_corpora:read_folders", ("--option", "root=a", "--option", "size=3"), "'size'"),
        ("python:my_corpora:read_folders", ("--option", "root"), "--option root: write name=value"),
        ("python:my_corpora:read_folders", ("--option", "root=a", "--option", "root=b"), "given twice"),
        ("python:my_corpora:read_folders", ("--option", "root=nowhere"), "nowhere: no such folder"),
        ("python:my_corpora:text", (), "returns a str, not a SourceCorpus"),
        ("python:my_corpora:holds_text", (), "has a str among its studies"),
        ("python:my_corpora:absent", (), "has no 'absent'"),
        ("read_folders", (), "not a name of the form python:package.module:object"),
    ],
)
def test_mistakes_are_one_line(
    reader: str, options: tuple[str, ...], line: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["prepare", "outside", reader, *options, "--out", "corpus"]) == 2
    error = capsys.readouterr().err
    assert line in error
    assert error.count("\n") == 1
    assert not Path("corpus").exists()
