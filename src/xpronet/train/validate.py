"""How well a network does on a split with the reference at hand: word loss and findings."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float

from xpronet.data.batches import Batch
from xpronet.model.network import XProNet
from xpronet.model.precision import forward_precision
from xpronet.train.calibration import Calibration, calibrated, fit_calibration
from xpronet.train.losses import word_loss
from xpronet.train.processes import Processes
from xpronet.train.thresholds import best_thresholds, macro_f1


@dataclass(frozen=True, kw_only=True)
class Validation:
    """Scores of one pass over a split."""

    word_loss: float
    """Cross-entropy a token, the reference words and labels given."""
    findings_f1: float | None
    """Macro-F1 of the findings head over all its findings at the thresholds below; None without a head."""
    thresholds: Float[np.ndarray, " findings"] | None
    """The calibrated probabilities from which on each finding has its best F1 on this split."""
    calibration: Calibration | None
    """What makes the head's probabilities right on this split; None without a head."""


def validate(network: XProNet, batches: Iterable[Batch], *, precision: str, processes: Processes) -> Validation:
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
        findings_f1=macro_f1(predicted, truth, thresholds),
        thresholds=thresholds,
        calibration=calibration,
    )


def _in_order(of_each_batch: list[Any], processes: Processes) -> list[Any]:
    """Return what all processes found in their batches, in the order of batches."""
    if processes.count == 1:
        return of_each_batch
    parts = processes.gather_values(of_each_batch)
    rounds = zip_longest(*parts, fillvalue=_NOTHING)
    return [found for each in rounds for found in each if found is not _NOTHING]


_NOTHING = object()
"""In place of a batch that a process did not have."""
