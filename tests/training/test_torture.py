"""A run that is killed again and again ends as one that never was: weights, journal and reports, to the bit.

`make torture` kills thirty times; the short version belongs to the ordinary tests.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from xpronet.data.corpus import open_corpus
from xpronet.files import read_json
from xpronet.generation.generator import ReportGenerator
from xpronet.generation.predictions import predictions
from xpronet.model.checkpoint import load_checkpoint
from xpronet.model.checkpoint_files import check_checkpoint
from xpronet.model.search_settings import BeamSettings
from xpronet.phantom.make_corpus import PhantomSettings, make_phantom
from xpronet.training.checkpoints import OPTIMISER_FILE, last_checkpoint, read_trainer_state
from xpronet.training.run_folder import read_journal, read_starts

CLOCK = ("time", "seconds", "seconds_left", "studies_per_second")
SECONDS_A_START = 180


class Torture:
    """A recipe, and runs of it by the command line."""

    def __init__(self, folder: Path, recipe: str, *, epochs: int) -> None:
        self.corpus = folder / "corpus"
        make_phantom(self.corpus, PhantomSettings(studies=48, seed=5, prevalence="balanced", size=64))
        (folder / "recipe.toml").write_text(recipe)
        self.folder = folder
        values = (f"train.epochs={epochs}", "train.save_steps=2", "train.log_steps=1")
        settings = [part for value in values for part in ("--set", value)]
        self._train = ["train", str(folder / "recipe.toml"), "--corpus", str(self.corpus), *settings, "--out"]

    def start(self, run: Path) -> subprocess.Popen[bytes]:
        """Start a run, or go on with it."""
        resume = ["--resume"] if (run / "recipe.toml").exists() else []
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        with (self.folder / "told.txt").open("wb") as told:
            return subprocess.Popen(
                [sys.executable, "-m", "xpronet", *self._train, str(run), *resume], stderr=told, env=environment
            )

    def finish(self, process: subprocess.Popen[bytes]) -> None:
        assert process.wait(SECONDS_A_START) == 0, (self.folder / "told.txt").read_text()

    def kill_somewhere(self, run: Path, dice: random.Random) -> str | None:
        """Start the run and kill it at some moment; return what it was doing, None where it was finished before."""
        before = _step(run)
        process = self.start(run)
        until = time.monotonic() + SECONDS_A_START
        # A few steps first, so that thirty kills get somewhere; then in the next save, or anywhere.
        goal = before + dice.randint(1, 4)
        in_save = dice.random() < 0.6
        while process.poll() is None and (_step(run) < goal or (in_save and not _saving(run))):
            assert time.monotonic() < until
            time.sleep(0.0005)
        time.sleep(dice.uniform(0, 0.03 if in_save else 0.3))
        doing = "saving" if _saving(run) else "training"
        process.send_signal(signal.SIGKILL)
        ended = process.wait()
        if ended == 0:
            return None
        assert ended == -signal.SIGKILL, (self.folder / "told.txt").read_text()
        return doing

    def reports(self, run: Path) -> list[dict[str, Any]]:
        """Return what the run's best checkpoint writes about the test studies."""
        corpus = open_corpus(self.corpus)
        checkpoint = load_checkpoint(run)
        writer = ReportGenerator(checkpoint, device=torch.device("cpu"), settings=BeamSettings(beams=2, max_words=20))
        return list(predictions(writer, corpus, corpus.split("test")))

    def compare(self, first: Path, second: Path) -> None:
        """Hold two runs against each other."""
        for name in ("last", "best"):
            one, other = (run / "checkpoints" / name for run in (first, second))
            assert one.resolve().name == other.resolve().name
            assert {path.name for path in one.iterdir()} == {path.name for path in other.iterdir()}
            for path in one.iterdir():
                assert path.read_bytes() == (other / path.name).read_bytes(), f"{name}/{path.name}"
        assert _told(first) == _told(second)
        assert self.reports(first) == self.reports(second)


def torture(folder: Path, recipe: str, *, kills: int, epochs: int, seed: int) -> None:
    """Kill runs until there were enough kills; every run must end like the one that nobody killed."""
    dice = random.Random(seed)
    work = Torture(folder, recipe, epochs=epochs)
    whole = folder / "whole"
    work.finish(work.start(whole))
    moments: list[str] = []
    number = 0
    while len(moments) < kills:
        number += 1
        run = folder / f"killed-{number}"
        while len(moments) < kills:
            doing = work.kill_somewhere(run, dice)
            if doing is None:
                break
            moments.append(doing)
            _is_whole(run)
            print(f"kill {len(moments)}: {doing}, step {_step(run)}, left {_left(run)}", flush=True)
        work.finish(work.start(run))
        work.compare(whole, run)
    print(json.dumps({doing: moments.count(doing) for doing in sorted(set(moments))}), f"in {number} runs")
    # Nothing of the kills is left, and going on with a finished run changes nothing.
    assert not _left(run)
    starts = len(read_starts(run))
    work.finish(work.start(run))
    assert len(read_starts(run)) == starts


@pytest.mark.long
@pytest.mark.slow
def test_three_kills_change_nothing(tmp_path: Path, tiny_recipe_text: str) -> None:
    torture(tmp_path, tiny_recipe_text, kills=3, epochs=3, seed=1)


@pytest.mark.slow
@pytest.mark.torture
def test_thirty_kills_change_nothing(tmp_path: Path, tiny_recipe_text: str) -> None:
    torture(tmp_path, tiny_recipe_text, kills=30, epochs=12, seed=random.SystemRandom().randrange(1_000_000))


def _is_whole(run: Path) -> None:
    """Check everything that a user or a resumed run could load."""
    if not (run / "checkpoints").is_dir():
        return
    last = last_checkpoint(run)
    for folder in [path for path in (run / "checkpoints").iterdir() if not path.name.startswith(".")]:
        check_checkpoint(folder, *([OPTIMISER_FILE] if folder.name.startswith(("step", "last")) else []))
        load_checkpoint(folder)
    if last is not None:
        assert read_trainer_state(last).step <= max((event["step"] for event in read_journal(run)), default=0)
    for name in ("recipe.toml", "vocabulary.json", "run.json"):
        assert (run / name).exists()
    read_json(run / "run.json")


def _step(run: Path) -> int:
    """Return the last step that the journal tells of, though the run may be writing to it."""
    try:
        return (run / "journal.jsonl").read_bytes().count(b'"event": "step"')
    except FileNotFoundError:
        return 0


def _left(run: Path) -> list[str]:
    """Return what a kill has left behind."""
    return sorted(path.name for path in (run / "checkpoints").glob(".*"))


def _saving(run: Path) -> bool:
    return bool(_left(run))


def _told(run: Path) -> list[dict[str, Any]]:
    return [{name: value for name, value in event.items() if name not in CLOCK} for event in read_journal(run)]
