"""Training on several processes is training on one: the same losses, thresholds and scores; kills and resumes too."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from xpronet.files import read_json
from xpronet.training.run_folder import read_journal

pytestmark = [pytest.mark.long, pytest.mark.slow]

TORCHRUN = ("-m", "torch.distributed.run")
TOGETHER = (*TORCHRUN, "--standalone", "--nproc-per-node", "2")
COMMAND = ("-m", "xpronet")
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}
"""Torchrun asks for one thread where it starts several processes; those to be compared with them have as many."""
IN_FP64 = """
import torch
from xpronet.cli import main

torch.set_default_dtype(torch.float64)
main()
"""


def rates(behind: float, backbone: float) -> tuple[str, str]:
    return f"train.learning_rate={behind}", f"train.backbone_learning_rate={backbone}"


ALIKE = (
    "train.log_steps=1",
    "batches.size=16",
    "model.dropout=0.0",
    "model.patch_dropout=0.0",
    "train.epochs=10",
)
# Small rates: what the last digit decides, the sign of a gradient near nothing, Adam makes a whole step of its rate.
SAME = (*ALIKE, *rates(1e-5, 1e-5))
IU_X_RAY, MIMIC_CXR = rates(2e-3, 1e-3), rates(1e-4, 5e-5)


def command(  # type: ignore[no-untyped-def]
    recipe: Path,
    corpus: Path,
    out: Path,
    *more: str,
    processes: int = 2,
    settings: tuple[str, ...] = SAME,
    launcher: tuple[str, ...] = TOGETHER,
    program: tuple[object, ...] = COMMAND,
):
    sets = [part for setting in settings for part in ("--set", setting)]
    started = [sys.executable, *(launcher if processes > 1 else ()), *program]
    return [*started, "train", recipe, "--corpus", corpus, "--out", out, *sets, *more]


def train(*arguments, **keywords):  # type: ignore[no-untyped-def]
    line = command(*arguments, **keywords)
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=600, env=ONE_THREAD)
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


@pytest.mark.parametrize("settings", [IU_X_RAY, MIMIC_CXR], ids=["IU X-Ray", "MIMIC-CXR"])
def test_at_the_papers_rates_the_arithmetic_is_the_same(
    settings: tuple[str, ...], recipe: Path, phantom_folder: Path, tmp_path: Path
) -> None:
    # In fp64 nothing is left of what rounding does in fp32.
    program = tmp_path / "fp64.py"
    program.write_text(IN_FP64)
    one, two = tmp_path / "one", tmp_path / "two"
    for out, processes in ((one, 1), (two, 2)):
        train(recipe, phantom_folder, out, processes=processes, settings=(*ALIKE, *settings), program=(program,))
    assert load_file(one / "checkpoints/last/model.safetensors")["word_output.weight"].dtype == torch.float64
    assert len(losses(one)) == 20
    assert near(losses(one), losses(two)) < 1e-12
    for first, second in zip(scores(one), scores(two), strict=True):
        assert first["findings_f1"] == second["findings_f1"]
        assert first["word_loss"] == pytest.approx(second["word_loss"], abs=1e-12)


def test_at_small_rates_of_the_paper_rounding_stays_small(recipe: Path, phantom_folder: Path, tmp_path: Path) -> None:
    for out, processes in (("one", 1), ("two", 2)):
        train(recipe, phantom_folder, tmp_path / out, processes=processes, settings=(*ALIKE, *MIMIC_CXR))
    assert near(losses(tmp_path / "one"), losses(tmp_path / "two")) < 1e-4


def test_two_machines_that_meet_by_rendezvous_learn_what_two_processes_do(
    recipe: Path, phantom_folder: Path, tmp_path: Path
) -> None:
    settings = ("train.epochs=2", *IU_X_RAY)
    train(recipe, phantom_folder, tmp_path / "standalone", settings=settings)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        meeting = f"127.0.0.1:{probe.getsockname()[1]}"
    launcher = (
        *TORCHRUN,
        "--nnodes",
        "2",
        "--nproc-per-node",
        "1",
        "--rdzv-backend",
        "c10d",
        "--rdzv-endpoint",
        meeting,
    )
    line = command(recipe, phantom_folder, tmp_path / "machines", settings=settings, launcher=launcher)
    agents = [
        subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ONE_THREAD)
        for _ in range(2)
    ]
    told = [agent.communicate(timeout=300) for agent in agents]
    assert [agent.returncode for agent in agents] == [0, 0], told
    # The first process speaks, on whichever of the two it came to be.
    assert sum(out.count("Trained 8 steps") for out, _ in told) == 1
    for file in ("last/model.safetensors", "last/optimiser.safetensors", "best/findings.json"):
        one, other = (tmp_path / name / "checkpoints" / file for name in ("standalone", "machines"))
        assert one.read_bytes() == other.read_bytes(), file


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
    assert lines[0].startswith("xpronet: process 1 of 2 ended before the work was done; resume with")
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
