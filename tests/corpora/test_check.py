"""Verifying a corpus folder: every kind of damage is found, and the page says what is in it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpronet.commands.prepare_check import check
from xpronet.corpora.check import check_corpus, length_bins
from xpronet.data.corpus import CORPUS_FILE, STUDIES_FILE, write_corpus
from xpronet.data.study import Study, View
from xpronet.errors import InputError
from xpronet.images.read import at_depth, read_grey, write_grey


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Six studies: two in each split; the second of val and of test has a train report in other letters."""
    folder = tmp_path / "corpus"
    studies = []
    for number in range(6):
        split = ("train", "val", "test")[number // 2]
        path = f"images/{number}.png"
        write_grey(folder / path, np.full((40, 48), number, np.uint8))
        studies.append(
            Study(
                id=f"s{number}",
                split=split,
                views=(View(path=path, position="PA" if number else None, width=48, height=40),),
                report="The lungs are CLEAR" if number % 2 else f"Report {number} of 3.7 cm.",
                patient=f"p{number}",
            )
        )
    write_corpus(folder, studies, name="mine", licence="ours", made={})
    return folder


def edit(folder: Path, number: int, **values: Any) -> None:
    lines = (folder / STUDIES_FILE).read_text().splitlines()
    record = json.loads(lines[number])
    view = values.pop("view", {})
    record["views"] = [{**record["views"][0], **view}] if record["views"] else []
    lines[number] = json.dumps({**record, **values})
    (folder / STUDIES_FILE).write_text("\n".join(lines) + "\n")


def test_a_sound_corpus(corpus: Path) -> None:
    checked = check_corpus(corpus, decode=True)
    assert checked.problems == []
    assert checked.studies == {"train": 2, "val": 2, "test": 2}
    assert (checked.patients, checked.pictureless) == (6, 0)
    assert checked.positions == {"PA": 5, "unknown": 1}
    assert checked.lengths == {"train": [5, 4], "val": [5, 4], "test": [5, 4]}
    assert checked.repeated == {"val": 1, "test": 1}
    assert checked.distinct == {"train": 2, "val": 2, "test": 2}


def truncate(folder: Path) -> None:
    path = folder / "images" / "1.png"
    path.write_bytes(path.read_bytes()[:45])


def deepen(folder: Path) -> None:
    path = folder / "images" / "1.png"
    write_grey(path, at_depth(read_grey(path), 16), overwrite=True)


DAMAGES: dict[str, Callable[[Path], object]] = {
    r"1 images are missing \(first images/1.png\)": lambda folder: (folder / "images" / "1.png").unlink(),
    r"1 images cannot be read \(first images/1.png\)": truncate,
    "1 images have another size": lambda folder: edit(folder, 1, view={"width": 47}),
    "1 images stand in two places.*1 files in images/ belong to no": lambda folder: edit(
        folder, 1, view={"path": "images/0.png"}
    ),
    r"1 images have 16 bits, not the 8 of corpus.json \(first images/1.png\)": deepen,
    "1 files in images/ belong to no study": lambda folder: (folder / "images" / "x").write_text(""),
    r"1 patients are in more than one split.*first p0": lambda folder: edit(folder, 5, patient="p0"),
    "1 studies have no report": lambda folder: edit(folder, 1, report=" "),
    "corpus.json counts": lambda folder: edit(folder, 1, split="val"),
}


@pytest.mark.parametrize("reason", DAMAGES)
def test_damage_is_found(reason: str, corpus: Path) -> None:
    DAMAGES[reason](corpus)
    with pytest.raises(InputError, match=reason) as refused:
        check(corpus, decode=True)
    assert "\n" not in str(refused.value)


def test_paths_that_lead_out_and_repeated_ids_are_refused(corpus: Path) -> None:
    edit(corpus, 1, id="s0")
    with pytest.raises(InputError, match="stand twice"):
        check_corpus(corpus)
    edit(corpus, 1, id="s1", view={"path": "../secret.png"})
    with pytest.raises(InputError, match="leads out"):
        check_corpus(corpus)
    (corpus / CORPUS_FILE).unlink()
    with pytest.raises(InputError, match="no corpus here"):
        check_corpus(corpus)


def test_texts_alone_are_sound(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(6):
        edit(corpus, number, views=[], view={})
    shutil.rmtree(corpus / "images")
    check(corpus)
    printed = capsys.readouterr().out
    assert "studies without an image: 6" in printed
    assert "no labels.csv" in printed


def test_the_page(phantom_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check(phantom_folder, decode=True)
    printed = capsys.readouterr().out
    assert "no problems" in printed
    assert "Enlarged Cardiomediastinum" in printed
    assert "█" in printed
    assert len(printed.splitlines()) < 60


@given(st.lists(st.integers(0, 500)))
def test_every_length_is_in_one_bin(lengths: list[int]) -> None:
    bins = length_bins(lengths)
    assert sum(count for _, count in bins) == len(lengths)
    assert bins[0] == ("0-9", sum(length < 10 for length in lengths))
    assert bins[-1] == ("100+", sum(length >= 100 for length in lengths))
