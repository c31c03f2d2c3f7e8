"""Measure what another busy program on the same machine costs: training, `generate` and `report`.

    python benchmarks/contention.py [--rounds N] [--seconds S] [--studies N] [--folder FOLDER]

Draws a small corpus and runs the commands as a user does, without environment variables: the phantom recipe is trained,
and while it is, a neighbour (one process of one thread that never rests) comes and goes; then reports are written, with
the neighbour and without. Ways that are compared take turns, so that a slow minute slows both. Beside each figure
stands how many cores all other programs used meanwhile: above 0.2 the machine was not quiet. Prints one JSON object.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from measuring import processor, show, spread

from xpronet.experiment.recipe import read_recipe
from xpronet.launch import num_cores
from xpronet.training.run_folder import read_journal, read_starts

RECIPE = Path(__file__).parents[1] / "recipes" / "phantom.toml"
COMMAND = [sys.executable, "-m", "xpronet"]
NEIGHBOUR = [sys.executable, "-c", "while True: pass"]
KEPT = 0.45
"""Share of the quiet speed that is to be kept."""
STUDIES = read_recipe(RECIPE).batches.size
WAITING = 600.0
"""Longest time until training has begun, in seconds."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each figure is measured")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each measurement of training")
    parser.add_argument("--studies", type=int, default=480, help="drawn studies; a fifth of them get reports")
    parser.add_argument("--folder", type=Path, help="where to work; by default a temporary folder")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        folder = chosen.folder or Path(temporary)
        corpus = folder / "corpus"
        drawing = ("--studies", str(chosen.studies), "--prevalence", "balanced", "--size", "128", "--overwrite")
        xpronet("prepare", "phantom", "--out", str(corpus), *drawing)
        training = measure_training(folder, rounds=chosen.rounds, seconds=chosen.seconds)
        run = str(folder / "run")
        study = [str(path) for path in sorted((corpus / "images").rglob("*.png"))[:2]]
        generate = ("generate", run, "--corpus", str(corpus), "--overwrite", "--out", str(folder / "reports.jsonl"))
        commands = {"generate": generate, "report": ("report", run, *study)}
        found = {name: measure_command(command, rounds=chosen.rounds) for name, command in commands.items()}
        starts = read_starts(folder / "run")
    show(
        {
            "benchmark": "contention",
            "machine": {"processor": processor(), "cores": num_cores()},
            "divided": {name: starts[-1][name] for name in ("processes", "threads")},
            "studies_per_second": training,
            "seconds": found,
            "kept (at least 0.45)": {
                "training": share(training["disturbed"], training["quiet"]),
                **{name: share(each["quiet"], each["disturbed"]) for name, each in found.items()},
            },
        }
    )


def share(one: dict[str, float], other: dict[str, float]) -> float:
    """Return the ratio of two medians."""
    return round(one["median"] / other["median"], 2)


def measure_training(folder: Path, *, rounds: int, seconds: float) -> dict[str, dict[str, float]]:
    """Return studies a second of one training, which a neighbour disturbs every other while."""
    run = folder / "run"
    settings = ("--set", "train.epochs=1000", "--set", "train.log_steps=1")
    command = [*COMMAND, "train", str(RECIPE), "--corpus", str(folder / "corpus"), "--out", str(run), *settings]
    with (folder / "training.log").open("w") as log:
        training = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        # Its first epoch belongs to nothing; afterwards there is a checkpoint to write reports with.
        wait_for(lambda: (run / "checkpoints" / "best").exists(), training)

        def rate() -> float:
            began = time.time()
            steps: list[dict[str, Any]] = []
            while time.time() < began + seconds or (len(steps) < 3 and time.time() < began + 4 * seconds):
                time.sleep(seconds / 4)
                steps = [event for event in read_journal(run, "step") if event["time"] > began]
            if len(steps) < 2:
                raise RuntimeError("the training stands still")
            first, last = steps[0], steps[-1]
            return STUDIES * (last["step"] - first["step"]) / (last["time"] - first["time"])

        return alternate(rate, rounds=rounds)
    finally:
        training.send_signal(signal.SIGTERM)
        training.wait(120)


def measure_command(command: tuple[str, ...], *, rounds: int) -> dict[str, dict[str, float]]:
    """Return the seconds that a command takes, from its start to its end."""

    def seconds() -> float:
        started = time.monotonic()
        xpronet(*command)
        return time.monotonic() - started

    return alternate(seconds, rounds=rounds)


def alternate(measure: Callable[[], float], *, rounds: int) -> dict[str, dict[str, float]]:
    """Return median, least and most of a measurement, quiet and disturbed, which take turns; and what others used."""
    found: dict[str, list[float]] = {"quiet": [], "disturbed": []}
    used: dict[str, list[float]] = {"quiet": [], "disturbed": []}
    for _ in range(rounds):
        for name in found:
            with neighbour(present=name == "disturbed"):
                before, began = busy_seconds() - own_seconds(), time.monotonic()
                found[name].append(measure())
                used[name].append((busy_seconds() - own_seconds() - before) / (time.monotonic() - began))
    return {
        name: spread(values) | {"cores_used_by_others": round(statistics.median(used[name]), 1)}
        for name, values in found.items()
    }


@contextmanager
def neighbour(*, present: bool) -> Iterator[None]:
    """Keep one core busy, or none."""
    if not present:
        yield
        return
    process = subprocess.Popen(NEIGHBOUR)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def busy_seconds() -> float:
    """Return the seconds that all cores together have computed since the machine started; 0 where nothing says so."""
    path = Path("/proc/stat")
    if not path.is_file():
        return 0.0
    user, nice, system, _idle, _waiting, *rest = map(int, path.read_text().splitlines()[0].split()[1:])
    return (user + nice + system + sum(rest)) / os.sysconf("SC_CLK_TCK")


def own_seconds() -> float:
    """Return the seconds that this process and all that it started have computed."""
    total = 0.0
    parents = {os.getpid()}
    table = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            table.append((int(path.parent.name), int(fields[1]), sum(map(int, fields[11:15]))))
    for process, parent, ticks in sorted(table):
        # Parents are listed before what they start, but for numbers that have come round.
        if process in parents or parent in parents:
            parents.add(process)
            total += ticks
    return total / os.sysconf("SC_CLK_TCK")


def wait_for(there: Callable[[], bool], process: subprocess.Popen[Any]) -> None:
    """Wait until something is there.

    Raises:
        RuntimeError: the process has ended, or it took too long.
    """
    until = time.monotonic() + WAITING
    while not there():
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError("the training ended, or took too long")
        time.sleep(0.2)


def xpronet(*arguments: str) -> None:
    """Run a command, and show what it says only where it fails."""
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{json.dumps(arguments)}: {done.stderr}")


if __name__ == "__main__":
    main()
