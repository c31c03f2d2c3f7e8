"""Validation after an epoch: word loss, findings, their calibration and thresholds."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float

from xpronet.data.dataset import Batch
from xpronet.labels.f1 import abnormality_f1
from xpronet.model.network import XProNet
from xpronet.training.distributed import DistributedContext
from xpronet.training.losses import word_loss
from xpronet.training.precision import forward_precision

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


UNDECIDED = 0.5
"""Threshold of a finding that the validation split never shows."""


def best_thresholds(
    probabilities: Float[np.ndarray, "studies findings"], labels: Bool[np.ndarray, "studies findings"]
) -> Float[np.ndarray, " findings"]:
    """Return the threshold of each finding that gives the highest F1.

    It lies half-way between two neighbouring probabilities, so that it does not hang on a single study's last digit.
    """
    return np.array([_best(p, y) for p, y in zip(probabilities.T, labels.T, strict=True)], probabilities.dtype)


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


@dataclass(frozen=True, kw_only=True)
class Validation:
    """Scores of one pass over a split."""

    word_loss: float
    """Cross-entropy a token, the reference words and labels given."""
    findings_f1: float | None
    """Macro-F1 of the findings head over the 13 abnormalities (`labels.f1`) at the thresholds below; None without a
    head, and where no study has an abnormality or is given one."""
    thresholds: Float[np.ndarray, " findings"] | None
    """The calibrated probabilities from which on each finding has its best F1 on this split."""
    calibration: Calibration | None
    """What makes the head's probabilities right on this split; None without a head."""


def validate(
    network: XProNet, batches: Iterable[Batch], *, precision: str, processes: DistributedContext
) -> Validation:
    """Pass once over a split without learning.

    Args:
        network: of any mode, which it keeps.
        batches: this process's batches: those at its rank and every so many after it.
        precision: arithmetic of the forward pass.
        processes: who has the other batches; all return the same, and what one process alone would.
    """
    was_training = network.training
    network.eval()
    device = next(network.parameters()).device
    costs: list[tuple[float, float]] = []
    logits: list[Float[np.ndarray, "studies findings"]] = []
    labels: list[Bool[np.ndarray, "studies findings"]] = []
    with torch.inference_mode(), forward_precision(device, precision):
        for batch in batches:
            batch = batch.to(device)
            outputs = network(batch.images, batch.view_mask, batch.words[:, :-1], batch.findings)
            mask = batch.word_mask[:, 1:]
            tokens = float(mask.sum())
            costs.append((float(word_loss(outputs.logits, batch.words[:, 1:], mask)) * tokens, tokens))
            if outputs.finding_logits is not None:
                logits.append(outputs.finding_logits.float().cpu().numpy())
                labels.append(batch.findings.cpu().numpy())
    network.train(was_training)
    # In the order of batches, so that sums and equal probabilities come out as in one process, to the bit.
    cost = tokens = 0.0
    for part, number in _in_order(costs, processes):
        cost, tokens = cost + part, tokens + number
    if network.findings_head is None:
        return Validation(word_loss=cost / tokens, findings_f1=None, thresholds=None, calibration=None)
    pairs = [[each.tolist(), true.tolist()] for each, true in zip(logits, labels, strict=True)]
    gathered = _in_order(pairs, processes)
    scores = np.concatenate([np.array(each, np.float32) for each, _ in gathered])
    truth = np.concatenate([np.array(each, bool) for _, each in gathered])
    calibration = fit_calibration(scores, truth)
    predicted = calibrated(scores, calibration)
    thresholds = best_thresholds(predicted, truth)
    return Validation(
        word_loss=cost / tokens,
        findings_f1=abnormality_f1(truth, predicted >= thresholds),
        thresholds=thresholds,
        calibration=calibration,
    )


def _in_order(of_each_batch: list[Any], processes: DistributedContext) -> list[Any]:
    """Return what all processes found in their batches, in the order of batches."""
    if processes.count == 1:
        return of_each_batch
    parts = processes.gather_values(of_each_batch)
    rounds = zip_longest(*parts, fillvalue=_NOTHING)
    return [found for each in rounds for found in each if found is not _NOTHING]


_NOTHING = object()
"""In place of a batch that a process did not have."""
