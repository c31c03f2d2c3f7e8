"""Faults while a run goes: each ends in one line, leaves the last good checkpoint, and the run resumes."""

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from xpronet.errors import InputError
from xpronet.experiment.recipe import Recipe
from xpronet.experiment.run import train_run
from xpronet.files import read_json_lines
from xpronet.training.checkpoints import last_checkpoint

pytestmark = pytest.mark.slow

ON_ITS_OWN_DISK = """
import contextlib, io, json, os, subprocess, sys
from pathlib import Path
from xpronet.cli import run

disk, recipe, corpus = sys.argv[1:]
folder = Path(disk) / "run"

def mount(*options):
    subprocess.run(["mount", *options, disk], check=True)

def train(epochs, *more):
    told = io.StringIO()
    with contextlib.redirect_stderr(told), contextlib.redirect_stdout(io.StringIO()):
        arguments = ["train", recipe, "--corpus", corpus, "--out", str(folder), *more]
        status = run([*arguments, "--set", f"train.epochs={epochs}"])
    lines = [line for line in told.getvalue().splitlines() if line.startswith("xpronet: ")]
    return {"status": status, "lines": lines, "last": os.readlink(folder / "checkpoints" / "last")}

mount("-t", "tmpfs", "-o", "size=64m", "none")
results = {"whole": train(1)}
filler = Path(disk) / "filler"
with contextlib.suppress(OSError), filler.open("wb", buffering=0) as stream:
    while stream.write(bytes(1 << 12)):
        pass
results["full"] = train(2, "--resume")
filler.unlink()
mount("-o", "remount,ro")
results["read-only"] = train(2, "--resume")
mount("-o", "remount,rw")
results["mended"] = train(2, "--resume")
results["halves"] = [path.name for path in (folder / "checkpoints").glob(".*")]
json.dump(results, sys.stdout)
"""


def _may_mount() -> bool:
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", "mount -t tmpfs none /mnt"]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def test_a_full_and_a_read_only_disk(tiny_recipe_file: Path, phantom_folder: Path, tmp_path: Path) -> None:
    if not _may_mount():
        pytest.skip("this system lets nobody mount a small disk in a namespace of their own")
    disk = tmp_path / "disk"
    disk.mkdir()
    inside = ["unshare", "--user", "--map-root-user", "--mount", sys.executable, "-c", ON_ITS_OWN_DISK]
    done = subprocess.run(
        [*inside, str(disk), str(tiny_recipe_file), str(phantom_folder)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert results["whole"] == {"status": 0, "lines": [], "last": "step-00000004"}
    for fault, told in (("full", "No space left on device"), ("read-only", "Read-only file system")):
        result = results[fault]
        assert result["status"] == 2, fault
        (line,) = result["lines"]
        assert told in line
        assert result["last"] == "step-00000004"
    assert results["mended"] == {"status": 0, "lines": [], "last": "step-00000008"}
    assert results["halves"] == []


def test_a_folder_that_cannot_be_made(tiny_recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    begun: list[str] = []

    def track(items: Iterable[Any], description: str, total: int) -> Iterator[Any]:
        begun.append(description)
        yield from items

    with pytest.raises(InputError, match="file/run: cannot be written"):
        train_run(tiny_recipe, tmp_path / "file" / "run", track=track)
    assert begun == [], "told before the long work"


@pytest.fixture
def small_steps(tiny_recipe: Recipe, phantom_folder: Path, tmp_path: Path) -> Recipe:
    """Fourteen steps an epoch over a corpus that may be damaged, saved after each."""
    corpus = tmp_path / "corpus"
    shutil.copytree(phantom_folder, corpus)
    return dataclasses.replace(
        tiny_recipe,
        corpus=str(corpus),
        batches=dataclasses.replace(tiny_recipe.batches, size=2),
        train=dataclasses.replace(tiny_recipe.train, epochs=1, save_steps=1),
    )


def at_the_second_step(fault: Callable[[], object]) -> Any:
    def track(items: Iterable[Any], description: str, total: int) -> Iterator[Any]:
        for number, item in enumerate(items):
            if description.startswith("epoch") and number == 1:
                fault()
            yield item

    return track


@pytest.mark.parametrize("workers", [0, 1])
def test_a_picture_that_vanishes(workers: int, small_steps: Recipe, tmp_path: Path) -> None:
    recipe = dataclasses.replace(small_steps, batches=dataclasses.replace(small_steps.batches, workers=workers))
    images = Path(recipe.corpus) / "images"
    with pytest.raises(InputError) as caught:
        train_run(recipe, tmp_path / "run", track=at_the_second_step(lambda: images.rename(tmp_path / "away")))
    told = str(caught.value)
    assert "\n" not in told
    assert "Traceback" not in told
    assert str(images) in told
    last = last_checkpoint(tmp_path / "run")
    assert last is not None
    assert 2 <= int(last.name.removeprefix("step-")) < 14
    (tmp_path / "away").rename(images)
    assert train_run(recipe, tmp_path / "run", resumed=True).step == 14
    assert [event["event"] for event in read_json_lines(tmp_path / "run/journal.jsonl")] == ["epoch"]


KILLS_ITS_READER = """
import json, multiprocessing, os, signal, sys
from pathlib import Path
from xpronet.errors import WorkError
from xpronet.experiment.run import train_run
from xpronet.experiment.recipe import read_recipe
from xpronet.training.checkpoints import last_checkpoint

recipe, corpus, run = sys.argv[1:]
steps = ["train.epochs=1", "train.save_steps=1", "batches.size=2", "batches.workers=1"]
recipe, run = read_recipe(Path(recipe), [f"corpus='{corpus}'", *steps]), Path(run)

def track(items, description, total):
    for number, item in enumerate(items):
        if description.startswith("epoch") and number == 1:
            (child,) = multiprocessing.active_children()
            os.kill(child.pid, signal.SIGKILL)
        yield item

results = {}
try:
    train_run(recipe, run, track=track)
except WorkError as error:
    results["told"] = str(error)
results["saved"] = last_checkpoint(run) is not None
results["resumed"] = train_run(recipe, run, resumed=True).step
json.dump(results, sys.stdout)
"""


def test_a_reading_process_that_is_killed(tiny_recipe_file: Path, phantom_folder: Path, tmp_path: Path) -> None:
    # In a process without the tests' checks of shapes: the news comes as an exception wherever it finds the training,
    # and amid such a check it would become that check's failure.
    done = subprocess.run(
        [sys.executable, "-c", KILLS_ITS_READER, str(tiny_recipe_file), str(phantom_folder), str(tmp_path / "run")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert re.search(r"killed.*--resume", results["told"])
    assert "\n" not in results["told"]
    assert results["saved"]
    assert results["resumed"] == 14
