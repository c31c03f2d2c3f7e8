"""Studies whose views are unlike those of the train studies are warned of."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from xpronet.generation.view_warnings import view_warnings
from xpronet.model.checkpoint import Checkpoint, load_checkpoint
from xpronet.training.checkpoints import VIEWS


@pytest.fixture(scope="module")
def checkpoint(tiny_run: Path) -> Checkpoint:
    return load_checkpoint(tiny_run)


def squares(*greys: int) -> list[np.ndarray]:
    return [np.full((8, 8), grey, np.uint8) for grey in greys]


def noting(checkpoint: Checkpoint, counts: dict[str, int], **left_out: float) -> Checkpoint:
    return dataclasses.replace(checkpoint, training={VIEWS: {"counts": counts, "positions": {}, **left_out}})


def test_training_notes_the_views_of_its_studies(checkpoint: Checkpoint) -> None:
    noted = checkpoint.training[VIEWS]
    assert (noted["counts"], noted["drop_views"], noted["view_dropout"]) == ({"2": 28}, 0.0, 0.0)


def test_another_number_of_views_is_warned_of(checkpoint: Checkpoint) -> None:
    always_two = noting(checkpoint, {"2": 99, "1": 1})
    assert view_warnings(always_two, squares(1, 2), ["a", "b"]) == ()
    [one] = view_warnings(always_two, squares(1), ["a"])
    assert one.startswith("a study of one view: 99% of the studies that the model learned from had 2 views")
    [nine] = view_warnings(always_two, squares(*range(9)), list("abcdefghi"))
    assert nine.startswith("a study of 9 views")
    assert view_warnings(noting(checkpoint, {"1": 50, "2": 50}), squares(1), ["a"]) == ()
    for left_out in ("drop_views", "view_dropout"):
        assert view_warnings(noting(checkpoint, {"2": 9}, **{left_out: 0.5}), squares(1), ["a"]) == ()


def test_the_same_image_twice_is_warned_of(checkpoint: Checkpoint) -> None:
    [line] = view_warnings(noting(checkpoint, {"2": 9}), squares(4, 4), ["a.png", "b.png"])
    assert line == "a.png and b.png are the same image; a study counts it twice"


def test_nothing_is_said_where_nothing_is_known(checkpoint: Checkpoint) -> None:
    assert view_warnings(dataclasses.replace(checkpoint, training={}), squares(1), ["a"]) == ()
    assert view_warnings(object(), squares(1), ["a"]) == ()
