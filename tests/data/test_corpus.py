"""The corpus folder: what is written is read, and what is wrong is named."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from xpronet.data.corpus import open_corpus, relative_path, write_corpus
from xpronet.data.study import Study, View
from xpronet.errors import InputError


def study(number: int, split: str = "train", **values: Any) -> Study:
    view = View(path=f"images/{number}-1.png", position="PA", width=256, height=300)
    return Study(id=f"study {number}", split=split, views=(view,), report="Lungs are clear.", **values)


def written(folder: Path, *studies: Study) -> Path:
    folder.mkdir(exist_ok=True)
    write_corpus(folder, studies, name="a name", licence="CC0", made={"command": "test", "seed": 3})
    return folder


def change(folder: Path, **values: Any) -> None:
    """Change fields of the first study's record; None removes one."""
    path = folder / "studies.jsonl"
    first, *others = path.read_text().splitlines()
    record = {**json.loads(first), **values}
    record = {key: value for key, value in record.items() if value is not None}
    path.write_text("\n".join([json.dumps(record), *others]))


def test_round_trip(tmp_path: Path) -> None:
    studies = (
        study(1, patient="7", sections={"findings": "Lungs are clear."}, source="table.csv, line 2"),
        study(2, "test"),
        dataclasses.replace(study(3, "val"), views=()),
    )
    counts = write_corpus(tmp_path, (one for one in studies), name="a name", licence="CC0", made={"seed": 3})
    assert counts == {"train": 1, "val": 1, "test": 1}
    corpus = open_corpus(tmp_path)
    assert corpus.studies == studies
    assert (corpus.name, corpus.licence, corpus.made) == ("a name", "CC0", {"seed": 3})
    assert open_corpus(tmp_path, with_sections=False).studies == tuple(
        dataclasses.replace(one, sections={}) for one in studies
    )
    assert corpus.split("test") == studies[1:2]
    assert corpus.view_path(studies[0].views[0]) == tmp_path / "images" / "1-1.png"
    assert json.loads((tmp_path / "corpus.json").read_text())["studies"] == {"train": 1, "val": 1, "test": 1}


def test_absent_split_is_named(tmp_path: Path) -> None:
    corpus = open_corpus(written(tmp_path, study(1), study(2, "val")))
    with pytest.raises(InputError, match="no study in split 'test'; it has train, val"):
        corpus.split("test")


def test_no_corpus(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no corpus here"):
        open_corpus(tmp_path)
    written(tmp_path, study(1))
    (tmp_path / "corpus.json").write_text('{"format": 99}')
    with pytest.raises(InputError, match="not a corpus of format 1"):
        open_corpus(tmp_path)
    written(tmp_path)
    with pytest.raises(InputError, match="no studies"):
        open_corpus(tmp_path)


@pytest.mark.parametrize(
    "wrong",
    [
        {"split": "holdout"},
        {"views": [{"path": "a.png"}]},
        {"views": {"path": "a.png"}},
        {"views": None},
        {"report": None},
        {"colour": "red"},
        {"report": 7},
        {"id": 7},
        {"views": [{"path": 7, "width": 1, "height": 1}]},
        {"views": [{"path": "a.png", "width": "1", "height": 1}]},
    ],
)
def test_wrong_studies_are_named(wrong: dict[str, Any], tmp_path: Path) -> None:
    folder = written(tmp_path, study(1), study(2))
    change(folder, **wrong)
    with pytest.raises(InputError, match="study 1: ") as refused:
        open_corpus(folder)
    assert "studies.jsonl" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_record_that_is_no_object(tmp_path: Path) -> None:
    written(tmp_path, study(1))
    (tmp_path / "studies.jsonl").write_text("[]\n")
    with pytest.raises(InputError, match="study 1: not a study record"):
        open_corpus(tmp_path)


def test_repeated_ids_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"1 study ids are repeated \(first study 1"):
        open_corpus(written(tmp_path, study(1), study(2), study(1)))


def test_views_stay_in_the_corpus(tmp_path: Path) -> None:
    corpus = open_corpus(written(tmp_path, study(1)))
    with pytest.raises(InputError, match="leads out"):
        corpus.view_path(View(path="../secret.png", width=1, height=1))


def test_relative_paths_use_forward_slashes(tmp_path: Path) -> None:
    assert relative_path(tmp_path / "images" / "a.png", tmp_path) == "images/a.png"
