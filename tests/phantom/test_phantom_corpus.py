import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from xpronet.corpora.check import check_corpus
from xpronet.data.corpus import open_corpus
from xpronet.errors import InputError
from xpronet.files import read_json_lines
from xpronet.images.read import eight_bits, read_grey
from xpronet.labels.findings import ABNORMALITIES, FINDINGS, NO_FINDING, State
from xpronet.labels.label_tables import read_labels
from xpronet.phantom.make_corpus import PhantomSettings, draw_phantom, make_phantom
from xpronet.phantom.plan import plan_studies
from xpronet.phantom.regions import read_regions, region_path

SMALL = PhantomSettings(studies=60, seed=3, prevalence="balanced", size=64)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("phantom") / "corpus"
    make_phantom(path, SMALL, workers=1)
    return path


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_corpus_is_complete(folder: Path) -> None:
    corpus = open_corpus(folder)
    assert corpus.name == "phantom"
    assert corpus.made["seed"] == 3
    assert [len(corpus.split(name)) for name in ("train", "val", "test")] == [42, 6, 12]
    labels = read_labels(folder / "labels.csv", [study.id for study in corpus.studies])
    truth = {record["id"]: record["findings"] for record in read_json_lines(folder / "truth.jsonl")}
    for number, study in enumerate(corpus.studies):
        assert study.id == f"phantom-{number:06d}"
        assert [view.position for view in study.views] == ["PA", "LATERAL"]
        assert {read_grey(corpus.view_path(view)).shape for view in study.views} == {(64, 64)}
        assert study.report
        assert {name for name in ABNORMALITIES if labels[study.id][name] is State.POSITIVE} == set(truth[study.id])
        none = set(truth[study.id]) <= {"Support Devices"}
        assert (labels[study.id][NO_FINDING] is State.POSITIVE) == none


def test_regions_are_there_for_what_is_present(folder: Path) -> None:
    for record in read_json_lines(folder / "truth.jsonl"):
        path = region_path(folder, record["id"], "PA")
        assert path.exists() == bool(record["findings"])
        if path.exists():
            regions = read_regions(path)
            assert regions.shape == (len(FINDINGS), 64, 64)
            assert {FINDINGS[bit] for bit in np.flatnonzero(regions.any(axis=(1, 2)))} == set(record["findings"])


def test_sixteen_bits_show_the_same_pictures(folder: Path, tmp_path: Path) -> None:
    few = dataclasses.replace(SMALL, studies=10)
    make_phantom(tmp_path / "eight", few, workers=1)
    make_phantom(tmp_path / "sixteen", dataclasses.replace(few, depth=16), workers=1)
    corpus = open_corpus(tmp_path / "sixteen")
    assert corpus.made["depth"] == 16
    assert check_corpus(tmp_path / "sixteen").problems == []
    for study in corpus.studies:
        for view in study.views:
            deep, flat = (read_grey(tmp_path / name / view.path) for name in ("sixteen", "eight"))
            assert len(np.unique(deep)) > 256
            np.testing.assert_allclose(eight_bits(deep), flat.astype(int), atol=1)


def test_the_number_of_processes_changes_nothing(folder: Path, tmp_path: Path) -> None:
    make_phantom(tmp_path / "two", SMALL, workers=2)
    assert files(tmp_path / "two") == files(folder)


def test_a_longer_corpus_begins_with_the_shorter_one(folder: Path) -> None:
    settings = PhantomSettings(studies=500, seed=3, prevalence="balanced", size=64)
    plan = plan_studies(500, "balanced", 3)
    assert plan[:60] == plan_studies(60, "balanced", 3)
    corpus = open_corpus(folder)
    for number in (0, 31, 59):
        phantom = draw_phantom(plan[number][0], number, settings)
        assert phantom.report == corpus.studies[number].report
        stored = read_grey(corpus.view_path(corpus.studies[number].views[0]))
        assert np.array_equal(phantom.views["PA"][0], stored)


def test_seeds_differ(folder: Path) -> None:
    other = draw_phantom(frozenset(), 0, PhantomSettings(seed=4, size=64))
    same = draw_phantom(frozenset(), 0, PhantomSettings(seed=3, size=64))
    assert not np.array_equal(other.views["PA"][0], same.views["PA"][0])


@pytest.mark.parametrize("size", [64, 100, 1024])
def test_any_size_shows_the_same_study(size: int) -> None:
    present = frozenset({"Pleural Effusion", "Fracture"})
    phantom = draw_phantom(present, 5, PhantomSettings(size=size))
    assert {picture.shape for picture, _ in phantom.views.values()} == {(size, size)}
    assert phantom.report == draw_phantom(present, 5, PhantomSettings(size=256)).report
    reference = draw_phantom(present, 5, PhantomSettings(size=256)).views["PA"][0]
    assert abs(float(phantom.views["PA"][0].mean()) - float(reference.mean())) < 3


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"studies": 9}, "studies = 9"),
        ({"size": 63}, "size = 63"),
        ({"size": 1025}, "size = 1025"),
        ({"seed": -1}, "seed = -1"),
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, int], named: str) -> None:
    with pytest.raises(InputError, match=named):
        PhantomSettings(**wrong)


def test_a_full_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(InputError, match="already exists"):
        make_phantom(tmp_path, PhantomSettings(studies=10, size=64))
    assert files(tmp_path) == {"mine.txt": b"keep"}


def test_overwrite_replaces_all(tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "mine.txt").write_text("old")
    counts = make_phantom(tmp_path / "corpus", PhantomSettings(studies=10, size=64), overwrite=True)
    assert counts == {"train": 7, "val": 1, "test": 2}
    assert not (tmp_path / "corpus" / "mine.txt").exists()
    assert json.loads((tmp_path / "corpus" / "corpus.json").read_text())["studies"] == counts


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    def failing(items: object, description: str, total: int) -> object:
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        make_phantom(tmp_path / "corpus", PhantomSettings(studies=10, size=64), track=failing)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_pictures_that_are_no_regions_are_refused(folder: Path) -> None:
    corpus = open_corpus(folder)
    with pytest.raises(InputError, match="no regions"):
        read_regions(corpus.view_path(corpus.studies[0].views[0]))
