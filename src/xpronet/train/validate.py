"""How well a network does on a split with the reference at hand: word loss and findings."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float

from xpronet.data.batches import Batch
from xpronet.model.network import XProNet
from xpronet.train.calibration import Calibration, calibrated, fit_calibration
from xpronet.train.losses import word_loss
from xpronet.train.precision import forward_precision
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


def validate(network: XProNet, batches: Iterable[Batch], *, precision: str) -> Validation:
    """Pass once over a split without learning."""
    was_training = network.training
    network.eval()
    device = next(network.parameters()).device
    cost = tokens = 0.0
    logits: list[Float[np.ndarray, "studies findings"]] = []
    labels: list[Bool[np.ndarray, "studies findings"]] = []
    with torch.inference_mode(), forward_precision(device, precision):
        for batch in batches:
            batch = batch.to(device)
            outputs = network(batch.images, batch.view_mask, batch.words[:, :-1], batch.findings)
            mask = batch.word_mask[:, 1:]
            cost += float(word_loss(outputs.logits, batch.words[:, 1:], mask)) * float(mask.sum())
            tokens += float(mask.sum())
            if outputs.finding_logits is not None:
                logits.append(outputs.finding_logits.float().cpu().numpy())
                labels.append(batch.findings.cpu().numpy())
    network.train(was_training)
    if not logits:
        return Validation(word_loss=cost / tokens, findings_f1=None, thresholds=None, calibration=None)
    scores, truth = np.concatenate(logits), np.concatenate(labels)
    calibration = fit_calibration(scores, truth)
    predicted = calibrated(scores, calibration)
    thresholds = best_thresholds(predicted, truth)
    return Validation(
        word_loss=cost / tokens,
        findings_f1=macro_f1(predicted, truth, thresholds),
        thresholds=thresholds,
        calibration=calibration,
    )
