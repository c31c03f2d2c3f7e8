"""The grey cache: sizes, resumption, unreadable pictures, crashes."""

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xpronet.data import cache
from xpronet.data.cache import make_cache
from xpronet.data.images import picture_size, read_grey, resize_short_side
from xpronet.errors import InputError


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
def test_every_picture_is_cached(workers: int, tmp_path: Path) -> None:
    pairs = sources(tmp_path, 20)
    seen: list[str] = []

    def track(items: Iterable[object], description: str, total: int) -> Iterable[object]:
        for item in items:
            seen.append(f"{description} {total}")
            yield item

    assert make_cache(pairs, short_side=32, workers=workers, track=track) == []
    assert seen == ["Pictures 20"] * 20
    for source, destination in pairs:
        np.testing.assert_array_equal(read_grey(destination), resize_short_side(read_grey(source), 32))
    assert len(list((tmp_path / "cache").iterdir())) == 20


def test_small_and_full_sizes_stay(tmp_path: Path) -> None:
    pairs = sources(tmp_path, 1)
    make_cache(pairs, short_side=256, workers=1)
    assert picture_size(pairs[0][1]) == (48, 60)
    make_cache(pairs, short_side=None, workers=1)
    assert picture_size(pairs[0][1]) == (48, 60)


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    Image.fromarray(np.full((40, 40), 65535, np.uint16)).save(tmp_path / "a.png")
    make_cache([(tmp_path / "a.png", tmp_path / "b.png")], workers=1)
    grey = read_grey(tmp_path / "b.png")
    assert grey.dtype == np.uint8
    assert grey.min() == 255


def test_resumption_makes_only_what_is_missing(tmp_path: Path) -> None:
    pairs = sources(tmp_path, 5)
    make_cache(pairs, short_side=32, workers=1)
    for source, destination in pairs:  # older by an hour, so that what is made again shows
        for path, age in ((source, 7200), (destination, 3600)):
            os.utime(path, (path.stat().st_mtime - age,) * 2)
    before = {destination: destination.stat().st_mtime for _, destination in pairs}
    whole = pairs[1][1].read_bytes()
    pairs[0][1].unlink()
    pairs[1][1].write_bytes(whole[: len(whole) // 2])
    Image.fromarray(np.zeros((16, 16), np.uint8)).save(pairs[2][1])
    os.utime(pairs[3][0])
    make_cache(pairs, short_side=32, workers=1)
    again = {destination: destination.stat().st_mtime > before[destination] for _, destination in pairs}
    assert list(again.values()) == [True, True, True, True, False]
    assert pairs[1][1].read_bytes() == whole
    assert picture_size(pairs[2][1]) == (32, 40)


@pytest.mark.parametrize("workers", [1, 2])
def test_unreadable_pictures_are_collected(workers: int, tmp_path: Path) -> None:
    pairs = sources(tmp_path, 6)
    pairs[1][0].write_text("no picture")
    pairs[2][0].unlink()
    Image.fromarray(np.zeros((1, 900), np.uint8)).save(pairs[3][0])
    unreadable = make_cache(pairs, short_side=32, workers=workers)
    assert {found.path for found in unreadable} == {pairs[1][0], pairs[2][0], pairs[3][0]}
    assert all(str(found.path) in found.reason and "\n" not in found.reason for found in unreadable)
    assert [destination.exists() for _, destination in pairs] == [True, False, False, False, True, True]


def crash(pair: tuple[Path, Path], short_side: int | None) -> None:
    """Stand in for a C++ decoder that aborts on some pictures."""
    if pair[0].stem == "1":
        os.abort()
    return real_work(pair, short_side)


real_work = cache._cache_one


def test_crash_costs_one_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = sources(tmp_path, 3)
    monkeypatch.setattr(cache, "_cache_one", crash)
    unreadable = make_cache(pairs, short_side=32, workers=2)
    assert [found.path.stem for found in unreadable] == ["1"]
    assert all("crashes its decoder" in found.reason for found in unreadable)
    assert sum(destination.exists() for _, destination in pairs) == 2


def test_no_pictures_and_no_room(tmp_path: Path) -> None:
    assert make_cache([]) == []
    pairs = sources(tmp_path, 1)
    (tmp_path / "cache").write_text("a file where a folder must go")
    with pytest.raises(InputError, match="cannot be written"):
        make_cache(pairs, workers=1)
