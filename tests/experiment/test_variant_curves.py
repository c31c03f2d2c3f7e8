"""Curves over a setting, as images of two kinds."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xpronet.errors import InputError
from xpronet.experiment.variant_curves import draw_curves
from xpronet.experiment.variant_table import SeedsScore, Variant
from xpronet.show import figures
from xpronet.show.figures import BLUE, ORANGE

pytest.importorskip("matplotlib")


def variant(bleu: float, f1: float, *, seeds: int = 1) -> Variant:
    scores = {}
    for name, value in (("BLEU-4", bleu), ("macro-F1 of 13", f1)):
        each = tuple(value + 0.01 * (number - (seeds - 1) / 2) for number in range(seeds))
        spread = 0.01 if seeds > 1 else None
        scores[name] = SeedsScore(value=value, low=value - 0.02, high=value + 0.03, spread=spread, each=each)
    return Variant(name="x", oracle=False, scores=scores)


POINTS = {5.0: variant(0.17, 0.2), 10.0: variant(0.19, 0.25), 15.0: variant(0.2, 0.3), 17.0: variant(0.171, 0.28)}
CONSTANTS = (variant(0.18, 0.02), variant(0.1, 0.1))


def texts(svg: Path) -> str:
    return " ".join(" ".join(element.itertext()) for element in ElementTree.parse(svg).getroot().iter())


def colours(png: Path) -> set[tuple[int, int, int]]:
    with Image.open(png) as picture:
        pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    return {tuple(map(int, colour)) for colour in np.unique(pixels, axis=0)}


def rgb(name: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(name.removeprefix("#")))


def test_both_kinds_of_picture_are_drawn_and_say_what_they_show(tmp_path: Path) -> None:
    png, svg = tmp_path / "sweep.png", tmp_path / "sweep.svg"
    draw_curves(POINTS, CONSTANTS, setting="γ: prototypes that respond", files=(png, svg))
    said = texts(svg)
    for told in ("BLEU-4", "macro-F1 of 13", "γ: prototypes that respond", "95 % interval", "best constant", "17"):
        assert told in said, told
    assert "each seed" not in said
    assert {rgb(BLUE), rgb(ORANGE)} <= colours(png)
    with Image.open(png) as picture:
        assert picture.width >= 1200


def test_the_same_curves_give_the_same_bytes(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a.svg", "b.svg", "a.png", "b.png")]
    for first in (0, 1):
        draw_curves(POINTS, CONSTANTS, setting="γ", files=(files[first], files[first + 2]))
    assert files[0].read_bytes() == files[1].read_bytes()
    assert files[2].read_bytes() == files[3].read_bytes()


def test_several_seeds_are_rings_and_no_constant_is_no_line(tmp_path: Path) -> None:
    svg, png = tmp_path / "sweep.svg", tmp_path / "sweep.png"
    points = {1.0: variant(0.2, 0.3, seeds=3), 1.5: variant(0.22, 0.3, seeds=3)}
    draw_curves(points, (), setting="θ", files=(svg, png))
    assert "each seed" in texts(svg)
    assert "constant" not in texts(svg)
    assert rgb(ORANGE) not in colours(png)


def test_a_missing_extra_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(figures, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"extra \[plots\]"):
        draw_curves(POINTS, CONSTANTS, setting="γ", files=(tmp_path / "sweep.png",))
    assert not list(tmp_path.iterdir())
