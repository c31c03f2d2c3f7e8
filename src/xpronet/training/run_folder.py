"""A run folder's records: its journal, who trained when, and how far the training has come."""

import contextlib
import json
import os
import platform
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from xpronet import __version__
from xpronet.errors import InputError
from xpronet.files import append_json_line, read_json, read_text, sync, write_json, write_json_lines
from xpronet.training.checkpoints import last_checkpoint, read_trainer_state

JOURNAL_FILE = "journal.jsonl"


class Journal:
    """Append events to a run's journal."""

    def __init__(self, run: Path, *, step: int = 0) -> None:
        """Open the journal; what it says of steps after `step` is dropped, since they will be taken again."""
        self._path = run / JOURNAL_FILE
        if self._path.exists():
            kept = [event for event in read_journal(run) if event["step"] <= step]
            write_json_lines(self._path, kept, overwrite=True)

    def write(self, event: str, *, step: int, **values: Any) -> None:
        """Append one event."""
        line = {"event": event, "step": step, "time": round(time.time(), 1), **values}
        append_json_line(self._path, line)

    def sync(self) -> None:
        """Make the lines outlive a power cut; done before a checkpoint that stands for them."""
        if self._path.exists():
            sync(self._path)


def read_journal(run: Path, event: str | None = None) -> list[dict[str, Any]]:
    """Return a run's events, oldest first.

    A last line that is not whole is passed over: a kill or a power cut can come in the middle of it.

    Args:
        run: the run folder.
        event: only those of this name; by default all.

    Raises:
        InputError: the run has no journal, or one with something else in it.
    """
    path = run / JOURNAL_FILE
    events: list[dict[str, Any]] = []
    for number, line in enumerate(read_text(path).split("\n")[:-1], 1):
        found = _event(line)
        if found is None:
            raise InputError(f"{path}, line {number}: not an event of a training; remove the line, or name a run")
        events.append(found)
    return [found for found in events if event in (None, found["event"])]


def _event(line: str) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    whole = isinstance(event, dict) and isinstance(event.get("step"), int) and isinstance(event.get("event"), str)
    return event if whole else None


RUN_FILE = "run.json"
MOST_STARTS = 100
SECONDS_TO_LET_GO = 8.0
"""How long the reading processes of a killed run may take to notice that it is gone."""


def stamp_run(run: Path, *, device: torch.device, seeds: Mapping[str, int], plan: Mapping[str, int]) -> None:
    """Add a start to the run's run.json.

    Args:
        run: the run folder.
        device: where is computed.
        seeds: by what they decide.
        plan: epochs, steps an epoch and studies.
    """
    path = run / RUN_FILE
    starts = read_starts(run) if path.is_file() else []
    start = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": sys.argv,
        "folder": os.getcwd(),
        "host": socket.gethostname(),
        "process": os.getpid(),
        "git": git_state(Path.cwd()),
        "versions": {"xpronet": __version__, "python": platform.python_version(), "torch": torch.__version__},
        "device": _device_name(device),
        "threads": torch.get_num_threads(),
        "seeds": dict(seeds),
        "plan": dict(plan),
    }
    write_json(path, {"starts": [*starts, start][-MOST_STARTS:]}, overwrite=True)


def read_starts(run: Path) -> list[dict[str, Any]]:
    """Return what each start of a run noted, oldest first.

    Raises:
        InputError: the run has no run.json, or something else under its name.
    """
    record = read_json(run / RUN_FILE)
    starts = record.get("starts") if isinstance(record, dict) else None
    if not isinstance(starts, list) or not all(isinstance(start, dict) for start in starts):
        raise InputError(f"{run / RUN_FILE}: not the record of a run's starts; remove it")
    return starts


def git_state(folder: Path) -> dict[str, Any] | None:
    """Return a folder's git revision and whether files differ from it; None without git or a repository."""
    revision = _git(folder, "rev-parse", "HEAD")
    if revision is None:
        return None
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return {"revision": revision, "changed": None if changes is None else bool(changes)}


@contextlib.contextmanager
def sole_trainer(run: Path) -> Iterator[None]:
    """Keep other processes from training in the same folder; a kill lets go of it.

    Raises:
        InputError: one does.
    """
    import fcntl

    handle = os.open(run, os.O_RDONLY)
    try:
        until = time.monotonic() + SECONDS_TO_LET_GO
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise InputError(f"{run}: another process trains here; stop it, or choose another folder") from None
                time.sleep(0.2)
            except OSError:
                break  # a file system without locks
        yield
    finally:
        # Let go here and now: reading processes that end late have inherited the lock.
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_UN)
        os.close(handle)


def is_training(run: Path) -> bool:
    """Say whether a process of this machine trains in a run folder."""
    import fcntl

    handle = os.open(run, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(handle)
    return False


def _git(folder: Path, *arguments: str) -> str | None:
    # No program that the repository's own settings name is started.
    command = ["git", "-c", "core.fsmonitor=false", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


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
    standing = read_trainer_state(last) if last is not None else None
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
