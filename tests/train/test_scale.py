"""Training on several processes is training on one: the same losses, thresholds and scores; kills and resumes too."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from xpronet.files import read_json
from xpronet.train.journal import read_journal

pytestmark = pytest.mark.slow

TORCHRUN = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m")
# Small rates: what the last digit decides, the sign of a gradient near nothing, Adam makes a whole step of its rate.
SAME = (
    "train.log_steps=1",
    "batches.size=16",
    "model.dropout=0.0",
    "model.patch_dropout=0.0",
    "train.epochs=10",
    "train.learning_rate=1e-5",
    "train.backbone_learning_rate=1e-5",
)


def command(recipe: Path, corpus: Path, out: Path, *more: str, processes: int = 2, settings: tuple[str, ...] = SAME):  # type: ignore[no-untyped-def]
    launcher = TORCHRUN if processes > 1 else ()
    sets = [part for setting in settings for part in ("--set", setting)]
    return [sys.executable, "-m", *launcher, "xpronet", "train", recipe, "--corpus", corpus, "--out", out, *sets, *more]


def train(*arguments, **keywords):  # type: ignore[no-untyped-def]
    done = subprocess.run(command(*arguments, **keywords), capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    return done


def losses(run: Path) -> list[list[float]]:
    return [list(event["train"].values()) for event in read_journal(run, "step")]


def scores(run: Path) -> list[dict[str, float]]:
    return [event["val"] for event in read_journal(run, "epoch")]


def near(one: list[list[float]], other: list[list[float]]) -> float:
    assert len(one) == len(other)
    return max(abs(a - b) for first, second in zip(one, other, strict=True) for a, b in zip(first, second, strict=True))


@pytest.fixture(scope="module")
def recipe(tiny_recipe_text: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "tiny.toml"
    path.write_text(tiny_recipe_text)
    return path


@pytest.fixture(scope="module")
def alone(recipe: Path, phantom_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("alone") / "run"
    train(recipe, phantom_folder, out, processes=1)
    return out


def test_two_processes_learn_what_one_does(recipe: Path, phantom_folder: Path, alone: Path, tmp_path: Path) -> None:
    # 28 train studies: batches of 16 and of 12, twenty steps.
    done = train(recipe, phantom_folder, tmp_path / "run")
    assert done.stdout.count("Trained 20 steps") == 1
    assert len(losses(alone)) == 20
    assert near(losses(alone), losses(tmp_path / "run")) < 1e-5
    for one, two in zip(scores(alone), scores(tmp_path / "run"), strict=True):
        assert one["findings_f1"] == two["findings_f1"]
        assert one["word_loss"] == pytest.approx(two["word_loss"], abs=1e-5)
    first, second = (read_json(run / "checkpoints/last/findings.json") for run in (alone, tmp_path / "run"))
    assert first["thresholds"] == pytest.approx(second["thresholds"], abs=1e-5)


def test_a_run_goes_from_two_processes_to_one_and_back(
    recipe: Path, phantom_folder: Path, alone: Path, tmp_path: Path
) -> None:
    for epochs, processes in ((3, 2), (6, 1), (10, 2)):
        more = ("--resume",) if epochs > 3 else ()
        settings = (*SAME, f"train.epochs={epochs}")
        train(recipe, phantom_folder, tmp_path / "run", *more, processes=processes, settings=settings)
    assert near(losses(alone), losses(tmp_path / "run")) < 1e-5


def test_a_process_that_dies_is_named_and_the_run_goes_on(recipe: Path, phantom_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    started = subprocess.Popen(
        command(recipe, phantom_folder, out, settings=(*SAME, "train.epochs=500")), stderr=subprocess.PIPE, text=True
    )
    wait_for(out / "checkpoints/last/model.safetensors", started)
    os.kill(process_of_rank(started.pid, 1), signal.SIGKILL)
    told = started.communicate(timeout=120)[1]
    assert started.returncode != 0
    lines = [line for line in told.splitlines() if line.startswith("xpronet: ")]
    assert len(lines) == 1, told
    assert lines[0].startswith("xpronet: process 1 of 2 ended before the work was done; go on")
    assert lines[0].endswith("--resume")
    steps = read_json(out / "checkpoints/last/training.json")["step"]
    done = train(recipe, phantom_folder, out, "--resume", processes=1, settings=(*SAME, f"train.epochs={steps}"))
    assert f"Trained {2 * steps} steps" in done.stdout


def test_a_signal_stops_all_after_the_same_step(recipe: Path, phantom_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    started = subprocess.Popen(
        command(recipe, phantom_folder, out, settings=(*SAME, "train.epochs=500")), stderr=subprocess.PIPE, text=True
    )
    wait_for(out / "checkpoints/last/model.safetensors", started)
    started.send_signal(signal.SIGTERM)
    told = started.communicate(timeout=120)[1]
    assert started.returncode != 0
    lines = [line for line in told.splitlines() if line.startswith("xpronet: ")]
    assert len(lines) == 1, told
    step = read_json(out / "checkpoints/last/training.json")["step"]
    assert f"stopped at step {step}" in lines[0] or f"stopped after epoch {step // 2}" in lines[0]


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 300
    while not path.exists():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < until
        time.sleep(0.1)


def process_of_rank(launcher: int, rank: int) -> int:
    for child in Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split():
        if f"RANK={rank}".encode() in Path(f"/proc/{child}/environ").read_bytes().split(b"\0"):
            return int(child)
    raise AssertionError(f"no process of rank {rank}")
