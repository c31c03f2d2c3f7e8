"""The experiments on IU X-Ray as a script: which commands it gives, and how it goes on after an interruption."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "experiments" / "iu_xray.sh"
STUB = """#!/bin/sh
echo "$*" >> "$CALLS"
[ "$1" != "$FAIL" ] || exit 1
while [ $# -gt 0 ]; do [ "$1" != --out ] || out=$2; [ "$1" != --table ] || table=$2; shift; done
case "$out" in
    */iu) mkdir -p "$out" && touch "$out/corpus.json" ;;
    */encoder) mkdir -p "$out" && touch "$out/encoder.safetensors" ;;
    */seed-?) mkdir -p "$out" && touch "$out/recipe.toml" ;;
    *.json*) touch "$out" ;;
esac
"""
"""Stands for xpronet: it writes down what it is asked for, and leaves the files that the script looks for."""


def run(folder: Path, *, fail: str = "") -> tuple[int, list[list[str]]]:
    binaries = folder / "bin"
    binaries.mkdir(exist_ok=True)
    (binaries / "xpronet").write_text(STUB)
    (binaries / "xpronet").chmod(0o755)
    calls = folder / "calls"
    calls.write_text("")
    environment = {**os.environ, "PATH": f"{binaries}:{os.environ['PATH']}", "CALLS": str(calls), "FAIL": fail}
    command = ["sh", str(SCRIPT), "source", "nih", "resnet.safetensors", str(folder / "out"), "0", "1"]
    status = subprocess.run(command, env=environment, check=False).returncode
    return status, [line.split() for line in calls.read_text().splitlines()]


def test_every_step_of_two_seeds_in_order(tmp_path: Path) -> None:
    status, calls = run(tmp_path)
    assert status == 0
    seed = ["train", "train", "calibrate", *["generate", "evaluate", "evaluate"] * 2]
    assert [call[0] for call in calls] == ["prepare", "label", "label", "pretrain", "features", *seed, *seed]
    first, second = (call for call in calls if call[0] == "train" and "train.seed=1" in call)
    assert first[first.index("--out") + 1] == second[second.index("--from") + 1]
    assert not any("--resume" in call for call in calls)


@pytest.mark.parametrize("failing", ["pretrain", "calibrate", "evaluate"])
def test_an_interrupted_experiment_goes_on_where_it_was(tmp_path: Path, failing: str) -> None:
    status, before = run(tmp_path, fail=failing)
    assert status != 0
    assert before[-1][0] == failing
    status, after = run(tmp_path)
    assert status == 0
    assert "prepare" not in [call[0] for call in after]
    assert failing in [call[0] for call in after]
    trained = [call for call in after if call[0] == "train" and "train.seed=0" in call]
    assert all(("--resume" in call) == (failing != "pretrain") for call in trained)
