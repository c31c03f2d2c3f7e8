"""What the server's own process must know of the model; the weights live in the workers."""

from pathlib import Path
from typing import Literal

from xpronet.errors import InputError
from xpronet.files import read_json
from xpronet.model.checkpoint import Checkpoint, fingerprint
from xpronet.model.search_settings import BeamSettings
from xpronet.serve.service import Examples, ServedModel
from xpronet.show.examples import EXAMPLES_FILE, FORMAT, SPRITE_FILE


def served_model(
    run: Path, checkpoint: Checkpoint, search: BeamSettings, *, labels_from: Literal["predicted", "all"]
) -> ServedModel:
    """Gather what the server tells of a model.

    Args:
        run: run or checkpoint folder.
        checkpoint: read from it, once and whole, so that a damaged one is told before anything listens.
        search: how a report is searched for.
        labels_from: what decides which prototypes are visible.

    Raises:
        InputError: it has no findings head to predict findings with, or its file of examples is damaged.
    """
    if labels_from == "predicted" and checkpoint.network.findings_head is None:
        raise InputError(f"{run}: this model cannot predict findings (no findings head): choose --labels-from all")
    model = fingerprint(run)
    return ServedModel(
        name=run.resolve().name,
        fingerprint=model,
        images=checkpoint.images,
        max_views=checkpoint.max_views,
        search=search,
        thresholds=dict(checkpoint.thresholds) if checkpoint.network.findings_head is not None else {},
        examples=_examples(run, model),
        has_gate=checkpoint.gate is not None,
    )


def _examples(run: Path, model: str) -> Examples | None:
    """Return the examples of the run's prototypes, None where it has none or they belong to another checkpoint."""
    record, sprite = run / EXAMPLES_FILE, run / SPRITE_FILE
    if not record.is_file() or not sprite.is_file():
        return None
    about = read_json(record)
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise InputError(f"{record}: not a file of examples; make it again with `xpronet show prototypes --overwrite`")
    if about.get("model") != model:
        return None
    return Examples(record=record.read_bytes(), sprite=sprite.read_bytes())
