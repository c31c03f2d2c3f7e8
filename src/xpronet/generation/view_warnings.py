"""What is odd about the views of a study for a model that learned from other ones."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import UInt8

from xpronet.model.texture_gate import LOOKS_DRAWN
from xpronet.training.checkpoints import VIEWS

RARE = 0.05
"""Share of the train studies below which a number of views is warned of."""


def view_warnings(
    model: Any, views: Sequence[UInt8[np.ndarray, "height width"]], names: Sequence[str]
) -> tuple[str, ...]:
    """Return a line for each way in which a study's views are unlike those of the train studies.

    Args:
        model: a checkpoint or an exported folder, whose training notes how many views the train studies had.
        views: the squares that the network is shown.
        names: what each view is called.
    """
    lines = [
        f"{names[first]} and {names[second]} are the same image; a study counts it twice"
        for first, second in combinations(range(len(views)), 2)
        if np.array_equal(views[first], views[second])
    ]
    texture = getattr(model, "texture", None)
    if texture is not None and not texture.of_drawings:
        drawn = texture.scores(np.stack(views)) <= texture.threshold
        lines += [f"{name}: {LOOKS_DRAWN}" for name, looks in zip(names, drawn, strict=True) if looks]
    counts = _counts(model)
    total = sum(counts.values())
    if total and counts.get(len(views), 0) / total < RARE:
        usual = max(counts, key=lambda number: counts[number])
        lines.append(
            f"a study of {_number(len(views))}: {counts[usual] / total:.0%} of the studies that the model learned from "
            f"had {_number(usual)}; findings and report are less reliable"
        )
    return tuple(lines)


def _counts(model: Any) -> dict[int, int]:
    noted = getattr(model, "training", {}).get(VIEWS)
    if not isinstance(noted, Mapping) or noted.get("drop_views") or noted.get("view_dropout"):
        # A model that learned with views left out knows studies of fewer views.
        return {}
    return {int(number): int(count) for number, count in noted["counts"].items()}


def _number(views: int) -> str:
    return "one view" if views == 1 else f"{views} views"
