"""Make the findings head's probabilities mean what they say: of the findings given 0.7, seven in ten are there."""

import numpy as np
from jaxtyping import Bool, Float

PRIOR = 1.0
"""Strength of the pull towards leaving a finding as it is: it decides where the split has few studies."""
SMALLEST = 0.05
"""Least scale: the order of the studies stays, so that thresholds stay possible."""
ROUNDS = 50
"""Newton's steps at most; a handful is enough."""

Calibration = Float[np.ndarray, "2 findings"]
"""The scale of each finding's logit, and what is added to it."""


def fit_calibration(
    logits: Float[np.ndarray, "studies findings"], labels: Bool[np.ndarray, "studies findings"]
) -> Calibration:
    """Return for each finding the scale and shift of its logit that make the labels most probable (Platt scaling).

    Scale 1 and shift 0, which change nothing, are the prior: a finding that the split never shows, or shows always,
    moves little. The scale is never below `SMALLEST`.

    Args:
        logits: of the findings head on the validation split.
        labels: what is there.
    """
    fitted = [_fit(x, y) for x, y in zip(logits.astype(np.float64).T, labels.astype(np.float64).T, strict=True)]
    return np.array(fitted).T.reshape(2, logits.shape[1])


def calibrated(logits: Float[np.ndarray, "studies findings"], calibration: Calibration) -> np.ndarray:
    """Return probabilities."""
    return _sigmoid(calibration[0] * logits + calibration[1])


def _fit(logits: Float[np.ndarray, " studies"], labels: Float[np.ndarray, " studies"]) -> tuple[float, float]:
    free = _newton(np.stack([logits, np.ones_like(logits)]), labels, np.zeros_like(logits), np.array([1.0, 0.0]))
    if free[0] >= SMALLEST:
        return float(free[0]), float(free[1])
    (shift,) = _newton(np.ones((1, len(logits))), labels, SMALLEST * logits, np.array([0.0]))
    return SMALLEST, float(shift)


def _newton(
    features: Float[np.ndarray, "parameters studies"],
    labels: Float[np.ndarray, " studies"],
    offset: Float[np.ndarray, " studies"],
    prior: Float[np.ndarray, " parameters"],
) -> Float[np.ndarray, " parameters"]:
    """Maximise the labels' log-likelihood minus half `PRIOR` times the squared distance from the prior."""
    at = prior.copy()

    def cost(where: Float[np.ndarray, " parameters"]) -> float:
        scores = where @ features + offset
        likelihood = (np.logaddexp(0.0, scores) - labels * scores).sum()
        return float(likelihood + PRIOR / 2 * ((where - prior) ** 2).sum())

    for _ in range(ROUNDS):
        expected = _sigmoid(at @ features + offset)
        slope = features @ (expected - labels) + PRIOR * (at - prior)
        curvature = (features * (expected * (1 - expected))) @ features.T + PRIOR * np.eye(len(at))
        step = np.linalg.solve(curvature, slope)
        # The cost is convex: halving a step that overshoots always comes down.
        while cost(at - step) > cost(at) and np.abs(step).max() > 1e-10:
            step = step / 2
        at = at - step
        if np.abs(step).max() < 1e-9:
            break
    return at


def _sigmoid(scores: np.ndarray) -> np.ndarray:
    return np.exp(-np.logaddexp(0.0, -scores))
