"""The grey cache: sizes, resumption, unreadable images, crashes."""

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from xpronet.corpora import image_cache as cache
from xpronet.corpora.image_cache import ImageFormat, make_cache
from xpronet.errors import InputError
from xpronet.images.read import Depth, at_depth, eight_bits, read_grey, read_header, resize_short_side, write_grey
from xpronet.images.transforms import ImageSettings, test_view

DEPTHS: tuple[Depth, ...] = (8, 16)
test_view.__test__ = False  # the name of a function, not of a test


def sources(folder: Path, count: int, shape: tuple[int, int] = (60, 48)) -> list[tuple[Path, Path]]:
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    pairs = []
    for number in range(count):
        path = folder / f"{number}.png"
        Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(path)
        pairs.append((path, folder / "cache" / f"{number}.png"))
    return pairs


@pytest.mark.parametrize("workers", [1, 2])
def test_every_image_is_cached(workers: int, tmp_path: Path) -> None:
    pairs = sources(tmp_path, 20)
    seen: list[str] = []

    def track(items: Iterable[object], description: str, total: int) -> Iterable[object]:
        for item in items:
            seen.append(f"{description} {total}")
            yield item

    assert make_cache(pairs, ImageFormat(short_side=32), workers=workers, track=track) == []
    assert seen == ["Convert images 20"] * 20
    for source, destination in pairs:
        np.testing.assert_array_equal(read_grey(destination), resize_short_side(read_grey(source), 32))
    assert len(list((tmp_path / "cache").iterdir())) == 20


def test_small_and_full_sizes_stay(tmp_path: Path) -> None:
    pairs = sources(tmp_path, 1)
    make_cache(pairs, ImageFormat(short_side=256), workers=1)
    assert read_header(pairs[0][1]) == (48, 60, 8)
    make_cache(pairs, ImageFormat(short_side=None), workers=1)
    assert read_header(pairs[0][1]) == (48, 60, 8)


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    Image.fromarray(np.full((40, 40), 65535, np.uint16)).save(tmp_path / "a.png")
    make_cache([(tmp_path / "a.png", tmp_path / "b.png")], workers=1)
    grey = read_grey(tmp_path / "b.png")
    assert grey.dtype == np.uint8
    assert grey.min() == 255


def levels(shape: tuple[int, int], kind: type[np.uint8 | np.uint16]) -> st.SearchStrategy[np.ndarray]:
    return hnp.arrays(kind, shape, elements=st.integers(0, int(np.iinfo(kind).max)))


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    grey=st.tuples(st.integers(33, 90), st.integers(33, 90)).flatmap(
        lambda shape: st.one_of(levels(shape, np.uint8), levels(shape, np.uint16))
    )
)
def test_both_depths_show_the_network_the_same_image(grey: np.ndarray, tmp_path: Path) -> None:
    write_grey(tmp_path / "a.png", grey, overwrite=True)
    squares, stored = [], []
    for depth in DEPTHS:
        (tmp_path / "b.png").unlink(missing_ok=True)
        make_cache([(tmp_path / "a.png", tmp_path / "b.png")], ImageFormat(short_side=32, depth=depth), workers=1)
        stored.append(read_grey(tmp_path / "b.png"))
        assert read_header(tmp_path / "b.png").depth == depth == 8 * stored[-1].itemsize
        squares.append(test_view(stored[-1], ImageSettings(size=32, short_side=32)).astype(int))
    # Eight bits are rounded at every step (reading 16 bits, rows, columns), sixteen once, at the end.
    steps = 1 if grey.dtype == np.uint8 else 2
    assert np.abs(squares[0] - squares[1]).max() <= steps
    exact = resize_short_side(at_depth(grey, 16), 32).astype(float) / 257
    assert np.abs(eight_bits(stored[1]) - exact).max() <= 0.5


def test_sixteen_bits_are_kept_through_the_resize(tmp_path: Path) -> None:
    ramp = np.add.outer(np.arange(120) * 3, np.arange(200) * 2).astype(np.uint16) + 20_000
    write_grey(tmp_path / "a.png", ramp)
    for depth in DEPTHS:
        pair = tmp_path / "a.png", tmp_path / f"{depth}.png"
        assert make_cache([pair], ImageFormat(short_side=60, depth=depth), workers=1) == []
    few, many = (len(np.unique(read_grey(tmp_path / f"{depth}.png"))) for depth in DEPTHS)
    assert few < 5
    assert many > 300


def test_a_film_of_fifteen_bits_keeps_them(shared: Path, tmp_path: Path) -> None:
    pair = shared / "data/dicom/RG1_UNCI.dcm", tmp_path / "film.png"
    assert make_cache([pair], ImageFormat(depth=16), workers=1) == []
    assert len(np.unique(read_grey(pair[1]))) > 2000


def test_an_image_of_the_other_depth_is_made_again(tmp_path: Path) -> None:
    pairs = sources(tmp_path, 1)
    for depth in (8, 16, 8):
        make_cache(pairs, ImageFormat(short_side=32, depth=depth), workers=1)
        assert read_header(pairs[0][1]).depth == depth


def test_a_short_side_is_checked() -> None:
    with pytest.raises(InputError, match="short_side = 31"):
        ImageFormat(short_side=31)


def test_resumption_makes_only_what_is_missing(tmp_path: Path) -> None:
    pairs = sources(tmp_path, 5)
    make_cache(pairs, ImageFormat(short_side=32), workers=1)
    for source, destination in pairs:  # older by an hour, so that what is made again shows
        for path, age in ((source, 7200), (destination, 3600)):
            os.utime(path, (path.stat().st_mtime - age,) * 2)
    before = {destination: destination.stat().st_mtime for _, destination in pairs}
    whole = pairs[1][1].read_bytes()
    pairs[0][1].unlink()
    pairs[1][1].write_bytes(whole[: len(whole) // 2])
    Image.fromarray(np.zeros((16, 16), np.uint8)).save(pairs[2][1])
    os.utime(pairs[3][0])
    make_cache(pairs, ImageFormat(short_side=32), workers=1)
    again = {destination: destination.stat().st_mtime > before[destination] for _, destination in pairs}
    assert list(again.values()) == [True, True, True, True, False]
    assert pairs[1][1].read_bytes() == whole
    assert read_header(pairs[2][1]) == (32, 40, 8)


@pytest.mark.parametrize("workers", [1, 2])
def test_unreadable_images_are_collected(workers: int, tmp_path: Path) -> None:
    pairs = sources(tmp_path, 6)
    pairs[1][0].write_text("no image")
    pairs[2][0].unlink()
    Image.fromarray(np.zeros((1, 900), np.uint8)).save(pairs[3][0])
    unreadable = make_cache(pairs, ImageFormat(short_side=32), workers=workers)
    assert {found.path for found in unreadable} == {pairs[1][0], pairs[2][0], pairs[3][0]}
    assert all(str(found.path) in found.reason and "\n" not in found.reason for found in unreadable)
    assert [destination.exists() for _, destination in pairs] == [True, False, False, False, True, True]


def crash(pair: tuple[Path, Path], image_format: ImageFormat) -> None:
    """Stand in for a C++ decoder that aborts on some images."""
    if pair[0].stem == "1":
        os.abort()
    return real_work(pair, image_format)


real_work = cache._cache_one


def test_crash_costs_one_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = sources(tmp_path, 3)
    monkeypatch.setattr(cache, "_cache_one", crash)
    unreadable = make_cache(pairs, ImageFormat(short_side=32), workers=2)
    assert [found.path.stem for found in unreadable] == ["1"]
    assert all("crashes its decoder" in found.reason for found in unreadable)
    assert sum(destination.exists() for _, destination in pairs) == 2


def test_no_images_and_no_room(tmp_path: Path) -> None:
    assert make_cache([]) == []
    pairs = sources(tmp_path, 1)
    (tmp_path / "cache").write_text("a file where a folder must go")
    with pytest.raises(InputError, match="cannot be written"):
        make_cache(pairs, workers=1)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("depth", DEPTHS)
def test_images_of_a_low_range_are_warned_of_also_when_cached_before(
    depth: Depth, workers: int, tmp_path: Path
) -> None:
    pairs = sources(tmp_path, 3)
    dark = np.linspace(0, 4095, 60 * 48).reshape(60, 48).astype(np.uint16)
    write_grey(pairs[1][0], dark, overwrite=True)
    for _ in range(2):
        warned: list[cache.LowRangeImage] = []
        form = ImageFormat(short_side=32, depth=depth)
        assert make_cache(pairs, form, workers=workers, warn=warned.append) == []
        assert [image.path for image in warned] == [pairs[1][0]]
        assert warned[0].warning.startswith(f"{pairs[1][0]}: uses 6% of its grey range"), warned[0].warning
