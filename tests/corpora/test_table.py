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
from xpronet.corpora.build import LEFT_OUT_FILE, BuildSettings, BuildSummary
from xpronet.corpora.image_cache import ImageFormat
from xpronet.corpora.table import TableSettings, make_table
from xpronet.data.corpus import Corpus, open_corpus
from xpronet.data.study import SPLITS, Study
from xpronet.errors import InputError
from xpronet.images.read import read_grey

Rows = Sequence[dict[str, Any]]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder with a.png, b.png, c.png of distinct greys, and d/e.png."""
    folder = tmp_path / "images"
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


def made(path: Path, images: Path | None, *, form: Any = None, **values: Any) -> tuple[Corpus, BuildSummary]:
    chosen = TableSettings(table=path, form=form or path.suffix[1:], images=images, name="mine")
    out = path.parent / "corpus"
    build = BuildSettings(image_format=ImageFormat(short_side=32), **values)
    prepared = make_table(out, chosen, build, overwrite=True)
    return open_corpus(out), prepared


def row(number: int, image: Any = "a.png", **values: Any) -> dict[str, Any]:
    return {"id": f"s{number}", "report": f"Report {number}.", "image": image, "split": "train", **values}


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_both_forms_make_the_same_corpus(form: str, tmp_path: Path, images: Path) -> None:
    rows = [
        row(1, "b.png;d/e.png", view="LATERAL;PA", split="train", patient="p1", impression="Fine,\nreally."),
        row(2, '["c.png"]', view="?", split="validate", patient="p2", impression=""),
        row(3, "a.png", view="", split="TEST", patient="", impression=""),
    ]
    corpus, prepared = made(written(tmp_path, rows, form), images)
    first, second, third = corpus.studies
    assert [view.position for view in first.views] == ["PA", "LATERAL"]
    assert [int(read_grey(corpus.view_path(view))[0, 0]) for view in first.views] == [130, 50]
    assert [(view.width, view.height) for view in first.views] == [(38, 32)] * 2
    assert (first.report, first.patient, first.sections) == ("Report 1.", "p1", {"impression": "Fine,\nreally."})
    assert first.source == ("table.csv, line 3" if form == "csv" else "table.jsonl, record 1")
    assert (second.split, second.views[0].position, third.split, third.patient) == ("val", None, "test", None)
    assert prepared.studies == {"train": 1, "val": 1, "test": 1}
    assert prepared.left_out == []
    assert corpus.made["short_side"] == 32


def test_rows_of_one_id_are_views(tmp_path: Path, images: Path) -> None:
    rows = [row(1, "b.png", view="LL"), row(2, "c.png", view="PA"), row(1, "a.png", view="AP", report="")]
    corpus, _ = made(written(tmp_path, rows, "csv"), images)
    assert [study.id for study in corpus.studies] == ["s1", "s2"]
    assert [view.position for view in corpus.studies[0].views] == ["AP", "LL"]


def test_annotation(tmp_path: Path, images: Path) -> None:
    path = tmp_path / "annotation.json"
    record = {"id": "one/1", "report": "Clear.", "image_path": ["a.png", "b.png"], "split": "train", "finding": 3}
    path.write_text(json.dumps({"train": [record], "test": [{**record, "id": "two", "split": "test"}]}))
    corpus, prepared = made(path, images, form="annotation")
    assert prepared.studies == {"train": 1, "val": 0, "test": 1}
    assert len({view.path for study in corpus.studies for view in study.views}) == 4
    assert all("/" not in view.path.removeprefix("images/") for study in corpus.studies for view in study.views)
    corpus, _ = made(path, None, form="annotation")
    assert [study.views for study in corpus.studies] == [(), ()]


def test_a_split_is_drawn_by_patient_and_seed(tmp_path: Path) -> None:
    rows = [{"id": str(n), "text": "Clear.", "patient": f"p{n % 40}"} for n in range(120)]
    corpus, prepared = made(written(tmp_path, rows, "jsonl"), None)
    assert prepared.studies == {"train": 84, "val": 12, "test": 24}
    assert prepared.in_several_splits == []

    def splits(studies: Sequence[Study]) -> dict[str, str]:
        return {study.id: study.split for study in studies}

    again, _ = made(written(tmp_path, rows[::-1], "jsonl"), None)
    assert splits(again.studies) == splits(corpus.studies)
    other, _ = made(tmp_path / "table.jsonl", None, seed=1)
    assert splits(other.studies) != splits(corpus.studies)
    with pytest.raises(InputError, match="too few studies"):
        made(written(tmp_path, rows[:2], "jsonl"), None)


def test_patients_in_several_splits_are_reported(tmp_path: Path) -> None:
    rows = [{"id": n, "report": "Clear.", "split": s, "patient": 5} for n, s in enumerate(SPLITS)]
    _, prepared = made(written(tmp_path, rows, "jsonl"), None)
    assert prepared.in_several_splits == ["5"]


def test_unusable_studies_are_counted_or_left_out(tmp_path: Path, images: Path) -> None:
    (images / "bad.png").write_text("no image")
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
        made(path, images)
    assert "\n" not in str(refused.value)
    with pytest.raises(InputError, match=r"6 of 8 studies .*bad.png: neither PNG, JPEG, TIFF nor DICOM.*--tolerate 6"):
        made(path, images, tolerate=5)
    assert not (tmp_path / "corpus").exists()
    corpus, prepared = made(path, images, tolerate=6)
    assert [study.id for study in corpus.studies] == ["s1", "s8"]
    assert {item.study: item.reason for item in prepared.left_out} == {
        "s2": "no report",
        "s3": "no image named",
        "s4": "an image that is missing",
        "s5": "an image that cannot be read",
        "s6": "a repeated image",
        "s7": "a repeated id",
    }
    assert sum(corpus.made["left_out"].values()) == 6
    listed = [json.loads(line) for line in (tmp_path / "corpus" / LEFT_OUT_FILE).read_text().splitlines()]
    assert listed[2]["file"] == str(images / "absent.png")
    assert sorted(p.name for p in (tmp_path / "corpus" / "images").iterdir()) == ["s1-1.png", "s8-1.png"]


def test_ids_become_distinct_file_names(tmp_path: Path, images: Path) -> None:
    ids = ["a b", "a_b", "A_b", "..", "../../x", "é" * 90, "x" * 90, "x" * 91]
    rows = [row(0, id=name) for name in ids]
    corpus, _ = made(written(tmp_path, rows, "jsonl"), images)
    paths = [study.views[0].path.lower() for study in corpus.studies]
    assert len(set(paths)) == len(ids)
    assert [study.id for study in corpus.studies] == ids


@pytest.mark.parametrize("path", ["../secret.png", "/etc/passwd", "d/../../secret.png"])
def test_images_stay_in_their_folder(path: str, tmp_path: Path, images: Path) -> None:
    Image.fromarray(np.zeros((40, 40), np.uint8)).save(tmp_path / "secret.png")
    with pytest.raises(InputError, match="leads out"):
        made(written(tmp_path, [row(1, path)], "csv"), images, tolerate=9)


def test_links_of_the_users_own_are_followed(tmp_path: Path, images: Path) -> None:
    (tmp_path / "blobs").mkdir()
    (images / "a.png").rename(tmp_path / "blobs" / "1f3a")
    (images / "a.png").symlink_to("../blobs/1f3a")
    (images / "cache").symlink_to(tmp_path / "blobs")
    corpus, _ = made(written(tmp_path, [row(1), row(2, "cache/1f3a")], "csv"), images)
    assert [int(read_grey(corpus.view_path(study.views[0]))[0, 0]) for study in corpus.studies] == [10, 10]
    (tmp_path / "blobs" / "1f3a").unlink()
    with pytest.raises(
        InputError, match=r"a symbolic link .* missing \(first s1; table.csv, line 2: .*a.png, which leads"
    ):
        made(written(tmp_path, [row(1), row(2, "b.png")], "csv"), images)
    # A link does not open the way up again.
    with pytest.raises(InputError, match=r"table.csv, line 2: the image 'cache/../../secret.png' leads out of"):
        made(written(tmp_path, [row(1, "cache/../../secret.png")], "csv"), images)


def test_absolute_paths_inside_the_folder_are_paths_in_it(tmp_path: Path, images: Path) -> None:
    (tmp_path / "linked").symlink_to(images)
    rows = [row(1, str(images / "a.png")), row(2, str(tmp_path / "linked" / "d" / "e.png"))]
    corpus, _ = made(written(tmp_path, rows, "csv"), tmp_path / "linked")
    assert len(corpus.studies) == 2


@pytest.mark.parametrize(
    "cell",
    ["['a.png', 'b.png']", '["a.png", "b.png"]', "('a.png', 'b.png')", "a.png; b.png", "['a.png', 'b.png', 'nan']"],
)
def test_several_images_in_a_cell(cell: str, tmp_path: Path, images: Path) -> None:
    corpus, _ = made(written(tmp_path, [row(1, cell)], "csv"), images)
    assert len(corpus.studies[0].views) == 2


@pytest.mark.parametrize("cell", ["[a.png]", "['a.png' 'b.png']", "[" * 9999 + "]", "['a.png', __import__('os')]"])
def test_what_looks_like_a_list_is_no_code(cell: str, tmp_path: Path, images: Path) -> None:
    with pytest.raises(InputError, match=r"table.csv, line 2: .* write a.png;b.png"):
        made(written(tmp_path, [row(1, cell)], "csv"), images)


@pytest.mark.parametrize("null", ["nan", "NaN", "None", "NULL", "n/a", "<NA>", "#N/A", "-"])
def test_empty_cells_that_became_text(null: str, tmp_path: Path, images: Path) -> None:
    rows = [row(1, patient=null, impression=null, view=null), row(2, report=null), row(3, "b.png", patient=null)]
    path = written(tmp_path, rows, "csv")
    with pytest.raises(InputError, match=rf"1 with no report \(first s2; table.csv, line 3: '{null}'\)"):
        made(path, images)
    corpus, prepared = made(path, images, tolerate=1)
    assert [study.patient for study in corpus.studies] == [None, None]
    assert corpus.studies[0].sections == {}
    assert corpus.studies[0].views[0].position is None
    assert prepared.dropped == {"no report": 1}
    with pytest.raises(InputError, match="no id"):
        made(written(tmp_path, [row(1, id=null)], "csv"), images)


def test_a_missing_image_is_named(tmp_path: Path, images: Path) -> None:
    path = written(tmp_path, [row(1), row(2, "d/x.png")], "csv")
    with pytest.raises(
        InputError, match=rf"an image that is missing \(first s2; table.csv, line 3: {images}/d/x.png\)"
    ):
        made(path, images)
    with pytest.raises(InputError, match=r"web address.*table.csv, line 2: https://example.org/x.png"):
        made(written(tmp_path, [row(1, "https://example.org/x.png")], "csv"), images)


CSV_FAULTS = {
    "line 2: no id; .* the columns are report, image": "report,image\nClear.,a.png\n",
    "line 3: no id; .* its cell is empty": "id,report,image\n1,a,a.png\n,b,b.png\n",
    "one column, 'id;report;image'; columns are separated by commas, not by ';'": "id;report;image\n1;Clear.;a.png\n",
    "not by '.t'": "id\treport\timage\n1\tClear.\ta.png\n",
    r"no column of reports \(report, text, findings\); it has id, image": "id,image\n1,a.png\n",
    "no column of images .* it has id, report": "id,report\n1,Clear.\n",
    "line 3: 4 cells in 3 columns": "id,report,image\n1,Clear.,a.png\n2,Clear, really,a.png\n",
    "column name 'report' is there twice": "id,report,Report\n1,a,b\n",
    "no studies": "id,report,image\n",
    "not CSV": 'id,report,image\n1,"Clear"x,a.png\n',
    "split 'holdout' is none of": "id,report,image,split\n1,Clear.,a.png,holdout\n",
    "no split, while other studies": "id,report,image,split\n1,Clear.,a.png,train\n2,Clear.,a.png,\n",
    "begins like a list but is none": "id,report,image\n1,Clear.,[a.png]\n",
    "2 view positions for 1 images": "id,report,image,view\n1,Clear.,a.png,PA;LL\n",
}


@pytest.mark.parametrize("reason", CSV_FAULTS)
def test_malformed_csv_is_named(reason: str, tmp_path: Path, images: Path) -> None:
    (tmp_path / "table.csv").write_text(CSV_FAULTS[reason])
    with pytest.raises(InputError, match=reason) as refused:
        made(tmp_path / "table.csv", images)
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
def test_malformed_json_lines_are_named(text: str, reason: str, tmp_path: Path, images: Path) -> None:
    (tmp_path / "table.jsonl").write_text(text)
    with pytest.raises(InputError, match=reason):
        made(tmp_path / "table.jsonl", images)


@pytest.mark.parametrize(
    ("annotation", "reason"),
    [
        ([], "not an annotation file"),
        ({"train": {}}, "not an annotation file"),
        ({"train": [{"id": "1", "split": "test"}]}, "listed under 'train'"),
        ({"train": ["1"]}, "train 1: not a JSON object"),
        ({"holdout": [{"id": "1"}]}, "split 'holdout'"),
    ],
)
def test_malformed_annotations_are_named(annotation: Any, reason: str, tmp_path: Path) -> None:
    (tmp_path / "annotation.json").write_text(json.dumps(annotation))
    with pytest.raises(InputError, match=reason):
        made(tmp_path / "annotation.json", None, form="annotation")


def test_settings_are_checked(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        TableSettings(table=tmp_path, form="csv", images=tmp_path / "no", name="x")
    with pytest.raises(InputError, match="tolerate"):
        BuildSettings(tolerate=-1)
    with pytest.raises(InputError, match="short_side = 8"):
        ImageFormat(short_side=8)


def test_command_wants_one_table_and_images_or_none(tmp_path: Path) -> None:
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
def test_command_on_real_images(shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = shared / "data" / "covid_chestxray"
    table(out=tmp_path / "covid", annotation=folder / "annotation.json", images=folder, licence="CC BY-NC-SA")
    assert "526 studies (train 372, val 44, test 110)" in capsys.readouterr().out
    corpus = open_corpus(tmp_path / "covid")
    assert corpus.licence == "CC BY-NC-SA"
    for study in corpus.studies[::50]:
        (view,) = study.views
        assert read_grey(corpus.view_path(view)).shape == (view.height, view.width)
        assert min(view.width, view.height) <= 256


def test_depth_on_the_command_line(tmp_path: Path, images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, [{"id": str(n), "report": "Clear.", "image": f"{n}.png"} for n in range(10)], "csv")
    for number in range(10):
        Image.fromarray(np.random.default_rng(number).integers(0, 256, (40, 48), np.uint8)).save(
            images / f"{number}.png"
        )
    command = ["prepare", "table", "--csv", str(path), "--images", str(images), "--out", str(tmp_path / "o")]
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
