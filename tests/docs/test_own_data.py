"""The table of docs/how_to/own_data.md becomes a labelled corpus by the page's own commands."""

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from page_files import write_dicom
from PIL import Image

from xpronet.cli import run
from xpronet.data.corpus import open_corpus

PAGE = "how_to/own_data.md"
TEXT = (Path(__file__).parents[2] / "docs" / PAGE).read_text()
TABLE = re.sub(r"^    ", "", re.search(r"(?:^    .*\n)+", TEXT, re.MULTILINE)[0], flags=re.MULTILINE)


def test_the_table_becomes_a_corpus(
    phantom_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    commands: Callable[[str], list[str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("pydicom")
    monkeypatch.chdir(tmp_path)
    Path("studies.csv").write_text(TABLE)
    Path("films").mkdir()
    drawn = sorted((phantom_folder / "images").rglob("*.png"))
    shutil.copy(drawn[0], "films/s1_pa.png")
    shutil.copy(drawn[1], "films/s1_lat.png")
    write_dicom(Path("films/s2_pa.dcm"), drawn[2], view="PA", study="1.2.3", number=1)
    Image.open(drawn[4]).save("films/s3_pa.jpg")

    prepare, check, label, _ = commands(PAGE)
    assert run(shlex.split(prepare)[1:]) == 0
    corpus = open_corpus(Path("corpus"))
    assert [(study.id, study.split, len(study.views)) for study in corpus.studies] == [
        ("s1", "train", 2),
        ("s2", "val", 1),
        ("s3", "test", 1),
    ]
    assert run(shlex.split(check)[1:]) == 0
    assert run(shlex.split(label)[1:]) == 0
    assert "3 studies labelled" in capsys.readouterr().out
