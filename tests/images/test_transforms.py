"""Views: the field's resize, the random crop, the three test views."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from xpronet.errors import InputError
from xpronet.images import transforms
from xpronet.images.read import eight_bits, resize_short_side
from xpronet.images.transforms import ImageSettings

SMALL = ImageSettings(size=32, short_side=40)


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)


def usual_resize(grey: np.ndarray, short_side: int) -> np.ndarray:
    """The field's `Resize(short_side)` of a Pillow image that was opened as RGB; one of its equal channels."""
    image = Image.fromarray(grey).convert("RGB")
    width, height = image.size
    if width <= height:
        size = (short_side, int(short_side * height / width))
    else:
        size = (int(short_side * width / height), short_side)
    return np.asarray(image.resize(size, Image.Resampling.BILINEAR))[..., 0]


@settings(deadline=None)
@given(height=st.integers(20, 90), width=st.integers(20, 90), seed=st.integers(0, 99))
def test_train_view_is_cut_from_the_usual_resize(height: int, width: int, seed: int) -> None:
    grey = picture(height, width)
    view = transforms.train_view(grey, SMALL, np.random.default_rng(seed))
    resized = usual_resize(grey, 40)
    places = np.lib.stride_tricks.sliding_window_view(resized, (32, 32))
    assert (places == view).all(axis=(2, 3)).any()


@given(height=st.integers(20, 90), width=st.integers(20, 90), seed=st.integers(0, 99))
@settings(deadline=None)
def test_square_train_view_is_cut_from_the_whole_picture_squashed(height: int, width: int, seed: int) -> None:
    grey = picture(height, width)
    squashed = np.asarray(Image.fromarray(grey).convert("RGB").resize((40, 40), Image.Resampling.BILINEAR))[..., 0]
    chosen = ImageSettings(size=32, short_side=40, train="square")
    view = transforms.train_view(grey, chosen, np.random.default_rng(seed))
    places = np.lib.stride_tricks.sliding_window_view(squashed, (32, 32))
    assert (places == view).all(axis=(2, 3)).any()
    np.testing.assert_array_equal(transforms.test_view(grey, chosen), transforms.test_view(grey, SMALL))


def test_a_square_train_view_changes_the_aspect_and_a_short_side_one_does_not() -> None:
    grey = np.zeros((128, 64), np.uint8)
    grey[60:68, 28:36] = 255  # a small square in the middle of a tall image
    shapes = {}
    for train in ("short-side", "square"):
        chosen = ImageSettings(size=64, short_side=64, train=train)
        lit = max((transforms.train_view(grey, chosen, np.random.default_rng(seed)) for seed in range(9)), key=np.sum)
        shapes[train] = ((lit > 127).any(axis=1).sum(), (lit > 127).any(axis=0).sum())
    assert shapes == {"short-side": (8, 8), "square": (4, 8)}


def test_random_crops_reach_every_place_and_repeat_with_their_seed() -> None:
    ramp = (np.arange(40)[:, None] + np.arange(40) * 6).astype(np.uint8)  # its corner names the place: row + 6 column
    rng = np.random.default_rng(0)
    corners = {int(transforms.train_view(ramp, SMALL, rng)[0, 0]) for _ in range(2000)}
    assert corners == {row + 6 * column for row in range(9) for column in range(9)}
    first, second = (transforms.train_view(ramp, SMALL, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_centre_crop() -> None:
    grey = picture(51, 40)
    np.testing.assert_array_equal(transforms.test_view(grey, SMALL), grey[10:42, 4:36])  # 9.5 rounds to the even 10


def test_squash_is_the_published_test_view() -> None:
    grey = picture(80, 50)
    usual = np.asarray(Image.fromarray(grey).convert("RGB").resize((32, 32), Image.Resampling.BILINEAR))[..., 0]
    np.testing.assert_array_equal(transforms.test_view(grey, ImageSettings(size=32, test="squash")), usual)


@given(height=st.integers(1, 90), width=st.integers(1, 90))
def test_padded_view_cuts_nothing(height: int, width: int) -> None:
    view = transforms.test_view(np.full((height, width), 200, np.uint8), ImageSettings(size=32, test="pad"))
    rows, columns = (view == 200).any(axis=1), (view == 200).any(axis=0)
    assert max(rows.sum(), columns.sum()) == 32
    assert set(np.unique(view)) <= {0, 200}
    assert (view == 200).sum() == rows.sum() * columns.sum()
    expected = max(1, round(32 * min(height, width) / max(height, width)))
    assert min(rows.sum(), columns.sum()) == expected
    for lit in (rows, columns):
        first, last = int(np.argmax(lit)), int(np.argmax(lit[::-1]))
        assert 0 <= last - first <= 1


@pytest.mark.parametrize("test", ["crop", "squash", "pad"])
def test_sixteen_bits_and_any_size_become_eight_bit_squares(test: str) -> None:
    chosen = ImageSettings(size=32, short_side=40, test=test)
    for shape in ((10, 300), (300, 10), (32, 32), (1, 1)):
        fine = picture(*shape).astype(np.uint16) * 257
        view = transforms.test_view(fine, chosen)
        assert view.shape == (32, 32)
        assert view.dtype == np.uint8
        np.testing.assert_array_equal(view, transforms.test_view(eight_bits(fine), chosen))


def test_cached_pictures_give_the_views_of_the_originals() -> None:
    grey = picture(700, 500)
    cached = resize_short_side(grey, 256)
    for view in (
        lambda grey: transforms.train_view(grey, ImageSettings(), np.random.default_rng(3)),
        lambda grey: transforms.test_view(grey, ImageSettings()),
    ):
        np.testing.assert_array_equal(view(cached), view(grey))


def test_mirror() -> None:
    square = picture(32, 32)
    np.testing.assert_array_equal(transforms.mirrored(square), np.asarray(Image.fromarray(square).transpose(0)))
    assert transforms.mirrored(square).flags.c_contiguous


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [({"size": 300}, "short_side = 256"), ({"size": 8}, "at least 32")],
)
def test_wrong_settings(wrong: dict[str, object], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        ImageSettings(**wrong)
