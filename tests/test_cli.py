"""The command line, from nothing to a report, and one line for every mistake."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

import xpronet
from xpronet.cli import run
from xpronet.files import read_json_lines
from xpronet.training import loop as train_loop


def test_every_step_from_nothing_to_a_report(
    tmp_path: Path, tiny_recipe_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus, out = tmp_path / "corpus", tmp_path / "run"
    predictions = tmp_path / "predictions.jsonl"

    def call(*arguments: object) -> str:
        status = run([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        assert status == 0, printed.err
        return printed.out

    call("prepare", "phantom", "--out", corpus, "--studies", 40, "--prevalence", "balanced", "--size", 64)
    call("label", corpus, "--overwrite")
    bank = tmp_path / "bank.safetensors"
    call("prototypes", tiny_recipe_file, "--corpus", corpus, "--out", bank)
    train = ("train", tiny_recipe_file, "--corpus", corpus, "--out", out)
    assert "Trained 4 steps" in call(*train, "--prototypes", bank, "--set", "train.epochs=1")
    assert "Trained 8 steps" in call(*train, "--resume")
    call("generate", out, "--corpus", corpus, "--out", predictions)
    lines = read_json_lines(predictions)
    assert len(lines) == 8
    assert all({"id", "report", "reference", "findings", "labels_from"} <= line.keys() for line in lines)
    scorecard = tmp_path / "scorecard.json"
    assert "BLEU-4" in call("evaluate", predictions, "--corpus", corpus, "--out", scorecard, "--skip-meteor")
    assert json.loads(scorecard.read_text())["studies"] == 8

    pictures = sorted((corpus / "images").rglob("*.png"))[:2]
    answer, page = tmp_path / "report.json", tmp_path / "report.html"
    text = call("report", out, *pictures, "--json", answer, "--html", page)
    record = json.loads(answer.read_text())
    # What a reader should doubt follows the draft.
    assert text.startswith(record["report"] + "\n")
    assert len(record["findings"]) == 14
    assert {len(word["attention"]) for word in record["words"]} == {2}
    assert "not a medical device" in page.read_text()


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of files that are not what they say."""
    folder = tmp_path_factory.mktemp("bad")
    (folder / "text.dcm").write_text("no image\n")
    (folder / "text.png").write_text("no image\n")
    (folder / "notes.md").write_text("# no image\n")
    (folder / "empty.png").touch()
    (folder / "empty").mkdir()
    (folder / "typo.toml").write_text("[train]\nepoch = 3\n")
    (folder / "broken.toml").write_text("[train\n")
    (folder / "broken.jsonl").write_text('{"id": 1\n')
    (folder / "none.jsonl").write_text("")
    return folder


@pytest.mark.parametrize(
    "arguments",
    [
        "report {run} {bad}/none.png",
        "report {run} {bad}/text.dcm",
        "report {run} {bad}/text.png",
        "report {run} {bad}/notes.md",
        "report {run} {bad}/empty.png",
        "report {run} {bad}/empty",
        "report {run}",
        "report {bad}/empty {image}",
        "report {bad}/none {image}",
        "report {run} {image} --json {bad}/typo.toml",
        "report {run} {image} --beams 0",
        "generate {run} --corpus {bad}/empty --out {bad}/out.jsonl",
        "generate {run} --corpus {corpus} --out {bad}/none.jsonl",
        "train {bad}/typo.toml --corpus {corpus} --out {bad}/run",
        "train {bad}/broken.toml --corpus {corpus} --out {bad}/run",
        "train {bad}/none.toml --corpus {corpus} --out {bad}/run",
        "train {recipes}/phantom.toml --out {bad}/run",
        "train {recipes}/phantom.toml --corpus {bad}/empty --out {bad}/run",
        "train {recipes}/phantom.toml --corpus {corpus} --out {bad}/run --set train.epochs=many",
        "evaluate {bad}/none.jsonl",
        "evaluate {bad}/broken.jsonl",
        "evaluate {bad}/missing.jsonl",
        "label {bad}/empty",
        "prepare phantom --out {bad}/corpus --studies 1",
        "prepare phantom --out {corpus}",
        "prepare table --out {bad}/corpus",
        "prototypes {bad}/empty --out {bad}/bank.safetensors",
        "nonsense",
        "report {run} {image} --nonsense",
    ],
)
def test_a_mistake_is_one_line_and_status_2(
    arguments: str, bad: Path, tiny_run: Path, phantom_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = {
        "run": tiny_run,
        "bad": bad,
        "corpus": phantom_folder,
        "image": next((phantom_folder / "images").rglob("*.png")),
        "recipes": Path(__file__).parents[1] / "recipes",
    }
    before = sorted(bad.rglob("*"))
    status = run([part.format(**names) for part in arguments.split()])
    printed = capsys.readouterr().err
    assert status == 2, printed
    [line] = [line for line in printed.splitlines() if line.startswith("xpronet: ")]
    assert len(line) > len("xpronet: ") + 10
    assert "Traceback" not in printed
    assert sorted(bad.rglob("*")) == before, "nothing half-written remains"


def test_an_unwritable_output_is_told(tiny_run: Path, phantom_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = run(["generate", str(tiny_run), "--corpus", str(phantom_folder), "--out", "/proc/none/out.jsonl"])
    assert status == 2
    printed = capsys.readouterr().err
    assert "/proc/none/out.jsonl.parts" in printed
    assert "cannot be written" in printed


def test_help_is_quick_and_needs_no_torch() -> None:
    code = "import sys; from xpronet.cli import run; run(['--help']); sys.exit('torch' in sys.modules)"
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Generate a draft report" in done.stdout
    # Half a second on a quiet machine; the limit leaves room for a busy one.
    assert time.monotonic() - started < 5


def test_the_module_is_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "xpronet", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"xpronet {xpronet.__version__}, torch {torch.__version__}, Python 3.")
    assert done.stdout.strip().endswith(("precision fp32", "precision bf16"))


def test_the_version_of_the_citation_is_the_package_s() -> None:
    citation = yaml.safe_load((Path(__file__).parents[1] / "CITATION.cff").read_text())
    assert citation["version"] == xpronet.__version__
    assert {"cff-version", "message", "title", "authors", "license", "preferred-citation"} <= citation.keys()


def test_an_interrupt_says_how_to_go_on(
    tmp_path: Path,
    tiny_recipe_file: Path,
    phantom_folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first_step = train_loop.take_step

    def interrupted_step(*arguments: Any, **more: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return first_step(*arguments, **more)

    out = tmp_path / "run"
    train = ["train", str(tiny_recipe_file), "--corpus", str(phantom_folder), "--out", str(out)]
    with monkeypatch.context() as patch:
        patch.setattr(train_loop, "take_step", interrupted_step)
        assert run(train) == 130
    assert "xpronet: stopped at step 1; continue with --resume" in capsys.readouterr().err
    assert run([*train, "--resume"]) == 0


def test_an_interrupt_without_a_word_is_told_too(
    tiny_recipe_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("xpronet.experiment.recipe.read_recipe", interrupted)
    assert run(["train", str(tiny_recipe_file), "--out", "nowhere"]) == 130
    assert capsys.readouterr().err == "xpronet: interrupted\n"


def test_images_of_a_low_range_are_warned_of(
    tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dark, answer = tmp_path / "dark.png", tmp_path / "answer.json"
    Image.fromarray(np.linspace(0, 4095, 80 * 64).reshape(80, 64).astype(np.uint16)).save(dark)
    assert run(["report", str(tiny_run), str(dark), "--json", str(answer)]) == 0
    warning = "dark.png: uses 6% of its grey range (20 to 4,074 of 65,535); it looks like a film of 12 bits"
    assert f"warning: {warning}" in capsys.readouterr().err
    assert json.loads(answer.read_text())["warnings"][0].startswith(warning)


def test_a_frame_is_chosen(tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pages = [Image.fromarray(np.random.default_rng(n).integers(0, 256, (80, 64), dtype=np.uint8)) for n in range(2)]
    pages[0].save(tmp_path / "pages.tif", save_all=True, append_images=pages[1:])
    assert run(["report", str(tiny_run), str(tmp_path / "pages.tif")]) == 2
    assert "holds 2 frames; choose one with --frame (1 to 2)" in capsys.readouterr().err
    assert run(["report", str(tiny_run), str(tmp_path / "pages.tif"), "--frame", "2"]) == 0
