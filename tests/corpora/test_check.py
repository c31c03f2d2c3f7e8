"""Verifying a corpus folder: every kind of damage is found, and the page says what is in it."""

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from xpronet.commands.prepare_check import check
from xpronet.corpora.check import check_corpus, length_bins
from xpronet.corpora.duplicates import same_images, stack, thumbnail
from xpronet.data.corpus import CORPUS_FILE, STUDIES_FILE, write_corpus
from xpronet.data.study import Study, View
from xpronet.errors import InputError
from xpronet.images.read import at_depth, read_grey, write_grey


def film(number: int) -> np.ndarray:
    """A soft image unlike that of every other number."""
    coarse = np.random.default_rng(number).integers(0, 256, (6, 6), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((96, 80), Image.Resampling.BICUBIC))


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Six studies: two in each split; the second of val and of test has a train report in other letters."""
    folder = tmp_path / "corpus"
    studies = []
    for number in range(6):
        split = ("train", "val", "test")[number // 2]
        path = f"images/{number}.png"
        write_grey(folder / path, film(number))
        studies.append(
            Study(
                id=f"s{number}",
                split=split,
                views=(View(path=path, position="PA" if number else None, width=96, height=80),),
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
    assert (checked.patients, checked.without_images) == (6, 0)
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
    "1 images have another size": lambda folder: edit(folder, 1, view={"width": 95}),
    "1 images are used twice.*1 files in images/ belong to no": lambda folder: edit(
        folder, 1, view={"path": "images/0.png"}
    ),
    r"1 images have 16 bits, not the 8 of corpus.json \(first images/1.png\)": deepen,
    "1 files in images/ belong to no study": lambda folder: (folder / "images" / "x").write_text(""),
    r"1 patients are in more than one split.*first p0": lambda folder: edit(folder, 5, patient="p0"),
    "2 studies have no report .*first s1, s2": lambda folder: (
        edit(folder, 1, report=" "),
        edit(folder, 2, report="NaN"),
    ),
    "corpus.json counts": lambda folder: edit(folder, 1, split="val"),
}


@pytest.mark.parametrize("reason", DAMAGES)
def test_damage_is_found(reason: str, corpus: Path) -> None:
    DAMAGES[reason](corpus)
    with pytest.raises(InputError, match=reason) as refused:
        check(corpus, decode=True)
    assert "\n" not in str(refused.value)


def jpeg(grey: np.ndarray) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(grey).save(stream, format="JPEG", quality=30)
    return np.asarray(Image.open(stream))


COPIES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "as it is": lambda grey: grey,
    "as JPEG": jpeg,
    "half as large": lambda grey: grey[::2, ::2],
    "in 16 bits": lambda grey: at_depth(grey, 16),
    "darker": lambda grey: (grey * 0.7).astype(np.uint8),
}


@pytest.mark.parametrize("how", COPIES)
def test_an_image_in_two_splits_is_found(how: str, corpus: Path) -> None:
    copy = COPIES[how](film(0))
    write_grey(corpus / "images" / "5.png", copy, overwrite=True)
    edit(corpus, 5, view={"width": copy.shape[1], "height": copy.shape[0]})
    if copy.dtype != np.uint8:
        for number in range(5):
            write_grey(corpus / "images" / f"{number}.png", at_depth(film(number), 16), overwrite=True)
        info = json.loads((corpus / CORPUS_FILE).read_text())
        (corpus / CORPUS_FILE).write_text(json.dumps({**info, "made": {"depth": 16}}))
    checked = check_corpus(corpus)
    assert checked.problems == [
        "1 images are in more than one split, so scores are too good "
        "(first images/0.png in train and images/5.png in test)"
    ]
    assert check_corpus(corpus, decode=False).problems == []


def test_two_images_of_one_split_may_be_the_same(corpus: Path) -> None:
    write_grey(corpus / "images" / "1.png", film(0), overwrite=True)
    assert check_corpus(corpus).problems == []


@given(st.lists(st.integers(0, 5), max_size=6), st.lists(st.integers(0, 5), max_size=6))
def test_every_copy_is_found_in_whatever_blocks(first: list[int], second: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("xpronet.corpora.duplicates.BLOCK", 2)
        same = list(same_images(*(stack([thumbnail(film(number)) for number in part]) for part in (first, second))))
    assert [row for _, row in same] == [row for row, number in enumerate(second) if number in first]
    assert all(first[one] == second[other] for one, other in same)


def test_flat_images_are_told_apart_by_their_grey() -> None:
    flat = stack([thumbnail(np.full((40, 40), grey, np.uint8)) for grey in (0, 7, 255)])
    assert list(same_images(flat, flat[1:2])) == [(1, 0)]


def test_words_that_a_vocabulary_would_not_know(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check_corpus(corpus).unknown == {"train": 1.0, "val": 1.0, "test": 1.0}
    for number in range(3):
        edit(corpus, number, report="The lungs are clear", split="train")
        edit(corpus, 3 + number, report="The lungs are grey")
    assert check_corpus(corpus).unknown == {"train": 0.0, "val": 0.25, "test": 0.25}


def test_paths_that_lead_out_and_repeated_ids_are_refused(corpus: Path) -> None:
    edit(corpus, 1, id="s0")
    with pytest.raises(InputError, match="ids are repeated"):
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
