"""The making of the demo model as a script: which commands it gives, and what is scored."""

import os
import subprocess
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "experiments" / "demo_model.sh"
STUB = """#!/bin/sh
echo "$*" >> "$CALLS"
while [ $# -gt 0 ]; do [ "$1" != --out ] || out=$2; shift; done
case "$out" in
    */corpus) mkdir -p "$out" && touch "$out/corpus.json" ;;
    */run) mkdir -p "$out" && touch "$out/recipe.toml" ;;
esac
"""
"""Stands for xpronet and python: it writes down what it is asked for, and leaves what the script looks for."""


def calls_of(folder: Path) -> list[list[str]]:
    binaries, calls = folder / "bin", folder / "calls"
    binaries.mkdir(exist_ok=True)
    for name in ("xpronet", "python"):
        (binaries / name).write_text(STUB)
        (binaries / name).chmod(0o755)
    calls.write_text("")
    environment = {**os.environ, "PATH": f"{binaries}:{os.environ['PATH']}", "CALLS": str(calls)}
    subprocess.run(["sh", str(SCRIPT), str(folder / "out")], env=environment, check=True)
    return [line.split() for line in calls.read_text().splitlines()]


def test_the_rounded_weights_are_scored_and_packed(tmp_path: Path) -> None:
    calls = calls_of(tmp_path)
    steps = ["prepare", "train", "calibrate", "pack", "generate", "evaluate", "show", "pack", "-c"]
    assert [call[0] for call in calls] == steps
    rounded = calls[3][calls[3].index("--out") + 1]
    assert calls[4][1] == calls[7][1] == rounded
    scored, packed = calls[5], calls[7]
    assert scored[scored.index("--out") + 1] == packed[packed.index("--scorecard") + 1]
    assert [call[0] for call in calls_of(tmp_path)] == steps[3:], "what is trained is not trained again"
