"""The state of a run, read from its folder while it goes or after it."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xpronet.errors import InputError
from xpronet.train.journal import JOURNAL_FILE, read_journal
from xpronet.train.stamp import RUN_FILE, is_training, read_starts
from xpronet.train.state import last_checkpoint, read_standing


@dataclass(frozen=True, kw_only=True)
class RunState:
    """Where a run stands."""

    alive: bool
    """Whether a process of this machine trains in the folder now."""
    finished: bool
    """Whether all its epochs are done, or as many as it wanted to go on without progress."""
    step: int
    """The last step that the journal or a checkpoint tells of."""
    steps: int
    """Of the whole training."""
    epoch: int
    """Epochs that are done."""
    epochs: int
    """Of the whole training."""
    saved: int | None
    """Step of the checkpoint that a resumed run goes on from; None without one."""
    best_score: float | None
    """Best validation score so far."""
    best_epoch: int
    """Epochs that were done when it was reached."""
    last_step: dict[str, Any] | None
    """The journal's newest line on a step: losses, rates, speed, time left."""
    last_epoch: dict[str, Any] | None
    """The journal's newest line on an epoch."""
    not_finite: int
    """Steps that were no numbers."""
    starts: int
    """How often the run was started."""
    age: float | None
    """Seconds since the journal's newest line; None without one."""

    @property
    def told(self) -> str:
        """Say in a word or two what the run is doing."""
        if self.alive:
            return "training"
        if not self.finished:
            return "halted; go on with --resume"
        return "finished" if self.epoch >= self.epochs else "finished early, as it got no better"


def read_state(run: Path) -> RunState:
    """Read where a run stands; the run may be writing at the same time.

    Raises:
        InputError: the folder is no run, or its files are damaged.
    """
    if not (run / RUN_FILE).is_file():
        raise InputError(f"{run}: no run of `xpronet train` (no {RUN_FILE}); name its folder")
    starts = read_starts(run)
    plan = starts[-1].get("plan", {}) if starts else {}
    events = read_journal(run) if (run / JOURNAL_FILE).is_file() else []
    last = last_checkpoint(run)
    standing = read_standing(last) if last is not None else None
    of = {name: [event for event in events if event["event"] == name] for name in ("step", "epoch", "not finite")}
    steps_per_epoch, epochs = int(plan.get("steps_per_epoch", 0)), int(plan.get("epochs", 0))
    patience = int(plan.get("patience", 0))
    step = max([standing.step if standing else 0, *(event["step"] for event in events)])
    done = of["epoch"][-1]["epoch"] if of["epoch"] else 0
    return RunState(
        alive=is_training(run),
        finished=standing is not None
        and bool(epochs)
        and (done >= epochs or 0 < patience <= done - standing.best_epoch),
        step=step,
        steps=steps_per_epoch * epochs,
        epoch=done,
        epochs=epochs,
        saved=standing.step if standing else None,
        best_score=standing.best_score if standing else None,
        best_epoch=standing.best_epoch if standing else 0,
        last_step=of["step"][-1] if of["step"] else None,
        last_epoch=of["epoch"][-1] if of["epoch"] else None,
        not_finite=len(of["not finite"]),
        starts=len(starts),
        age=max(0.0, time.time() - events[-1]["time"]) if events and "time" in events[-1] else None,
    )
