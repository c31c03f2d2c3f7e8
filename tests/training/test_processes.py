"""Processes that a command starts beside its own learn and write what one process does."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from xpronet.files import read_json
from xpronet.launch import MEETING_VARIABLE
from xpronet.training.run_folder import read_journal

pytestmark = pytest.mark.slow

SETTINGS = (
    "train.log_steps=1",
    "train.epochs=4",
    "model.dropout=0.0",
    "model.patch_dropout=0.0",
    "train.learning_rate=1e-5",
    "train.backbone_learning_rate=1e-5",
)


@pytest.fixture(scope="module")
def recipe(tiny_recipe_text: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "tiny.toml"
    path.write_text(tiny_recipe_text)
    return path


def command(recipe: Path, corpus: Path, out: Path, *more: str, settings: tuple[str, ...] = SETTINGS) -> list[str]:
    sets = [part for setting in settings for part in ("--set", setting)]
    folders = ("--corpus", str(corpus), "--out", str(out))
    return [sys.executable, "-m", "xpronet", "train", str(recipe), *folders, *sets, *more]


def run(line: list[str], **variables: str) -> str:
    environment = {**os.environ, **variables}
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=600, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def losses(run: Path) -> list[list[float]]:
    return [list(event["train"].values()) for event in read_journal(run, "step")]


@pytest.mark.long
def test_they_learn_what_one_does_and_a_resumed_run_is_divided_as_before(
    recipe: Path, phantom_folder: Path, tmp_path: Path
) -> None:
    alone, together, resumed = tmp_path / "alone", tmp_path / "together", tmp_path / "resumed"
    run(command(recipe, phantom_folder, alone))
    told = run(command(recipe, phantom_folder, together, "--processes", "2"))
    assert told.count("Trained") == 1
    assert read_json(alone / "run.json")["starts"][0]["processes"] == 1
    assert read_json(together / "run.json")["starts"][0]["processes"] == 2
    assert len(losses(alone)) == len(losses(together)) > 8
    for one, other in zip(losses(alone), losses(together), strict=True):
        assert one == pytest.approx(other, abs=5e-5)

    half = (*SETTINGS, "train.epochs=2")
    run(command(recipe, phantom_folder, resumed, "--processes", "2", settings=half))
    # Without a word on threads the number of processes is the run's own, whatever this machine has.
    line = command(recipe, phantom_folder, resumed, "--resume")
    subprocess.run(["env", "-u", "OMP_NUM_THREADS", *line], check=True, capture_output=True, timeout=600)
    assert [start["processes"] for start in read_json(resumed / "run.json")["starts"]] == [2, 2]
    for file in ("last/model.safetensors", "last/optimiser.safetensors"):
        first, second = (folder / "checkpoints" / file for folder in (together, resumed))
        assert first.read_bytes() == second.read_bytes(), file


def test_they_write_the_reports_that_one_does(tiny_run: Path, phantom_folder: Path, tmp_path: Path) -> None:
    line = [sys.executable, "-m", "xpronet", "generate", str(tiny_run), "--corpus", str(phantom_folder)]
    line += ["--split", "train", "--batch-size", "4", "--out"]
    run([*line, str(tmp_path / "alone.jsonl")])
    program = tmp_path / "two.py"
    program.write_text(
        "import sys\nfrom xpronet import launch\nfrom xpronet.cli import run\nfrom xpronet.generation import generate\n"
        "generate.divide = lambda items, **_: launch.Division(processes=2, threads=1)\nsys.exit(run(sys.argv[1:]))\n"
    )
    run([sys.executable, str(program), *line[3:], str(tmp_path / "together.jsonl")])
    one, other = ((tmp_path / f"{name}.jsonl").read_text().splitlines() for name in ("alone", "together"))
    assert len(one) == 28
    assert [json.loads(each)["report"] for each in one] == [json.loads(each)["report"] for each in other]


def test_one_that_dies_is_named(recipe: Path, phantom_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    line = command(recipe, phantom_folder, out, "--processes", "2", settings=(*SETTINGS, "train.epochs=500"))
    started = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 200
    while not (out / "checkpoints/last/model.safetensors").exists():
        assert started.poll() is None, started.communicate()[1]
        assert time.monotonic() < until
        time.sleep(0.1)
    (other,) = others(started.pid)
    os.kill(other, signal.SIGKILL)
    told = started.communicate(timeout=120)[1]
    assert started.returncode == 1
    lines = [line for line in told.splitlines() if line.startswith("xpronet: ")]
    assert len(lines) == 1, told
    assert lines[0].startswith("xpronet: process 1 of 2 ended before the work was done; resume with")


def test_a_mistake_is_told_once_and_nothing_is_left_running(recipe: Path, tmp_path: Path) -> None:
    line = command(recipe, tmp_path / "none", tmp_path / "run", "--processes", "2")
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 2
    assert done.stderr.count("xpronet: ") == 1, done.stderr


def others(main: int) -> list[int]:
    children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
    return [
        int(child) for child in children if MEETING_VARIABLE.encode() in Path(f"/proc/{child}/environ").read_bytes()
    ]
