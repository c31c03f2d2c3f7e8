"""The JPEG films of IU X-Ray: which of them the split names, and in which order of views."""

from collections import Counter
from pathlib import Path

import pytest

from xpronet.corpora.iu_reports import read_iu_reports, read_projections
from xpronet.corpora.iu_xray import annotated_image, find_images
from xpronet.files import read_json


@pytest.fixture(scope="module")
def iu(shared: Path) -> Path:
    folder = shared / "data/iu_xray"
    if not (folder / "films_256").is_dir():
        pytest.skip("shared/data/iu_xray/films_256 is absent")
    return folder


def test_all_films_of_the_split_are_there_but_two(iu: Path) -> None:
    reports, _ = read_iu_reports(iu / "NLMCXR_reports.tgz")
    found = find_images(iu / "films_256")
    assert len(found) == 6087
    assert all(path.endswith(".jpg") for path in found.values())
    named = [
        (study["id"], annotated_image(path, reports))
        for studies in read_json(iu / "annotation.json").values()
        for study in studies
        for path in study["image_path"]
    ]
    assert len(named) == 5910
    missing = [study for study, name in named if name not in found]
    assert missing == ["CXR2084_IM-0715-1001", "CXR3809_IM-1919"]


def test_projections_say_of_every_film_whether_it_is_frontal(iu: Path) -> None:
    positions = read_projections(iu / "indiana_projections.csv")
    reports, _ = read_iu_reports(iu / "NLMCXR_reports.tgz")
    found = find_images(iu / "films_256")
    assert not [name for name in found if name not in positions]
    first = Counter(
        positions.get(str(annotated_image(study["image_path"][0], reports)))
        for studies in read_json(iu / "annotation.json").values()
        for study in studies
    )
    # In so many studies 0.png is the lateral film; with the table the frontal one comes first all the same.
    assert first["LATERAL"] == 337
