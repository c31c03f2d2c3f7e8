"""What the server's own process must know of the model; the weights live in the workers."""

from pathlib import Path
from typing import Literal

from xpronet.errors import InputError
from xpronet.model.checkpoint import fingerprint, load_checkpoint
from xpronet.serve.service import ServedModel


def served_model(run: Path, *, labels_from: Literal["predicted", "all"]) -> ServedModel:
    """Read a checkpoint once, whole, so that a damaged one is told before anything listens.

    Raises:
        InputError: there is none, it is damaged, or it has no findings head to predict findings with.
    """
    checkpoint = load_checkpoint(run)
    if labels_from == "predicted" and checkpoint.network.findings_head is None:
        raise InputError(f"{run}: this model cannot predict findings (no findings head): choose --labels-from all")
    return ServedModel(
        name=run.resolve().name,
        fingerprint=fingerprint(run),
        images=checkpoint.images,
        max_views=checkpoint.max_views,
        max_words=checkpoint.max_words,
        thresholds=dict(checkpoint.thresholds) if checkpoint.network.findings_head is not None else {},
    )
