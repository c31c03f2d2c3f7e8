"""The map of prototypes: groups stay together, and purity is measured in the full space."""

import numpy as np
import pytest

from xpronet.errors import InputError
from xpronet.labels.findings import FINDINGS
from xpronet.show.atlas import AtlasSettings, make_atlas
from xpronet.show.figures import FINDING_MARKERS

OWNERS = tuple(name for name in FINDINGS[:3] for _ in range(6))


def _groups(spread: float) -> np.ndarray:
    rng = np.random.default_rng(0)
    centres = np.repeat(np.eye(3, 8), 6, axis=0)
    return (centres + spread * rng.normal(size=centres.shape)).astype(np.float32)


def test_groups_stay_together_on_the_map() -> None:
    made = make_atlas(_groups(0.05), OWNERS, AtlasSettings())
    assert made.coordinates.shape == (18, 2)
    distances = np.linalg.norm(made.coordinates[:, None] - made.coordinates[None], axis=-1)
    np.fill_diagonal(distances, np.inf)
    assert all(OWNERS[nearest] == owner for owner, nearest in zip(OWNERS, distances.argmin(1), strict=True))


def test_purity_is_high_in_groups_and_near_chance_in_noise() -> None:
    grouped, noise = (make_atlas(_groups(spread), OWNERS, AtlasSettings()) for spread in (0.05, 50.0))
    assert grouped.purity == 1
    assert grouped.chance == noise.chance == pytest.approx(5 / 17)
    assert noise.purity < 0.7


def test_the_seed_decides_the_map() -> None:
    first, again = (make_atlas(_groups(1.0), OWNERS, AtlasSettings(seed=3)) for _ in range(2))
    np.testing.assert_array_equal(first.coordinates, again.coordinates)


def test_too_few_prototypes_and_odd_settings_are_refused() -> None:
    with pytest.raises(InputError, match="at least four"):
        make_atlas(_groups(1.0)[:3], OWNERS[:3], AtlasSettings())
    with pytest.raises(InputError, match="perplexity"):
        AtlasSettings(perplexity=0.5)


def test_each_finding_has_a_marker_of_its_own() -> None:
    assert tuple(FINDING_MARKERS) == FINDINGS
    assert len(set(FINDING_MARKERS.values())) == len(FINDINGS)
    # Where two share a colour, neither the shape nor the inside is the same.
    for name, marker in FINDING_MARKERS.items():
        for other, beside in FINDING_MARKERS.items():
            if name != other and marker.colour == beside.colour:
                assert marker.shape != beside.shape
                assert marker.filled != beside.filled
