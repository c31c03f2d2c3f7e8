import numpy as np
import pytest

from xpronet.phantom.drawing import Canvas, between, smooth

BOX = np.array([(-0.2, 0.3), (0.2, 0.3), (0.2, 0.7), (-0.2, 0.7)])


@pytest.mark.parametrize("size", [64, 256, 600])
@pytest.mark.parametrize("soft", [0.0, 0.02])
def test_a_filled_outline_has_its_area(size: int, soft: float) -> None:
    mask = Canvas(size=size).fill(BOX, soft=soft)
    assert mask.mean() == pytest.approx(0.16, rel=0.08)
    assert mask[size // 2, size // 2] == pytest.approx(1)
    assert mask[0, 0] == 0


def test_scale_shift_and_tilt_move_shapes_and_coordinates_alike() -> None:
    canvas = Canvas(size=200, tilt=12.0, scale=0.8, shift=(0.1, -0.05))
    filled = canvas.fill(BOX) > 0.5
    by_coordinates = (np.abs(canvas.across) < 0.2) & (np.abs(canvas.down - 0.5) < 0.2)
    assert (filled ^ by_coordinates).mean() < 0.01


def test_a_line_has_its_width() -> None:
    mask = Canvas(size=256).stroke([between((-0.5, 0.5), (0.5, 0.5))], width=0.04)
    assert mask[:, 128].sum() == pytest.approx(0.04 * 256, abs=1)


def test_a_blob_is_half_on_its_ellipse() -> None:
    canvas = Canvas(size=400)
    mask = canvas.blob((0.1, 0.4), (0.2, 0.1), edge=0.5)
    assert mask[160, 240] == 1
    assert mask[160, 319] == pytest.approx(0.5, abs=0.05)
    assert mask[199, 240] == pytest.approx(0.5, abs=0.05)
    assert mask[240, 240] == 0


def test_a_blob_beyond_the_picture_is_nowhere() -> None:
    assert Canvas(size=64).blob((2.0, 0.5), (0.1, 0.1), edge=1.0).max() == 0


def test_a_smooth_curve_goes_through_its_points() -> None:
    curve = smooth(BOX, closed=True, steps=5)
    assert np.allclose(curve[::5], BOX)
    line = smooth(BOX, closed=False, steps=5)
    assert np.allclose(line[::5], BOX)
    assert len(line) == 16


def test_clouds_are_centred_and_seeded() -> None:
    canvas = Canvas(size=256)
    one, other = (canvas.cloud(np.random.default_rng(2), grain=0.05) for _ in range(2))
    assert np.array_equal(one, other)
    assert abs(one.mean()) < 0.2
    assert one.std() == pytest.approx(1, abs=0.25)
