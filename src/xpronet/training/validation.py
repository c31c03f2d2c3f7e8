"""Validation after an epoch: word loss, and the findings head's calibration, thresholds and F1."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float

from xpronet.data.dataset import Batch
from xpronet.labels.f1 import abnormality_f1
from xpronet.model.checkpoint import DEFAULT_THRESHOLD
from xpronet.model.report_model import ReportModel
from xpronet.precision import forward_precision
from xpronet.training.distributed import DistributedContext
from xpronet.training.losses import word_loss

PRIOR_STRENGTH = 1.0
"""Precision of the Gaussian prior around the identity, which decides where the split has few studies."""
MIN_SCALE = 0.05
"""Smallest scale: above 0, so that the order of the studies stays and thresholds remain possible."""
THRESHOLD_PRIOR = 20.0
"""How many studies with a finding the probabilities count as where a threshold is chosen. Chosen on one half of IU
X-Ray's validation studies and scored on the other, thresholds gave a macro-F1 of 0.185 with 0, 0.213 with 10, 0.218
with 20, 0.227 with 40 and 0.223 with the probabilities alone."""
MAX_ITERATIONS = 50
"""Newton iterations; a handful is enough."""

Calibration = Float[np.ndarray, "2 findings"]
"""The scale of each finding's logit, and what is added to it."""


def fit_calibration(
    logits: Float[np.ndarray, "studies findings"], labels: Bool[np.ndarray, "studies findings"]
) -> Calibration:
    """Return for each finding the scale and shift of its logit that maximise the likelihood of the labels.

    This is Platt scaling with a Gaussian prior around scale 1 and shift 0, which leave the logit as it is: a finding
    that no study of the split has, or every one, changes little. The scale is at least `MIN_SCALE`.

    Args:
        logits: of the findings head on the validation split.
        labels: of the same studies.
    """
    fitted = [_fit(x, y) for x, y in zip(logits.astype(np.float64).T, labels.astype(np.float64).T, strict=True)]
    return np.array(fitted).T.reshape(2, logits.shape[1])


def calibrated(logits: Float[np.ndarray, "studies findings"], calibration: Calibration) -> np.ndarray:
    """Return calibrated probabilities."""
    return _sigmoid(calibration[0] * logits + calibration[1])


def _fit(logits: Float[np.ndarray, " studies"], labels: Float[np.ndarray, " studies"]) -> tuple[float, float]:
    free = fit_logistic(np.stack([logits, np.ones_like(logits)]), labels, np.zeros_like(logits), np.array([1.0, 0.0]))
    if free[0] >= MIN_SCALE:
        return float(free[0]), float(free[1])
    (shift,) = fit_logistic(np.ones((1, len(logits))), labels, MIN_SCALE * logits, np.array([0.0]))
    return MIN_SCALE, float(shift)


def fit_logistic(
    features: Float[np.ndarray, "parameters studies"],
    labels: Float[np.ndarray, " studies"],
    offset: Float[np.ndarray, " studies"],
    prior: Float[np.ndarray, " parameters"],
) -> Float[np.ndarray, " parameters"]:
    """Return the parameters of a logistic regression with a Gaussian prior, by Newton's method.

    They maximise the log-likelihood minus half `PRIOR_STRENGTH` times the squared distance from the prior's mean.

    Args:
        features: of each case.
        labels: 1 where what is predicted is there, else 0.
        offset: added to the logit of each case.
        prior: mean of the prior.
    """
    at = prior.copy()

    def cost(where: Float[np.ndarray, " parameters"]) -> float:
        scores = where @ features + offset
        likelihood = (np.logaddexp(0.0, scores) - labels * scores).sum()
        return float(likelihood + PRIOR_STRENGTH / 2 * ((where - prior) ** 2).sum())

    for _ in range(MAX_ITERATIONS):
        expected = _sigmoid(at @ features + offset)
        slope = features @ (expected - labels) + PRIOR_STRENGTH * (at - prior)
        curvature = (features * (expected * (1 - expected))) @ features.T + PRIOR_STRENGTH * np.eye(len(at))
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


def best_thresholds(
    probabilities: Float[np.ndarray, "studies findings"], labels: Bool[np.ndarray, "studies findings"]
) -> Float[np.ndarray, " findings"]:
    """Return the threshold of each finding that gives the highest F1; `DEFAULT_THRESHOLD` where no study has it.

    The F1 of a finding that few studies have depends on chance: its highest value on 296 validation studies of IU X-Ray
    lay where the other studies had hardly any F1. Labels are therefore averaged with what the probabilities expect,
    which counts as much as `THRESHOLD_PRIOR` studies that have the finding. A threshold lies half-way between two
    neighbouring probabilities, so that it does not depend on a study's last digit.

    Args:
        probabilities: calibrated.
        labels: of the same studies.
    """
    return np.array([_best(p, y) for p, y in zip(probabilities.T, labels.T, strict=True)], probabilities.dtype)


def _best(probabilities: Float[np.ndarray, " studies"], labels: Bool[np.ndarray, " studies"]) -> float:
    if not labels.any():
        return DEFAULT_THRESHOLD
    prior = THRESHOLD_PRIOR / (THRESHOLD_PRIOR + labels.sum())
    expected = (1 - prior) * labels + prior * probabilities.astype(np.float64)
    order = np.argsort(-probabilities, kind="stable")
    ranked = probabilities[order]
    f1 = 2 * np.cumsum(expected[order]) / (np.arange(1, len(ranked) + 1) + expected.sum())
    # Studies of equal probability are on the same side of any threshold: only the last of them may be the last one.
    f1[:-1][ranked[:-1] == ranked[1:]] = -1.0
    last = int(np.argmax(f1))
    below = ranked[last + 1] if last + 1 < len(ranked) else 0.0
    return float((ranked[last] + below) / 2)


@dataclass(frozen=True, kw_only=True)
class Validation:
    """Scores of a network on the validation split."""

    word_loss: float
    """Cross-entropy per token, with reference words (teacher forcing) and reference labels."""
    findings_f1: float | None
    """Macro-F1 of the findings head over the 13 abnormalities (`labels.f1`) at the thresholds below; None without a
    head, and where no study has an abnormality or is given one."""
    thresholds: Float[np.ndarray, " findings"] | None
    """Calibrated probabilities from which on each finding counts as present: see `best_thresholds`."""
    calibration: Calibration | None
    """Scale and shift that calibrate the head on this split; None without a head."""


def validate(
    network: ReportModel, batches: Iterable[Batch], *, precision: str, context: DistributedContext
) -> Validation:
    """Evaluate a network on a split.

    Args:
        network: its mode, training or evaluation, stays as it was.
        batches: this process's share: every `context.count`-th batch, beginning with that of its rank.
        precision: of the forward pass.
        context: the processes that have the other batches; all return the same, and what one alone would.
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
    # In the order of batches, so that sums and ties come out as in a single process, to the bit.
    cost = tokens = 0.0
    for part, number in _in_order(costs, context):
        cost, tokens = cost + part, tokens + number
    if network.findings_head is None:
        return Validation(word_loss=cost / tokens, findings_f1=None, thresholds=None, calibration=None)
    pairs = [[each.tolist(), true.tolist()] for each, true in zip(logits, labels, strict=True)]
    gathered = _in_order(pairs, context)
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


def _in_order(values: list[Any], context: DistributedContext) -> list[Any]:
    """Return the values of all processes' batches, in the order of batches."""
    if context.count == 1:
        return values
    parts = context.gather_values(values)
    rounds = zip_longest(*parts, fillvalue=_NO_BATCH)
    return [value for each in rounds for value in each if value is not _NO_BATCH]


_NO_BATCH = object()
"""Stands for the batch that a process does not have in the last round."""
