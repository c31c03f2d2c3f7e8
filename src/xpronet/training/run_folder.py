"""The records of a run folder: its journal, a stamp for each start, and the state of the training."""

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
        """Open the journal; its events of steps after `step` are dropped, since those will be taken again."""
        self._path = run / JOURNAL_FILE
        if self._path.exists():
            kept = [event for event in read_journal(run) if event["step"] <= step]
            write_json_lines(self._path, kept, overwrite=True)

    def write(self, event: str, *, step: int, **values: Any) -> None:
        """Append one event."""
        line = {"event": event, "step": step, "time": round(time.time(), 1), **values}
        append_json_line(self._path, line)

    def sync(self) -> None:
        """Sync the journal to disk; done before a checkpoint is saved that the lines lead up to."""
        if self._path.exists():
            sync(self._path)


def read_journal(run: Path, event: str | None = None) -> list[dict[str, Any]]:
    """Return a run's events, oldest first.

    An incomplete last line is ignored: a kill or a power cut can come while it is written.

    Args:
        run: the run folder.
        event: only the events of this name; by default all.

    Raises:
        InputError: the run has no journal, or a line of it is not an event.
    """
    path = run / JOURNAL_FILE
    events: list[dict[str, Any]] = []
    for number, line in enumerate(read_text(path).split("\n")[:-1], 1):
        parsed = _parse(line)
        if parsed is None:
            raise InputError(f"{path}, line {number}: not an event of a training run; remove the line")
        events.append(parsed)
    return [each for each in events if event in (None, each["event"])]


def _parse(line: str) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    valid = isinstance(event, dict) and isinstance(event.get("step"), int) and isinstance(event.get("event"), str)
    return event if valid else None


RUN_FILE = "run.json"
MAX_STARTS = 100
"""Starts that run.json keeps."""
LOCK_SECONDS = 8.0
"""How long to wait for the lock: the reading processes of a killed run hold it until they notice that it is gone."""


def stamp_run(
    run: Path, *, device: torch.device, processes: int = 1, seeds: Mapping[str, int], plan: Mapping[str, int]
) -> None:
    """Add a start to the run's run.json: time, command, versions, device, how the work is divided, seeds and plan.

    Args:
        run: the run folder.
        device: the device that trains.
        processes: processes that share each batch.
        seeds: by what they seed.
        plan: epochs, steps per epoch, patience and numbers of studies.
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
        "processes": processes,
        "threads": torch.get_num_threads(),
        "seeds": dict(seeds),
        "plan": dict(plan),
    }
    write_json(path, {"starts": [*starts, start][-MAX_STARTS:]}, overwrite=True)


def read_starts(run: Path) -> list[dict[str, Any]]:
    """Return the record of each start of a run, oldest first.

    Raises:
        InputError: the run has no run.json, or the file is something else.
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
    """Lock a run folder, so that no other process trains in it; the lock ends with the process.

    Raises:
        InputError: another process trains there.
    """
    import fcntl

    handle = os.open(run, os.O_RDONLY)
    try:
        until = time.monotonic() + LOCK_SECONDS
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
        # Released explicitly: reading processes that end later have inherited the lock.
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_UN)
        os.close(handle)


def is_training(run: Path) -> bool:
    """Return whether a process of this machine trains in a run folder."""
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
    # A program that the repository's settings name must not be started.
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
    """The state of a run, as its folder shows it."""

    alive: bool
    """Whether a process of this machine is training in the folder."""
    finished: bool
    """Whether all epochs are done, or training ended early (`train.patience`)."""
    step: int
    """The newest step in the journal or in a checkpoint."""
    steps: int
    """Steps of the whole training."""
    epoch: int
    """Epochs done."""
    epochs: int
    """Epochs of the whole training."""
    saved: int | None
    """Step of the checkpoint that a resumed run continues from; None without one."""
    best_score: float | None
    """Best validation score so far."""
    best_epoch: int
    """Epochs that were done when it was reached."""
    last_step: dict[str, Any] | None
    """The journal's newest line on a step: losses, rates, throughput, time left."""
    last_epoch: dict[str, Any] | None
    """The journal's newest line on an epoch."""
    not_finite: int
    """Steps whose loss or gradient was not finite."""
    starts: int
    """How often the run was started."""
    age: float | None
    """Seconds since the journal's newest line; None without one."""

    @property
    def status(self) -> str:
        """Return what the run is doing, in a few words."""
        if self.alive:
            return "training"
        if not self.finished:
            return "stopped; continue with --resume"
        return "finished" if self.epoch >= self.epochs else "finished early: no better score within train.patience"


def read_state(run: Path) -> RunState:
    """Read the state of a run, which may be training at the same time.

    Raises:
        InputError: the folder is not a run, or its files are damaged.
    """
    if not (run / RUN_FILE).is_file():
        raise InputError(f"{run}: not a run of `xpronet train` (no {RUN_FILE}); give a run folder")
    starts = read_starts(run)
    plan = starts[-1]["plan"] if starts else {}
    events = read_journal(run) if (run / JOURNAL_FILE).is_file() else []
    last = last_checkpoint(run)
    state = read_trainer_state(last) if last is not None else None
    by_name = {name: [event for event in events if event["event"] == name] for name in ("step", "epoch", "not finite")}
    steps_per_epoch, epochs = int(plan.get("steps_per_epoch", 0)), int(plan.get("epochs", 0))
    patience = int(plan.get("patience", 0))
    done = by_name["epoch"][-1]["epoch"] if by_name["epoch"] else 0
    return RunState(
        alive=is_training(run),
        finished=state is not None and bool(epochs) and (done >= epochs or 0 < patience <= done - state.best_epoch),
        step=max([state.step if state else 0, *(event["step"] for event in events)]),
        steps=steps_per_epoch * epochs,
        epoch=done,
        epochs=epochs,
        saved=state.step if state else None,
        best_score=state.best_score if state else None,
        best_epoch=state.best_epoch if state else 0,
        last_step=by_name["step"][-1] if by_name["step"] else None,
        last_epoch=by_name["epoch"][-1] if by_name["epoch"] else None,
        not_finite=len(by_name["not finite"]),
        starts=len(starts),
        age=max(0.0, time.time() - events[-1]["time"]) if events and "time" in events[-1] else None,
    )
