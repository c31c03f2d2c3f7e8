"""Random changes of train images."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from xpronet.pretrain.augment import augment, draws_of, whole
from xpronet.pretrain.settings import AugmentSettings

STILL = AugmentSettings(rotation=0.0, scale=0.0, translate=0.0, contrast=0.0, brightness=0.0)
FILM = np.zeros((1, 64, 64), np.uint8)
FILM[0, 20:30, 8:24] = 200


def _draws(**values: float) -> np.ndarray:
    names = ("rotation", "scale", "x", "y", "contrast", "brightness")
    return np.array([[values.get(name, 0.0) for name in names]])


def test_without_changes_the_film_stays() -> None:
    images = augment(FILM, np.ones((1, 6)), STILL, size=64)
    torch.testing.assert_close(images, torch.from_numpy(FILM).float(), atol=1e-2, rtol=0)
    smaller = augment(FILM, np.ones((1, 6)), STILL, size=32)
    torch.testing.assert_close(smaller.mean(), torch.tensor(FILM.mean(), dtype=torch.float32), atol=1.0, rtol=0)


def _centre(image: torch.Tensor) -> tuple[float, float]:
    """Return row and column of the bright block's centre."""
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    return float((image * rows).sum() / image.sum()), float((image * columns).sum() / image.sum())


def test_each_change_moves_what_it_is_named_after() -> None:
    settings = AugmentSettings(rotation=30.0, scale=0.5, translate=0.125, contrast=0.5, brightness=0.5)
    row, column = _centre(augment(FILM, _draws(), settings, size=64)[0])
    moved_row, moved_column = _centre(augment(FILM, _draws(x=1.0, y=0.5), settings, size=64)[0])
    np.testing.assert_allclose((column - moved_column, row - moved_row), (8, 4), atol=0.1)
    larger = augment(FILM, _draws(scale=0.5), settings, size=64)[0]
    assert larger.sum() > 1.4 * FILM.sum()
    turned_row, turned_column = _centre(augment(FILM, _draws(rotation=1.0), settings, size=64)[0])
    radius = np.hypot(row - 31.5, column - 31.5)
    np.testing.assert_allclose(np.hypot(turned_row - 31.5, turned_column - 31.5), radius, atol=0.2)
    assert abs(turned_row - row) > 3
    brighter = augment(FILM, _draws(brightness=0.2), settings, size=64)[0]
    np.testing.assert_allclose(float(brighter[0, 0]), 25.5, atol=1e-3)
    assert augment(FILM, _draws(contrast=1.0), settings, size=64).max() == 255


@given(st.integers(0, 2**20), st.integers(0, 50))
def test_what_is_left_stays_left_under_any_draw(film: int, epoch: int) -> None:
    draws = draws_of([film], seed=0, epoch=epoch)
    assert (np.abs(draws) <= 1).all()
    np.testing.assert_array_equal(draws, draws_of([film], seed=0, epoch=epoch))
    plain = AugmentSettings(contrast=0.0, brightness=0.0)
    assert _centre(augment(FILM, draws, plain, size=64)[0])[1] < 31.5


def test_films_are_seen_whole_in_use() -> None:
    torch.testing.assert_close(whole(FILM, size=64), torch.from_numpy(FILM).float())
    assert whole(FILM, size=32).shape == (1, 32, 32)
