"""Images that use little of their grey range."""

import numpy as np
import pytest

from xpronet.images.grey_range import low_range_warning


def film(kind: type, low: float, high: float) -> np.ndarray:
    """Noise between two shares of the range."""
    top = np.iinfo(kind).max
    return (np.random.default_rng(0).uniform(low, high, (200, 160)) * top).astype(kind)


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_fewer_bits_in_sixteen(bits: int) -> None:
    grey = film(np.uint16, 0, 2**bits / 2**16)
    warning = low_range_warning(grey)
    assert warning is not None
    assert f"a film of {bits} bits in a file of 16: scale it to 0 to 65,535" in warning
    grey[:2, :2] = 65535  # a burnt-in letter
    assert low_range_warning(grey) is not None


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.2), (0.4, 0.6), (0.85, 1.0)])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_narrow_wherever_it_lies(kind: type, low: float, high: float) -> None:
    warning = low_range_warning(film(kind, low, high))
    assert warning is not None
    assert warning.startswith(f"uses {high - low:.0%} of its grey range") or "%" in warning


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_films_are_not_warned_of(kind: type) -> None:
    assert low_range_warning(film(kind, 0.1, 0.5)) is None
    assert low_range_warning(film(kind, 0, 1)) is None


def test_one_grey() -> None:
    for grey in (np.zeros((9, 9), np.uint8), np.full((9, 9), 700, np.uint16), np.zeros((1, 1), np.uint8)):
        assert "a single grey" in str(low_range_warning(grey))
