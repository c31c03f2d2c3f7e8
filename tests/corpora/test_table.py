"""Corpora from a user's table: three forms, splits, views, refusals, real annotation files."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from xpronet.cli import run
from xpronet.commands.prepare_table import table
from xpronet.corpora.image_cache import PictureForm
from xpronet.corpora.table import TableSettings, TableSummary, make_table
from xpronet.data.corpus import Corpus, open_corpus
from xpronet.data.study import SPLITS, Study
from xpronet.errors import InputError
from xpronet.images.read import read_grey

Rows = Sequence[dict[str, Any]]


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder with a.png, b.png, c.png of distinct greys, and d/e.png."""
    folder = tmp_path / "pictures"
    (folder / "d").mkdir(parents=True)
    for number, name in enumerate(("a.png", "b.png", "c.png", "d/e.png")):
        Image.fromarray(np.full((40, 48), 40 * number + 10, np.uint8)).save(folder / name)
    return folder


def written(folder: Path, rows: Rows, form: str) -> Path:
    path = folder / f"table.{form}"
    if form == "csv":
        with path.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def made(path: Path, pictures: Path | None, **values: Any) -> tuple[Corpus, TableSummary]:
    form = values.pop("form", path.suffix[1:])
    chosen = TableSettings(
        table=path, form=form, images=pictures, name="mine", pictures=PictureForm(short_side=32), **values
    )
    out = path.parent / "corpus"
    prepared = make_table(out, chosen, overwrite=True)
    return open_corpus(out), prepared


def row(number: int, image: Any = "a.png", **values: Any) -> dict[str, Any]:
    return {"id": f"s{number}", "report": f"Report {number}.", "image": image, "split": "train", **values}


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_both_forms_make_the_same_corpus(form: str, tmp_path: Path, pictures: Path) -> None:
    rows = [
        row(1, "b.png;d/e.png", view="LATERAL;PA", split="train", patient="p1", impression="Fine,\nreally."),
        row(2, '["c.png"]', view="?", split="validate", patient="p2", impression=""),
        row(3, "a.png", view="", split="TEST", patient="", impression=""),
    ]
    corpus, prepared = made(written(tmp_path, rows, form), pictures)
    first, second, third = corpus.studies
    assert [view.position for view in first.views] == ["PA", "LATERAL"]
    assert [int(read_grey(corpus.view_path(view))[0, 0]) for view in first.views] == [130, 50]
    assert [(view.width, view.height) for view in first.views] == [(38, 32)] * 2
    assert (first.report, first.patient, first.sections) == ("Report 1.", "p1", {"impression": "Fine,\nreally."})
    assert first.source == ("table.csv, line 3" if form == "csv" else "table.jsonl, record 1")
    assert (second.split, second.views[0].position, third.split, third.patient) == ("val", None, "test", None)
    assert prepared.studies == {"train": 1, "val": 1, "test": 1}
    assert prepared.left_out == {}
    assert corpus.made["short_side"] == 32


def test_rows_of_one_id_are_views(tmp_path: Path, pictures: Path) -> None:
    rows = [row(1, "b.png", view="LL"), row(2, "c.png", view="PA"), row(1, "a.png", view="AP", report="")]
    corpus, _ = made(written(tmp_path, rows, "csv"), pictures)
    assert [study.id for study in corpus.studies] == ["s1", "s2"]
    assert [view.position for view in corpus.studies[0].views] == ["AP", "LL"]


def test_annotation(tmp_path: Path, pictures: Path) -> None:
    path = tmp_path / "annotation.json"
    record = {"id": "one/1", "report": "Clear.", "image_path": ["a.png", "b.png"], "split": "train", "finding": 3}
    path.write_text(json.dumps({"train": [record], "test": [{**record, "id": "two", "split": "test"}]}))
    corpus, prepared = made(path, pictures, form="annotation")
    assert prepared.studies == {"train": 1, "val": 0, "test": 1}
    assert len({view.path for study in corpus.studies for view in study.views}) == 4
    assert all("/" not in view.path.removeprefix("images/") for study in corpus.studies for view in study.views)
    corpus, _ = made(path, None, form="annotation")
    assert [study.views for study in corpus.studies] == [(), ()]


def test_a_split_is_drawn_by_patient_and_seed(tmp_path: Path) -> None:
    rows = [{"id": str(n), "text": "Clear.", "patient": f"p{n % 40}"} for n in range(120)]
    corpus, prepared = made(written(tmp_path, rows, "jsonl"), None)
    assert prepared.studies == {"train": 84, "val": 12, "test": 24}
    assert prepared.straddling == []

    def splits(studies: Sequence[Study]) -> dict[str, str]:
        return {study.id: study.split for study in studies}

    again, _ = made(written(tmp_path, rows[::-1], "jsonl"), None)
    assert splits(again.studies) == splits(corpus.studies)
    other, _ = made(tmp_path / "table.jsonl", None, seed=1)
    assert splits(other.studies) != splits(corpus.studies)
    with pytest.raises(InputError, match="too few studies"):
        made(written(tmp_path, rows[:2], "jsonl"), None)


def test_patients_on_both_sides_are_told(tmp_path: Path) -> None:
    rows = [{"id": n, "report": "Clear.", "split": s, "patient": 5} for n, s in enumerate(SPLITS)]
    _, prepared = made(written(tmp_path, rows, "jsonl"), None)
    assert prepared.straddling == ["5"]


def test_unusable_studies_are_counted_or_left_out(tmp_path: Path, pictures: Path) -> None:
    (pictures / "bad.png").write_text("no image")
    rows = [
        row(1),
        row(2, report=""),
        row(3, ""),
        row(4, "absent.png"),
        row(5, "a.png;bad.png"),
        row(6, "a.png;a.png"),
        row(7),
        row(7),
        row(8),
    ]
    path = written(tmp_path, rows, "csv")
    with pytest.raises(InputError, match=r"5 of 8 studies .*1 with no report \(first s2\).*--tolerate 5") as refused:
        made(path, pictures)
    assert "\n" not in str(refused.value)
    with pytest.raises(InputError, match=r"6 of 8 studies .*bad.png: neither PNG, JPEG nor DICOM.*--tolerate 6"):
        made(path, pictures, tolerate=5)
    assert not (tmp_path / "corpus").exists()
    corpus, prepared = made(path, pictures, tolerate=6)
    assert [study.id for study in corpus.studies] == ["s1", "s8"]
    assert {reason: list(ids) for reason, ids in prepared.left_out.items()} == {
        "no report": ["s2"],
        "no image named": ["s3"],
        "an image that is missing": ["s4"],
        "an image that cannot be read": ["s5"],
        "an image that stands twice": ["s6"],
        "an id that stands twice": ["s7"],
    }
    assert sum(corpus.made["left_out"].values()) == 6
    assert sorted(p.name for p in (tmp_path / "corpus" / "images").iterdir()) == ["s1-1.png", "s8-1.png"]


def test_ids_become_distinct_file_names(tmp_path: Path, pictures: Path) -> None:
    ids = ["a b", "a_b", "A_b", "..", "../../x", "é" * 90, "x" * 90, "x" * 91]
    rows = [row(0, id=name) for name in ids]
    corpus, _ = made(written(tmp_path, rows, "jsonl"), pictures)
    paths = [study.views[0].path.lower() for study in corpus.studies]
    assert len(set(paths)) == len(ids)
    assert [study.id for study in corpus.studies] == ids


@pytest.mark.parametrize("path", ["../secret.png", "/etc/passwd", "d/../../secret.png"])
def test_pictures_stay_in_their_folder(path: str, tmp_path: Path, pictures: Path) -> None:
    Image.fromarray(np.zeros((40, 40), np.uint8)).save(tmp_path / "secret.png")
    with pytest.raises(InputError, match="leads out"):
        made(written(tmp_path, [row(1, path)], "csv"), pictures, tolerate=9)


CSV_FAULTS = {
    "line 2: no id": "report,image\nClear.,a.png\n",
    "line 3: 4 cells in 3 columns": "id,report,image\n1,Clear.,a.png\n2,Clear, really,a.png\n",
    "column name stands twice": "id,report,Report\n1,a,b\n",
    "no studies": "id,report,image\n",
    "not CSV": 'id,report,image\n1,"Clear"x,a.png\n',
    "split 'holdout' is none of": "id,report,image,split\n1,Clear.,a.png,holdout\n",
    "no split, while other rows": "id,report,image,split\n1,Clear.,a.png,train\n2,Clear.,a.png,\n",
    "begins like a JSON list": "id,report,image\n1,Clear.,[a.png]\n",
    "2 view positions for 1 images": "id,report,image,view\n1,Clear.,a.png,PA;LL\n",
}


@pytest.mark.parametrize("reason", CSV_FAULTS)
def test_malformed_csv_is_named(reason: str, tmp_path: Path, pictures: Path) -> None:
    (tmp_path / "table.csv").write_text(CSV_FAULTS[reason])
    with pytest.raises(InputError, match=reason) as refused:
        made(tmp_path / "table.csv", pictures)
    assert "table.csv" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[1]", "record 1: not a JSON object"),
        ('{"id": 1.5, "report": "a"}', "id is not text"),
        ('{"id": 1, "report": ["a"]}', "report is not text"),
        ('{"id": 1, "report": "a", "image": {"path": "a.png"}}', "text or a list of texts"),
    ],
)
def test_malformed_json_lines_are_named(text: str, reason: str, tmp_path: Path, pictures: Path) -> None:
    (tmp_path / "table.jsonl").write_text(text)
    with pytest.raises(InputError, match=reason):
        made(tmp_path / "table.jsonl", pictures)


@pytest.mark.parametrize(
    ("annotation", "reason"),
    [
        ([], "not an annotation file"),
        ({"train": {}}, "not an annotation file"),
        ({"train": [{"id": "1", "split": "test"}]}, "stands under 'train'"),
        ({"train": ["1"]}, "train 1: not a JSON object"),
        ({"holdout": [{"id": "1"}]}, "split 'holdout'"),
    ],
)
def test_malformed_annotations_are_named(annotation: Any, reason: str, tmp_path: Path) -> None:
    (tmp_path / "annotation.json").write_text(json.dumps(annotation))
    with pytest.raises(InputError, match=reason):
        made(tmp_path / "annotation.json", None, form="annotation")


def test_settings_are_checked(tmp_path: Path) -> None:
    for wrong, reason in (({"tolerate": -1}, "tolerate"), ({"seed": 0, "images": tmp_path / "no"}, "no such folder")):
        with pytest.raises(InputError, match=reason):
            TableSettings(**{"table": tmp_path, "form": "csv", "images": None, "name": "x", **wrong})
    with pytest.raises(InputError, match="short_side = 8"):
        TableSettings(table=tmp_path, form="csv", images=None, name="x", pictures=PictureForm(short_side=8))


def test_command_wants_one_table_and_pictures_or_none(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with pytest.raises(InputError, match="0 tables given"):
        table(out=tmp_path / "o", no_images=True)
    with pytest.raises(InputError, match="2 tables given"):
        table(out=tmp_path / "o", csv=path, jsonl=path, no_images=True)
    with pytest.raises(InputError, match="either --images FOLDER or --no-images"):
        table(out=tmp_path / "o", csv=path)


def test_command_on_real_texts(shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "iu"
    table(out=out, annotation=shared / "data" / "iu_xray" / "annotation.json", no_images=True)
    assert "2955 studies (train 2069, val 296, test 590)" in capsys.readouterr().out
    assert len(open_corpus(out).split("test")) == 590
    with pytest.raises(InputError, match="already exists"):
        table(out=out, annotation=shared / "data" / "iu_xray" / "annotation.json", no_images=True)


@pytest.mark.slow
def test_command_on_real_pictures(shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = shared / "data" / "covid_chestxray"
    table(out=tmp_path / "covid", annotation=folder / "annotation.json", images=folder, licence="CC BY-NC-SA")
    assert "526 studies (train 372, val 44, test 110)" in capsys.readouterr().out
    corpus = open_corpus(tmp_path / "covid")
    assert corpus.licence == "CC BY-NC-SA"
    for study in corpus.studies[::50]:
        (view,) = study.views
        assert read_grey(corpus.view_path(view)).shape == (view.height, view.width)
        assert min(view.width, view.height) <= 256


def test_depth_on_the_command_line(tmp_path: Path, pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, [{"id": str(n), "report": "Clear.", "image": "a.png"} for n in range(10)], "csv")
    command = ["prepare", "table", "--csv", str(path), "--images", str(pictures), "--out", str(tmp_path / "o")]
    assert run([*command, "--depth", "12"]) == 2
    assert "12" in capsys.readouterr().err
    assert run([*command, "--depth", "16"]) == 0
    corpus = open_corpus(tmp_path / "o")
    assert corpus.made["depth"] == 16
    assert {read_grey(corpus.view_path(view)).dtype for study in corpus.studies for view in study.views} == {
        np.dtype("uint16")
    }
    assert run(["prepare", "check", str(tmp_path / "o"), "--decode"]) == 0
    assert "grey, 16 bits" in capsys.readouterr().out
