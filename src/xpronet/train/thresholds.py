"""Choose from which probability on a finding counts as present."""

import numpy as np
from jaxtyping import Bool, Float

UNDECIDED = 0.5
"""Threshold of a finding that the validation split never shows."""


def best_thresholds(
    probabilities: Float[np.ndarray, "studies findings"], labels: Bool[np.ndarray, "studies findings"]
) -> Float[np.ndarray, " findings"]:
    """Return the threshold of each finding that gives the highest F1.

    It lies half-way between two neighbouring probabilities, so that it does not hang on a single study's last digit.
    """
    return np.array([_best(p, y) for p, y in zip(probabilities.T, labels.T, strict=True)], probabilities.dtype)


def macro_f1(
    probabilities: Float[np.ndarray, "studies findings"],
    labels: Bool[np.ndarray, "studies findings"],
    thresholds: Float[np.ndarray, " findings"],
) -> float:
    """Return the mean F1 over the findings; one that is neither there nor predicted counts as 0."""
    predicted = probabilities >= thresholds
    hits = (predicted & labels).sum(0)
    sizes = predicted.sum(0) + labels.sum(0)
    return float((2 * hits / np.maximum(sizes, 1)).mean())


def _best(probabilities: Float[np.ndarray, " studies"], labels: Bool[np.ndarray, " studies"]) -> float:
    if not labels.any():
        return UNDECIDED
    order = np.argsort(-probabilities, kind="stable")
    ranked = probabilities[order]
    hits = np.cumsum(labels[order])
    f1 = 2 * hits / (np.arange(1, len(ranked) + 1) + labels.sum())
    # Equal probabilities stand or fall together: only the last of a run may be the last one taken.
    f1[:-1][ranked[:-1] == ranked[1:]] = -1.0
    last = int(np.argmax(f1))
    below = ranked[last + 1] if last + 1 < len(ranked) else 0.0
    return float((ranked[last] + below) / 2)
