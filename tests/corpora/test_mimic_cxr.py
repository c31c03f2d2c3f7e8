"""MIMIC-CXR's official layout, on a miniature tree whose every count is known."""

import csv
import gzip
import json
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from mimic_tree import Truth, write_tree

from xpronet.commands.prepare_mimic_cxr import mimic_cxr
from xpronet.corpora.build import LEFT_OUT_FILE, BuildSettings
from xpronet.corpora.image_cache import ImageFormat
from xpronet.corpora.mimic_cxr import MimicPrepared, MimicSettings, find_table, make_mimic_cxr
from xpronet.data.corpus import Corpus, open_corpus
from xpronet.errors import InputError
from xpronet.labels.label_tables import read_labels

SPLIT_NAMES = {"train": "train", "validate": "val", "test": "test"}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Truth]]:
    root = tmp_path_factory.mktemp("mimic")
    return root, write_tree(root, studies=320)


def made(root: Path, out: Path, *, images: bool = True, **values: Any) -> tuple[Corpus, MimicPrepared]:
    build = {name: values.pop(name) for name in ("tolerate", "without_images") if name in values}
    settings = MimicSettings(root=root, images=root if images else None, **values)
    prepared = make_mimic_cxr(
        out,
        settings,
        BuildSettings(image_format=ImageFormat(short_side=32), **build),
        overwrite=True,
    )
    return open_corpus(out), prepared


def left(truths: list[Truth], section: str = "findings") -> list[Truth]:
    return [truth for truth in truths if truth.labelled and getattr(truth, section) is not None]


def test_counts_and_texts_are_exact(tree: tuple[Path, list[Truth]], tmp_path: Path) -> None:
    root, truths = tree
    table = find_table(root, "chexpert")
    corpus, prepared = made(root, tmp_path / "corpus", labels=table, tolerate=999)
    expected = left(truths)
    assert {study.id for study in corpus.studies} == {truth.study for truth in expected}
    assert prepared.unheaded == sum(truth.unheaded for truth in expected) > 20
    by_id = {truth.study: truth for truth in truths}
    for study in corpus.studies:
        truth = by_id[study.id]
        assert study.report == study.sections["findings"] == truth.findings
        assert study.sections.get("impression") == truth.impression
        assert (study.patient, study.split) == (truth.subject, SPLIT_NAMES[truth.split])
        good = [truth.positions[dicom] or None for dicom, state in truth.images.items() if state == "good"]
        assert Counter(view.position for view in study.views) == Counter(good)
        assert [view.position for view in study.views][1:2] != ["PA"] or study.views[0].position in ("PA", "AP")
    assert prepared.corpus.studies == {
        name: sum(SPLIT_NAMES[truth.split] == name for truth in expected) for name in ("train", "val", "test")
    }
    readable = [truth for truth in truths if truth.labelled and truth.report == "there"]
    assert prepared.corpus.dropped == {
        "no row in the label table": sum(not truth.labelled for truth in truths),
        "no findings": sum(truth.findings is None for truth in readable),
        "no report that can be read": sum(truth.labelled and truth.report != "there" for truth in truths),
    }
    states = Counter(state for truth in expected for state in truth.images.values())
    reports = Counter(truth.report for truth in truths if truth.labelled)
    assert min(states["missing"], states["damaged"], reports["missing"], reports["damaged"]) >= 3
    assert sum(prepared.corpus.images.values()) == states["good"]
    assert prepared.corpus.files_by_reason() == {
        "missing": states["missing"] + reports["missing"],
        "damaged": states["damaged"] + reports["damaged"],
    }
    assert prepared.corpus.without_images == sum("good" not in truth.images.values() for truth in expected) > 0
    assert prepared.corpus.in_several_splits == []
    listed = [json.loads(line) for line in (tmp_path / "corpus" / LEFT_OUT_FILE).read_text().splitlines()]
    assert len(listed) == len(prepared.corpus.left_out)
    assert all(str(root) not in item["reason"] for item in listed)


def test_one_study_an_image_as_published(tree: tuple[Path, list[Truth]], tmp_path: Path) -> None:
    root, truths = tree
    corpus, prepared = made(root, tmp_path / "corpus", unit="image", tolerate=999, without_images="drop")
    expected = {
        dicom: truth.findings
        for truth in truths
        if truth.findings is not None
        for dicom, state in truth.images.items()
        if state == "good"
    }
    assert {study.id: study.report for study in corpus.studies} == expected
    assert all(len(study.views) == 1 for study in corpus.studies)
    assert prepared.corpus.studies == prepared.corpus.images


@pytest.mark.parametrize("text", ["impression", "both"])
def test_other_texts(text: str, tree: tuple[Path, list[Truth]], tmp_path: Path) -> None:
    root, truths = tree
    corpus, _ = made(root, tmp_path / "corpus", images=False, text=text, tolerate=99)
    expected = {
        truth.study: truth.impression if text == "impression" else f"{truth.findings}\n\n{truth.impression}"
        for truth in truths
        if truth.impression is not None and (text == "impression" or truth.findings is not None)
    }
    assert {study.id: study.report for study in corpus.studies} == expected
    corpus, prepared = made(root, tmp_path / "corpus", images=False, text=text, missing="other", tolerate=99)
    assert len(corpus.studies) == sum(bool(truth.findings or truth.impression) for truth in truths)
    assert prepared.corpus.dropped["neither findings nor impression"] > 0


def test_unheaded_findings_are_a_choice(tree: tuple[Path, list[Truth]], tmp_path: Path) -> None:
    root, truths = tree
    corpus, prepared = made(root, tmp_path / "corpus", images=False, unheaded="drop", tolerate=99)
    assert len(corpus.studies) == sum(truth.findings is not None and not truth.unheaded for truth in truths)
    assert prepared.unheaded == 0


def test_reports_in_a_zip(tree: tuple[Path, list[Truth]], tmp_path: Path) -> None:
    root, _ = tree
    archive = tmp_path / "mimic-cxr-reports.zip"
    folder = root / "mimic-cxr-reports"
    with zipfile.ZipFile(archive, "w") as packed:
        for path in sorted(folder.rglob("*.*")):
            packed.write(path, path.relative_to(folder))
    ours, _ = made(root, tmp_path / "a", images=False, tolerate=99)
    theirs, _ = made(root, tmp_path / "b", images=False, tolerate=99, reports=archive)
    assert ours.studies == theirs.studies


def test_too_much_missing_is_refused(tree: tuple[Path, list[Truth]], tmp_path: Path) -> None:
    root, truths = tree
    count = sum(truth.report != "there" for truth in truths)
    with pytest.raises(InputError, match=rf"{count} of .* missing \(first p1.*damaged .*--tolerate {count}") as refused:
        made(root, tmp_path / "corpus", images=False, tolerate=count - 1)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "corpus").exists()


def test_command_joins_labels(
    tree: tuple[Path, list[Truth]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, _ = tree
    out = tmp_path / "corpus"
    mimic_cxr(root=root, out=out, unit="image", short_side=32, tolerate=999, without_images="drop")
    printed = capsys.readouterr().out
    assert "270,790" in printed
    assert "studies with no row in the label table" in printed
    corpus = open_corpus(out)
    labels = read_labels(out / "labels.csv", [study.id for study in corpus.studies])
    examinations = {study.id: study.source.rpartition("/")[2] for study in corpus.studies}
    original = read_labels(find_table(root, "chexpert"), sorted(set(examinations.values())))
    assert labels == {image: original[study] for image, study in examinations.items()}
    with pytest.raises(InputError, match="already exists"):
        mimic_cxr(root=root, out=out)


FAULTS = {
    "not the numbers of a study": ("dicom_id", "../../secret"),
    "split 'holdout' is none": ("split", "holdout"),
    "two splits or two subjects": ("subject_id", "77"),
}


@pytest.mark.parametrize("reason", FAULTS)
def test_hostile_tables_are_refused(reason: str, tmp_path: Path) -> None:
    write_tree(tmp_path, studies=16, images=False)
    path = find_table(tmp_path, "split")
    with gzip.open(path, "rt", newline="") as stream:
        rows = list(csv.DictReader(stream))
    twice = Counter(row["study_id"] for row in rows).most_common(1)[0][0]
    row = next(row for row in rows if row["study_id"] == twice)
    row[FAULTS[reason][0]] = FAULTS[reason][1]
    with gzip.open(path, "wt", newline="") as stream:
        writer = csv.DictWriter(stream, list(row))
        writer.writeheader()
        writer.writerows(rows)
    with pytest.raises(InputError, match=reason):
        made(tmp_path, tmp_path / "corpus", images=False)


def test_missing_tables_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"0 tables mimic-cxr-\*-metadata"):
        made(tmp_path, tmp_path / "corpus", images=False)
    with pytest.raises(InputError, match="no such folder"):
        made(tmp_path / "no", tmp_path / "corpus", images=False)
