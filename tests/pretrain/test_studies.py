"""Labels of a corpus, of NIH and of the covid films as targets."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest

from xpronet.data.corpus import open_corpus
from xpronet.errors import InputError
from xpronet.labels.findings import FINDINGS, State
from xpronet.pretrain.settings import LabelSettings
from xpronet.pretrain.studies import (
    LabelledStudy,
    corpus_studies,
    covid_studies,
    make_targets,
    nih_studies,
    nih_targets,
)

STATES = {"Edema": State.POSITIVE, "Pneumonia": State.UNCERTAIN, "Fracture": State.NEGATIVE}


def _by_name(targets: np.ndarray) -> dict[str, float]:
    return dict(zip(FINDINGS, targets.tolist(), strict=True))


def test_uncertain_and_blank_become_what_the_settings_say() -> None:
    published = _by_name(make_targets(STATES, LabelSettings()))
    assert (published["Edema"], published["Pneumonia"], published["Fracture"], published["Atelectasis"]) == (1, 1, 0, 0)
    masked = _by_name(make_targets(STATES, LabelSettings(uncertain="ignore", blank="ignore")))
    assert (masked["Edema"], masked["Fracture"], masked["No Finding"]) == (1, 0, 0)
    assert np.isnan([masked["Pneumonia"], masked["Atelectasis"]]).all()


def test_nothing_mentioned_is_no_finding_even_where_blank_is_unknown() -> None:
    targets = _by_name(make_targets({}, LabelSettings(blank="ignore")))
    assert targets.pop("No Finding") == 1
    assert np.isnan(list(targets.values())).all()


def test_nih_labels_are_mapped_and_what_nih_does_not_label_is_unknown() -> None:
    targets = _by_name(nih_targets(["Effusion", "Mass", "Hernia"]))
    assert (targets["Pleural Effusion"], targets["Lung Lesion"], targets["No Finding"]) == (1, 1, 0)
    assert targets["Edema"] == 0
    assert np.isnan([targets[name] for name in ("Fracture", "Support Devices", "Enlarged Cardiomediastinum")]).all()
    # A mass is an opacity; whether this reader would have said so, nobody knows.
    assert np.isnan(targets["Lung Opacity"])
    assert _by_name(nih_targets(["Infiltration", "Edema"]))["Lung Opacity"] == 1
    assert _by_name(nih_targets(["Hernia"]))["Lung Opacity"] == 0
    assert _by_name(nih_targets(["No Finding"]))["No Finding"] == 1


def _table(folder: Path, name: str, rows: list[dict[str, str]]) -> Path:
    folder.mkdir(exist_ok=True)
    with (folder / name).open("w", newline="") as stream:
        table = csv.DictWriter(stream, rows[0])
        table.writeheader()
        table.writerows(rows)
    return folder


def test_nih_films_of_a_split_are_studies_of_their_own(tmp_path: Path) -> None:
    rows = [
        {"image": "images/1.jpg", "id": "1", "labels": "Edema|Effusion", "split": "train"},
        {"image": "images/2.jpg", "id": "2", "labels": "No Finding", "split": "val"},
    ]
    (study,) = nih_studies(_table(tmp_path, "images.csv", rows), "train")
    assert (study.id, study.films) == ("1", (tmp_path / "images/1.jpg",))
    with pytest.raises(InputError, match=r"no split 'test'"):
        nih_studies(tmp_path, "test")
    rows[0]["labels"] = "Edema|Oedema"
    with pytest.raises(InputError, match=r"line 2: label 'Oedema' is none of NIH"):
        nih_studies(_table(tmp_path, "images.csv", rows), "train")
    rows[0] |= {"labels": "Edema", "image": "../elsewhere.jpg"}
    with pytest.raises(InputError, match="leads out of"):
        nih_studies(_table(tmp_path, "images.csv", rows), "train")


def test_covid_films_are_pneumonia_or_nothing(tmp_path: Path) -> None:
    rows = [
        {"image": "images/a.jpg", "finding": "COVID-19", "view": "PA"},
        {"image": "images/b.jpg", "finding": "No Finding", "view": "AP Supine"},
        {"image": "images/c.jpg", "finding": "todo", "view": "PA"},
        {"image": "images/d.jpg", "finding": "SARS", "view": "L"},
    ]
    sick, well = covid_studies(_table(tmp_path, "metadata.csv", rows))
    assert _by_name(sick.targets)["Pneumonia"] == 1
    assert np.isnan(_by_name(sick.targets)["Edema"])
    assert _by_name(well.targets)["No Finding"] == 1
    assert well.targets.sum() == 1


def test_a_corpus_gives_its_films_in_reading_order(drawn: Path) -> None:
    corpus = open_corpus(drawn)
    studies = corpus_studies(drawn, "val", LabelSettings(), max_views=2)
    assert [study.id for study in studies] == [study.id for study in corpus.split("val")]
    assert studies[0].films == tuple(corpus.view_path(view) for view in corpus.split("val")[0].views)
    assert len(corpus_studies(drawn, "val", LabelSettings(), max_views=1)[0].films) == 1


def test_a_corpus_without_labels_or_films_is_refused_by_name(drawn: Path, tmp_path: Path) -> None:
    bare = Path(shutil.copytree(drawn, tmp_path / "bare"))
    (bare / "labels.csv").unlink()
    with pytest.raises(InputError, match=r"bare: no labels.csv; make it with `xpronet label .*bare`"):
        corpus_studies(bare, "train", LabelSettings(), max_views=2)
    with pytest.raises(InputError, match="leads out of"):
        corpus_studies(drawn, "train", LabelSettings(table="../labels.csv"), max_views=2)


def test_real_nih_films_have_the_counts_of_their_readme(shared: Path) -> None:
    folder = shared / "data/nih_cxr14"
    if not folder.is_dir():
        pytest.skip("shared/data/nih_cxr14 is absent")
    train, val = nih_studies(folder, "train"), nih_studies(folder, "val")
    assert (len(train), len(val)) == (1159, 171)
    assert not {study.id for study in train} & {study.id for study in val}

    def positives(studies: list[LabelledStudy], name: str) -> int:
        return sum(study.targets[FINDINGS.index(name)] == 1 for study in studies)

    assert positives(train, "Pleural Effusion") == 135
    assert positives(val, "No Finding") == 65
