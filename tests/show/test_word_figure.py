"""Attention over an image, and text that fits its lines."""

import numpy as np
import pytest

from xpronet.show.sheet import paragraph_height, text_width, wrapped
from xpronet.show.word_figure import overlay_attention

pytest.importorskip("matplotlib")


def test_attention_colours_its_own_region() -> None:
    view = np.full((8, 8), 100, np.uint8)
    grid = np.array([[0.5, 0.0], [0.0, 0.25]])
    image = overlay_attention(view, grid, 0.5)
    assert image.shape == (8, 8, 3)
    assert (image[:4, 4:] == 100).all()  # no attention, no colour
    strong, weak = image[0, 0].astype(int), image[7, 7].astype(int)
    assert (image[:4, :4] == strong).all()
    assert strong[0] > weak[0] > 100 > weak[2] > strong[2]  # amber: more red, less blue


def test_lines_hold_what_fits_and_nothing_is_lost() -> None:
    text = ["the", "heart", "is", "enlarged", "and", "a", "small", "effusion", "is", "seen", "on", "the", "left"]
    pieces = [piece for word in text for piece in (word, " ")][:-1]
    lines = wrapped(pieces, 1.5, 11)
    assert len(lines) > 2
    assert [pieces[number] for line in lines for _, number in line] == text
    for line in lines:
        start, last = line[-1]
        assert start + text_width(pieces[last], 11) <= 1.5 + 1e-9
        assert [place for place, _ in line] == sorted(place for place, _ in line)
    # A full stop stays with its word.
    assert wrapped(["effusion", "."], 0.1, 11) == [[(0.0, 0), (text_width("effusion", 11), 1)]]
    assert paragraph_height("one two", width=10.0, size=11) < paragraph_height("one two", width=0.1, size=11)
