"""run.json: who trained when, with what, from which state of the code; one entry for each start of a run."""

import contextlib
import os
import platform
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from xpronet import __version__
from xpronet.errors import InputError
from xpronet.files import read_json, write_json

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
