import numpy as np
import pytest

from xpronet.labels.findings import ABNORMALITIES, FINDINGS
from xpronet.phantom.draw_views import draw_study
from xpronet.phantom.record import Record, draw_record

SIZE = 112


def one_study(finding: str, number: int) -> tuple[Record, dict[str, tuple[np.ndarray, np.ndarray]]]:
    record = draw_record(frozenset({finding}), np.random.default_rng([7, number]))
    return record, draw_study(record, size=SIZE, rng=np.random.default_rng([8, number]))


def mask(regions: np.ndarray, finding: str) -> np.ndarray:
    return regions >> FINDINGS.index(finding) & 1 == 1


@pytest.mark.parametrize("finding", ABNORMALITIES)
def test_a_finding_has_a_region_on_both_views_and_no_other_has(finding: str) -> None:
    for number in range(4):
        _, views = one_study(finding, number)
        for _, regions in views.values():
            assert mask(regions, finding).sum() >= 8
            assert np.all(regions & ~np.uint16(1 << FINDINGS.index(finding)) == 0)


ONE_SIDED = [
    "Lung Opacity",
    "Lung Lesion",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
]


@pytest.mark.parametrize("finding", ONE_SIDED)
def test_the_patients_left_is_on_the_pictures_right(finding: str) -> None:
    seen = set()
    for number in range(10):
        record, views = one_study(finding, number)
        sides = {instance.side for instance in record[finding]}
        if sides not in ({"left"}, {"right"}):
            continue
        (side,) = sides
        seen.add(side)
        columns = np.nonzero(mask(views["PA"][1], finding))[1]
        assert (columns.mean() > SIZE / 2) == (side == "left"), (number, side)
    assert seen == {"left", "right"}


@pytest.mark.parametrize(
    "finding", ["Lung Opacity", "Lung Lesion", "Consolidation", "Pneumonia", "Pleural Other", "Fracture"]
)
def test_upper_is_above_lower(finding: str) -> None:
    rows: dict[str, list[float]] = {"upper": [], "mid": [], "lower": []}
    for number in range(16):
        record, views = one_study(finding, number)
        zones = {instance.zone for instance in record[finding]}
        if len(zones) == 1:
            rows[str(zones.pop())].append(float(np.nonzero(mask(views["PA"][1], finding))[0].mean()))
    assert np.mean(rows["upper"]) < np.mean(rows["mid"]) < np.mean(rows["lower"])


@pytest.mark.parametrize("finding", [name for name in ABNORMALITIES if name != "Support Devices"])
def test_large_is_larger_than_small(finding: str) -> None:
    areas: dict[str, list[int]] = {"small": [], "moderate": [], "large": []}
    for number in range(16):
        record, views = one_study(finding, number)
        if finding == "Edema" or (len(record[finding]) == 1 and record[finding][0].side != "both"):
            areas[str(record[finding][0].severity)].append(int(mask(views["PA"][1], finding).sum()))
    assert np.mean(areas["small"]) < np.mean(areas["large"])


@pytest.mark.parametrize("finding", ABNORMALITIES)
def test_a_finding_changes_the_picture_where_its_region_is(finding: str) -> None:
    """The same patient and film without the finding's drawing: what differs lies mostly in the region."""
    ratios = []
    for number in range(6):
        _, views = one_study(finding, number)
        without = draw_study({}, size=SIZE, rng=np.random.default_rng([8, number]))["PA"][0].astype(float)
        change = np.abs(views["PA"][0].astype(float) - without)
        region = mask(views["PA"][1], finding)
        ratios.append(change[region].mean() / max(change[~region].mean(), 1e-6))
    assert np.median(ratios) > 1.2


def test_pictures_look_like_films() -> None:
    for number in range(5):
        views = draw_study({}, size=SIZE, rng=np.random.default_rng([9, number]))
        picture, regions = views["PA"]
        assert regions.max() == 0
        lung, belly = picture[40:60, 25:32].mean(), picture[-12:-4, 50:60].mean()
        assert np.percentile(views["LATERAL"][0], 5) < 10  # air beside the body
        assert belly - lung > 60
