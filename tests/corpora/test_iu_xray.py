"""The Indiana University collection: the real reports, and copies of the images in all their forms."""

import csv
import io
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from xpronet.commands.prepare_iu_xray import iu_xray
from xpronet.corpora.build import LEFT_OUT_FILE, BuildSettings
from xpronet.corpora.check import check_corpus
from xpronet.corpora.image_cache import ImageFormat
from xpronet.corpora.iu_reports import (
    IuReport,
    image_name,
    parse_report,
    read_iu_reports,
    read_position,
    read_projections,
)
from xpronet.corpora.iu_xray import PUBLISHED_STUDIES, IuPrepared, IuSettings, annotated_image, make_iu_xray
from xpronet.data.corpus import Corpus, open_corpus
from xpronet.errors import InputError
from xpronet.images.read import eight_bits, read_grey, resize_short_side

SECTIONS = ("COMPARISON", "INDICATION", "FINDINGS", "IMPRESSION")


def xml(number: int, images: int = 2, **sections: str) -> str:
    texts = {"findings": f"Finding {number}.", "impression": f"1. Impression {number}.", **sections}
    abstract = "".join(f'<AbstractText Label="{s}">{texts.get(s.lower(), "")}</AbstractText>' for s in SECTIONS)
    parents = "".join(f'<parentImage id="{name(number, view)}"/>' for view in range(1, images + 1))
    return (
        f'<?xml version="1.0" encoding="utf-8"?>\n<eCitation><uId id="CXR{number}"/>'
        f"<MedlineCitation><Article><Abstract>{abstract}</Abstract></Article></MedlineCitation>"
        f"<MeSH><major>Opacity/lung</major><major>Nodule</major><automatic>lungs</automatic></MeSH>{parents}</eCitation>"
    )


def name(number: int, view: int) -> str:
    return f"CXR{number}_IM-{number:04}-{view}001"


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    """Twenty reports of two images; 3 has no findings, 4 no text at all, 5 three images, 6 none."""
    folder = tmp_path / "ecgen-radiology"
    folder.mkdir()
    for number in range(1, 21):
        sections = {3: {"findings": ""}, 4: {"findings": " ", "impression": ""}}.get(number, {})
        images = {5: 3, 6: 0}.get(number, 2)
        (folder / f"{number}.xml").write_text(xml(number, images, **sections))
    return folder


def draw(folder: Path, names: list[str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for place, file in enumerate(names):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((40, 48), 3 * place, np.uint8)).save(folder / file)
    return folder


def every_image() -> list[str]:
    return [f"{name(n, v)}.png" for n in range(1, 21) for v in range(1, {5: 3, 6: 0}.get(n, 2) + 1)]


def made(reports: Path, images: Path | None, out: Path, **values: Any) -> tuple[Corpus, IuPrepared]:
    build = {key: values.pop(key) for key in ("tolerate", "without_images") if key in values}
    settings = IuSettings(reports=reports, images=images, **{"split": "seed:0", **values})
    prepared = make_iu_xray(
        out, settings, BuildSettings(image_format=ImageFormat(short_side=32), **build), overwrite=True
    )
    return open_corpus(out), prepared


def test_a_drawn_split(reports: Path, tmp_path: Path) -> None:
    images = draw(tmp_path / "png", every_image())
    corpus, prepared = made(reports, images, tmp_path / "iu")
    assert sum(prepared.corpus.studies.values()) == len(corpus.studies) == 17
    assert prepared.corpus.dropped == {"no image in the collection": 1, "no findings": 2}
    assert sum(prepared.corpus.images.values()) == 35
    assert prepared.corpus.left_out == []
    study = next(study for study in corpus.studies if study.id == "CXR5")
    assert study.sections == {
        "findings": "Finding 5.",
        "impression": "1. Impression 5.",
        "mesh": "Opacity/lung; Nodule",
    }
    assert (study.report, study.patient, study.source) == ("Finding 5.", "CXR5", "5.xml")
    greys = [int(read_grey(corpus.view_path(view))[0, 0]) for view in study.views]
    assert greys == [3 * every_image().index(f"{name(5, view)}.png") for view in (1, 2, 3)]
    sides = {study.patient: study.split for study in corpus.studies}
    again, _ = made(reports, None, tmp_path / "again", split="seed:7", text="impression")
    assert len(again.studies) == 19
    assert sides != {study.patient: study.split for study in again.studies if study.patient in sides}
    assert all(study.views == () for study in again.studies)


def test_a_missing_section_is_a_choice(reports: Path, tmp_path: Path) -> None:
    corpus, _ = made(reports, None, tmp_path / "iu", missing="other")
    assert {study.id: study.report for study in corpus.studies}["CXR3"] == "1. Impression 3."
    corpus, prepared = made(reports, None, tmp_path / "iu", text="both")
    assert corpus.studies[0].report.startswith("Finding 1.\n\n1. Impression")
    assert prepared.corpus.dropped == {"no findings": 1, "neither findings nor impression": 1}


def annotate(path: Path, studies: dict[str, list[str]], **values: str) -> Path:
    records = [
        {"id": study, "report": values.get(study, f"Finding  {study[3:].partition('_')[0]}."), "image_path": paths}
        for study, paths in studies.items()
    ]
    path.write_text(json.dumps({"train": records[:-1], "val": [], "test": records[-1:]}))
    return path


def test_an_annotated_split(reports: Path, tmp_path: Path) -> None:
    studies = {f"CXR{n}_IM-{n:04}": [f"CXR{n}_IM-{n:04}/{place}.png" for place in (1, 0)] for n in (7, 5, 1)}
    annotation = annotate(tmp_path / "annotation.json", studies, CXR7_x="")
    images = draw(tmp_path / "png", every_image())
    corpus, prepared = made(reports, images, tmp_path / "iu", split=f"r2gen:{annotation}")
    assert [(study.id, study.split) for study in corpus.studies] == list(
        zip(studies, ("train", "train", "test"), strict=True)
    )
    greys = [int(read_grey(corpus.view_path(view))[0, 0]) for view in corpus.studies[1].views]
    assert greys == [3 * every_image().index(f"{name(5, view)}.png") for view in (2, 1)]
    assert (prepared.compared, list(prepared.differing), prepared.unused) == (3, [], 33)
    assert prepared.corpus.dropped == {"no place in R2Gen's split": 17}
    # R2Gen's own copy of the images serves as well.
    theirs = draw(tmp_path / "r2gen", [path for paths in studies.values() for path in paths])
    corpus, _ = made(reports, theirs, tmp_path / "iu", split=f"r2gen:{annotation}")
    assert [int(read_grey(corpus.view_path(view))[0, 0]) for study in corpus.studies for view in study.views] == [
        0, 3, 6, 9, 12, 15,
    ]  # fmt: skip


def test_other_words_in_the_annotation_are_told(reports: Path, tmp_path: Path) -> None:
    annotation = tmp_path / "annotation.json"
    annotation.write_text(json.dumps({"train": [{"id": "CXR1_IM-1", "report": "Else.", "image_path": []}]}))
    _, prepared = made(reports, None, tmp_path / "iu", split=f"r2gen:{annotation}")
    assert list(prepared.differing) == ["CXR1_IM-1"]


@pytest.mark.parametrize(
    ("study", "path", "reason"),
    [
        ("CXR1_IM-0001", "../../etc/0.png", "leads out"),
        ("CXR1_IM-0001", "/etc/0.png", "leads out"),
        ("CXR1_IM-0001", "CXR1_IM-0001/front.png", "R2Gen's annotation.json has paths such as"),
        ("CXR99_IM-0099", "CXR99_IM-0099/0.png", "'CXR99_IM-0099' .* is not among the reports"),
        ("MIMIC", "CXR1_IM-0001/0.png", "'MIMIC' .* is not among the reports"),
    ],
)
@pytest.mark.parametrize("texts", [True, False])
def test_hostile_annotations_are_refused(
    study: str, path: str, reason: str, texts: bool, reports: Path, tmp_path: Path
) -> None:
    annotation = annotate(tmp_path / "annotation.json", {study: [path]})
    with pytest.raises(InputError, match=reason):
        made(reports, None if texts else draw(tmp_path / "png", []), tmp_path / "iu", split=f"r2gen:{annotation}")


def test_missing_and_damaged_images_are_listed(reports: Path, tmp_path: Path) -> None:
    images = draw(tmp_path / "png", every_image()[:-3])
    (images / f"{name(1, 1)}.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"3 of 35 files .*3 missing \(first CXR19_IM-0019-2001\).*--tolerate 3"):
        made(reports, images, tmp_path / "iu")
    with pytest.raises(InputError, match=r"4 of 35 files .*1 damaged \(first CXR1_.*neither PNG.*--tolerate 4") as no:
        made(reports, images, tmp_path / "iu", tolerate=3)
    assert "\n" not in str(no.value)
    assert not (tmp_path / "iu").exists()
    corpus, prepared = made(reports, images, tmp_path / "iu", tolerate=4)
    assert len(corpus.studies) == 17
    assert prepared.corpus.without_images == 1
    listed = [json.loads(line) for line in (tmp_path / "iu" / LEFT_OUT_FILE).read_text().splitlines()]
    assert {(item["study"], item["reason"] == "missing") for item in listed} == {
        ("CXR19", True),
        ("CXR20", True),
        ("CXR1", False),
    }
    corpus, prepared = made(reports, images, tmp_path / "iu", tolerate=4, without_images="drop")
    assert len(corpus.studies) == 16
    assert prepared.corpus.dropped["no image that can be read"] == 1
    assert not list(tmp_path.glob(".iu*")), "nothing is left beside a finished corpus"


def test_a_second_try_goes_on(reports: Path, tmp_path: Path) -> None:
    images = draw(tmp_path / "png", every_image()[:-1])
    (images / f"{name(1, 1)}.png").write_bytes(b"no image")
    with pytest.raises(InputError, match="damaged"):
        made(reports, images, tmp_path / "iu", tolerate=1)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / ".iu.images").iterdir()}
    assert len(kept) == 33
    Image.fromarray(np.full((40, 48), 77, np.uint8)).save(images / f"{name(1, 1)}.png")
    corpus, _ = made(reports, images, tmp_path / "iu", tolerate=1)
    stored = sorted((tmp_path / "iu" / "images").iterdir())
    assert len(stored) == 34
    assert sorted(path.stat().st_mtime_ns for path in stored)[:-1] == sorted(kept.values())
    assert read_grey(corpus.view_path(corpus.studies[0].views[0]))[0, 0] == 77


def test_depths_are_never_mixed(reports: Path, tmp_path: Path) -> None:
    images = draw(tmp_path / "png", every_image())
    damaged = images / f"{name(1, 1)}.png"
    whole = damaged.read_bytes()
    damaged.write_bytes(b"no image")
    with pytest.raises(InputError, match=r"converted so far are kept in \.iu\.images"):
        made(reports, images, tmp_path / "iu")
    damaged.write_bytes(whole)
    settings = IuSettings(reports=reports, images=images, split="seed:0")
    build = BuildSettings(image_format=ImageFormat(short_side=32, depth=16))
    make_iu_xray(tmp_path / "iu", settings, build)
    checked = check_corpus(tmp_path / "iu", decode=True)
    assert (checked.problems, checked.corpus.made["depth"]) == ([], 16)
    assert not list(tmp_path.glob(".iu*"))


def test_a_corpus_of_texts_clears_what_waited(reports: Path, tmp_path: Path) -> None:
    images = draw(tmp_path / "png", every_image()[:-1])
    (images / f"{name(1, 1)}.png").write_bytes(b"no image")
    with pytest.raises(InputError, match="damaged"):
        made(reports, images, tmp_path / "iu", tolerate=1)
    assert list(tmp_path.glob(".iu*"))
    made(reports, None, tmp_path / "iu")
    assert not list(tmp_path.glob(".iu*"))


def test_images_in_an_archive(reports: Path, tmp_path: Path) -> None:
    folder = draw(tmp_path / "NLMCXR_png", [*every_image(), "CXR900_IM-0900-1001.png"])
    with tarfile.open(tmp_path / "NLMCXR_png.tgz", "w:gz") as archive:
        archive.add(folder, "NLMCXR_png")
    ours, _ = made(reports, folder, tmp_path / "a")
    theirs, prepared = made(reports, tmp_path / "NLMCXR_png.tgz", tmp_path / "b")
    assert ours.studies == theirs.studies
    assert prepared.unused == 0, "only what is needed is unpacked"
    assert not list(tmp_path.glob(".*"))


def test_reports_in_an_archive_beside_damaged_ones(reports: Path, tmp_path: Path) -> None:
    (reports / "21.xml").write_text("<eCitation>")
    with tarfile.open(tmp_path / "r.tgz", "w:gz") as archive:
        archive.add(reports, "ecgen-radiology")
    with pytest.raises(InputError, match=r"the reports: 1 of .* 1 damaged \(first ecgen-radiology/21.xml: not XML"):
        made(tmp_path / "r.tgz", None, tmp_path / "iu")
    _, prepared = made(tmp_path / "r.tgz", None, tmp_path / "iu", tolerate=1)
    assert sum(prepared.corpus.studies.values()) == 18


def kaggle(folder: Path) -> Path:
    """Write the tables of the Kaggle copy for three reports, and their images."""
    rows = [(1, "Opacity;Nodule", "Finding 1."), (2, "normal", ""), (3, "normal", "Finding 3.")]
    draw(folder / "images", [f"{uid}_IM-{uid:04}-{view}001.dcm.png" for uid, _, _ in rows for view in (1, 2)])
    with (folder / "indiana_reports.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(("uid", "MeSH", "Problems", "image", "indication", "comparison", "findings", "impression"))
        table.writerows((uid, tags, tags, "Chest", "Cough", "", text, "Fine.") for uid, tags, text in rows)
    with (folder / "indiana_projections.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(("uid", "filename", "projection"))
        for uid, _, _ in rows:
            table.writerow((uid, f"{uid}_IM-{uid:04}-1001.dcm.png", "Lateral"))
            table.writerow((uid, f"{uid}_IM-{uid:04}-2001.dcm.png", "Frontal"))
    return folder


def test_the_kaggle_copy(tmp_path: Path) -> None:
    folder = kaggle(tmp_path / "kaggle")
    corpus, _ = made(folder / "indiana_reports.csv", folder / "images", tmp_path / "iu", missing="other")
    first, second, _ = sorted(corpus.studies, key=lambda study: study.id)
    assert first.sections == {
        "findings": "Finding 1.",
        "impression": "Fine.",
        "indication": "Cough",
        "mesh": "Opacity; Nodule",
    }
    assert second.report == "Fine."
    assert [view.position for view in first.views] == ["FRONTAL", "LATERAL"]
    assert [int(read_grey(corpus.view_path(view))[0, 0]) for view in first.views] == [3, 0]


def test_projections_order_the_views_of_open_i(reports: Path, tmp_path: Path) -> None:
    images = draw(tmp_path / "png", every_image())
    projections = kaggle(tmp_path / "kaggle") / "indiana_projections.csv"
    corpus, _ = made(reports, images, tmp_path / "iu", projections=projections)
    positions = {study.id: [view.position for view in study.views] for study in corpus.studies}
    assert positions["CXR1"] == ["FRONTAL", "LATERAL"]
    assert positions["CXR7"] == [None, None]


def test_a_table_marks_all_views_and_keeps_them(
    reports: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = draw(tmp_path / "png", every_image())
    table = tmp_path / "indiana_projections.csv"
    rows = [
        (n, f"{n}_IM-{n:04}-{v}001.dcm.png", "Lateral" if v == 1 else "Frontal") for n in range(1, 21) for v in (1, 2)
    ]
    rows.append((5, "5_IM-0005-3001.dcm.png", "Frontal"))
    table.write_text("uid,filename,projection\n" + "\n".join(",".join(map(str, row)) for row in rows))
    iu_xray(out=tmp_path / "iu", reports=reports, images=images, split="seed:0", projections=table, short_side=32)
    printed = capsys.readouterr().out
    assert "views: frontal 18, lateral 17\n" in printed
    assert "Open-i does not say" not in printed
    corpus = open_corpus(tmp_path / "iu")
    assert corpus.made["projections"] == table.name
    views = {study.id: study.views for study in corpus.studies}
    assert [view.position for view in views["CXR5"]] == ["FRONTAL", "FRONTAL", "LATERAL"]
    greys = [int(read_grey(corpus.view_path(view))[0, 0]) for view in views["CXR5"]]
    assert greys == [3 * every_image().index(f"{name(5, view)}.png") for view in (2, 3, 1)]
    shutil.copy(table, reports)
    beside, _ = made(reports, images, tmp_path / "beside")
    assert [study.views for study in beside.studies] == [study.views for study in corpus.studies]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("2,1_IM-0001-1001.dcm.png,Frontal", "another uid than '2'"),
        ("12,1_IM-0001-1001.dcm.png,Frontal", "another uid than '12'"),
        ("1,film.png,Frontal", "is no image of the collection"),
        ("1,CXR1_IM-0001-2001.png,Lateral", "FRONTAL in an earlier row and LATERAL here"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(row: str, reason: str, tmp_path: Path) -> None:
    table = tmp_path / "p.csv"
    table.write_text(f"uid,filename,projection\n1,1_IM-0001-2001.dcm.png,Frontal\n{row}\n")
    with pytest.raises(InputError, match=f"p.csv, line 3: .*{reason}"):
        read_projections(table)


@pytest.mark.parametrize(
    ("captions", "position"),
    [
        (["AP portable chest"], "AP"),
        (["PA chest XXXX, XXXX."], "PA"),
        (["PA and lateral chest x-XXXX XXXX."], None),
        (["PA LAT view CHEST"], None),
        (["AP chest, 2 images"], None),
        (["PA chest; AP pelvis"], None),
        (["PA or AP chest"], None),
        (["Chest single view."], None),
        (["Japan chest"], None),
        (["AP portable chest"] * 2, None),
        ([""], None),
        ([], None),
    ],
)
def test_a_caption_tells_only_of_an_only_image(captions: list[str], position: str | None) -> None:
    assert read_position(captions) == position


def test_a_captions_projection_reaches_the_corpus(reports: Path, tmp_path: Path) -> None:
    images = draw(tmp_path / "png", every_image())
    caption = '-1001"><caption>Portable AP chest</caption></parentImage>'
    (reports / "7.xml").write_text(xml(7, 1).replace('-1001"/>', caption))
    corpus, prepared = made(reports, images, tmp_path / "iu")
    assert {study.id: [view.position for view in study.views] for study in corpus.studies}["CXR7"] == ["AP"]
    assert prepared.views == {"frontal": 1, "unknown": 33}


def test_copies_are_never_mixed(reports: Path, tmp_path: Path) -> None:
    images = draw(tmp_path / "png", [*every_image()[:3], "9_IM-0009-1001.dcm.png"])
    with pytest.raises(InputError, match="whose contrast differs"):
        made(reports, images, tmp_path / "iu", tolerate=99)
    images = draw(tmp_path / "two", ["CXR1_IM-0001-1001.png", "a/1_IM-0001-1001.dcm.png"])
    with pytest.raises(InputError, match="are the same image"):
        made(reports, images, tmp_path / "iu", tolerate=99)


def test_dicom_folder(shared: Path, reports: Path, tmp_path: Path) -> None:
    pytest.importorskip("pydicom")
    source = shared / "data" / "dicom" / "chest_jpeg_baseline.dcm"
    folder = tmp_path / "NLMCXR_dcm" / "1"
    folder.mkdir(parents=True)
    shutil.copyfile(source, folder / "1_IM-0001-1001.dcm")
    corpus, prepared = made(reports, folder.parent, tmp_path / "iu", tolerate=99, without_images="drop")
    (study,) = corpus.studies
    grey = read_grey(corpus.view_path(study.views[0]))
    np.testing.assert_array_equal(grey, resize_short_side(eight_bits(read_grey(source)), 32))
    assert prepared.corpus.files_by_reason()["missing"] == 34


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("CXR1000_IM-0003-2001.png", "CXR1000_IM-0003-2001"),
        ("1000_IM-0003-2001.dcm.png", "CXR1000_IM-0003-2001"),
        ("1000_IM-0003-2001.dcm", "CXR1000_IM-0003-2001"),
        ("CXR1_1_IM-0001-3001", "CXR1_IM-0001-3001"),
        ("1_IM-0001-3001.dcm.png", "CXR1_IM-0001-3001"),
        ("cxr7_im-2263-1001.PNG", "CXR7_IM-2263-1001"),
        ("Thumbs.db", None),
        ("CXR12_1_IM-0001-3001.png", None),
    ],
)
def test_one_name_for_an_image_in_every_copy(file: str, expected: str | None) -> None:
    assert image_name(file) == expected


BILLION_LAUGHS = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><eCitation>&b;</eCitation>'
EXTERNAL = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><eCitation>&a;</eCitation>'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (BILLION_LAUGHS, "declares a document type"),
        (EXTERNAL, "declares a document type"),
        (EXTERNAL.encode("utf-16").decode("latin-1"), "not XML in UTF-8"),
        ("", "not XML"),
        ("<a>" * 100_000, "not XML"),
        ("<a>" * 100_000 + "</a>" * 100_000, "no report of the collection"),
        ("<eCitation/>", "no report of the collection"),
        (xml(1).replace("CXR1_IM", "../../CXR1_IM"), "is no image of the collection"),
        (xml(1).replace('"CXR1"', '"CXR1/../x"'), "no report of the collection"),
    ],
)
def test_strange_xml_is_refused(text: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        parse_report(text.encode("latin-1"), "x.xml")


def mutations(seed: bytes, rng: np.random.Generator, count: int) -> list[bytes]:
    changes: list[Callable[[bytearray, int], None]] = [
        lambda content, place: content.__setitem__(place, int(rng.integers(256))),
        lambda content, place: content.__delitem__(slice(place, place + int(rng.integers(1, 60)))),
        lambda content, place: content.__setitem__(slice(place, place), content[: int(rng.integers(200))]),
        lambda content, place: content.__setitem__(slice(place, place), b'<&"\x00]]>'[: int(rng.integers(1, 8))]),
    ]
    mutated = []
    for _ in range(count):
        content = bytearray(seed)
        for _ in range(int(rng.integers(1, 6))):
            changes[int(rng.integers(len(changes)))](content, int(rng.integers(len(content))))
        mutated.append(bytes(content))
    return mutated


def test_mutated_xml_is_read_or_refused() -> None:
    outcomes: list[IuReport | str] = []
    for content in mutations(xml(1).encode(), np.random.default_rng(0), 2000):
        try:
            outcomes.append(parse_report(content, "x.xml"))
        except InputError as error:
            outcomes.append(str(error))
    refused = [outcome for outcome in outcomes if isinstance(outcome, str)]
    assert 200 < len(refused) < 2000
    assert all("\n" not in line and len(line) < 300 for line in refused)


def test_settings_are_checked(tmp_path: Path, reports: Path) -> None:
    for split in ("seed:x", "seed:", "r2gen:", "random"):
        with pytest.raises(InputError, match=r"give r2gen:annotation\.json or seed:N"):
            IuSettings(reports=tmp_path, images=None, split=split)
    with pytest.raises(InputError, match="give --reports"):
        iu_xray(out=tmp_path / "o", split="seed:1", no_images=True)
    with pytest.raises(InputError, match="either --images"):
        iu_xray(out=tmp_path / "o", split="seed:1", reports=reports)
    with pytest.raises(InputError, match="leave out --reports and --images"):
        iu_xray(out=tmp_path / "o", split="seed:1", reports=reports, download=tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no reports of the collection"):
        made(tmp_path / "empty", None, tmp_path / "iu")
    with pytest.raises(InputError, match="tolerate = -1"):
        BuildSettings(tolerate=-1)
    (reports / "again.xml").write_text(xml(1))
    with pytest.raises(InputError, match=r"CXR1 is in 1.xml and in again.xml"):
        made(reports, None, tmp_path / "iu")


@pytest.fixture(scope="module")
def real(shared: Path) -> dict[str, IuReport]:
    reports, refused = read_iu_reports(shared / "data" / "iu_xray" / "NLMCXR_reports.tgz")
    assert refused == []
    return reports


def test_real_reports_equal_the_annotation(shared: Path, real: dict[str, IuReport]) -> None:
    assert len(real) == 3955
    annotation = json.loads((shared / "data" / "iu_xray" / "annotation.json").read_text())
    records = [record for records in annotation.values() for record in records]
    for record in records:
        report = real[record["id"].partition("_")[0]]
        assert report.sections["findings"] == " ".join(record["report"].split())
    usable = {report.id for report in real.values() if "findings" in report.sections and len(report.images) >= 2}
    assert usable == {record["id"].partition("_")[0] for record in records}


def test_real_images_resolve(shared: Path, real: dict[str, IuReport]) -> None:
    text = (shared / "data" / "iu_xray" / "r2gen_path_to_nlmcxr_file.csv").read_text()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 5910
    for row in rows:
        expected = image_name(row["nlmcxr_image_by_xml_order"])
        assert annotated_image(row["r2gen_path"], real) == expected is not None


def test_command_on_the_real_collection(shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = shared / "data" / "iu_xray"
    reports, split = folder / "NLMCXR_reports.tgz", f"r2gen:{folder / 'annotation.json'}"
    with pytest.raises(InputError, match=r"5,901 of 5,910 files .* --tolerate 5901"):
        iu_xray(out=tmp_path / "iu", reports=reports, images=folder / "NLMCXR_png", split=split)
    iu_xray(out=tmp_path / "iu", reports=reports, images=folder / "NLMCXR_png", split=split, tolerate=6000)
    printed = " ".join(capsys.readouterr().out.split())
    assert "2,955 studies, 9 images" in printed
    assert "missing: 5,901 files" in printed
    assert "2,955 of 2,955 findings equal" in printed
    corpus = open_corpus(tmp_path / "iu")
    annotation = json.loads((folder / "annotation.json").read_text())
    assert [(study.id, study.split) for study in corpus.studies] == [
        (record["id"], name) for name, records in annotation.items() for record in records
    ]
    assert {name: len(corpus.split(name)) for name in PUBLISHED_STUDIES} == PUBLISHED_STUDIES


@pytest.mark.parametrize(("copy", "count"), [("NLMCXR_png", 11), ("kaggle_images_normalized", 4)])
def test_all_real_images_are_read(copy: str, count: int, shared: Path, tmp_path: Path) -> None:
    folder = shared / "data" / "iu_xray"
    corpus, prepared = made(
        folder / "NLMCXR_reports.tgz", folder / copy, tmp_path / "iu", missing="other", tolerate=7470
    )
    assert sum(prepared.corpus.images.values()) == count
    assert prepared.unused == 0
    assert prepared.corpus.in_several_splits == []
    assert len({study.patient for study in corpus.studies}) == len(corpus.studies) == 3826
