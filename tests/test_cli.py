"""The command line, from nothing to a report, and one line for every mistake."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from xpronet.cli import run
from xpronet.files import read_json_lines

TINY = """
[images]
size = 64
short_side = 64
[vocabulary]
min_count = 1
max_words = 30
[batches]
size = 8
[backbone]
depth = 18
width = 8
[text]
width = 8
[prototypes]
per_finding = 2
restarts = 1
[model]
width = 16
feed_forward = 16
heads = 2
layers = 1
gamma = 3
[train]
epochs = 1
[generate]
max_words = 30
"""


def test_every_step_from_nothing_to_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus, out = tmp_path / "corpus", tmp_path / "run"
    recipe, predictions = tmp_path / "tiny.toml", tmp_path / "predictions.jsonl"
    recipe.write_text(TINY)

    def xpronet(*arguments: object) -> str:
        status = run([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        assert status == 0, printed.err
        return printed.out

    xpronet("prepare", "phantom", "--out", corpus, "--studies", 40, "--prevalence", "balanced", "--size", 64)
    xpronet("label", corpus, "--overwrite")
    bank = tmp_path / "bank.safetensors"
    narrow = ("--depth", 18, "--width", 8, "--size", 64, "--short-side", 64, "--text-width", 8, "--per-finding", 2)
    xpronet("prototypes", corpus, "--out", bank, *narrow)
    assert "Trained 4 steps" in xpronet("train", recipe, "--corpus", corpus, "--prototypes", bank, "--out", out)
    more = ("--resume", "--set", "train.epochs=2", "--corpus", corpus, "--out", out)
    assert "Trained 8 steps" in xpronet("train", recipe, *more)
    xpronet("generate", out, "--corpus", corpus, "--out", predictions)
    lines = read_json_lines(predictions)
    assert len(lines) == 8
    assert all({"id", "report", "reference", "findings", "labels_from"} <= line.keys() for line in lines)
    scorecard = tmp_path / "scorecard.json"
    assert "BLEU-4" in xpronet("evaluate", predictions, "--corpus", corpus, "--out", scorecard)
    assert json.loads(scorecard.read_text())["studies"] == 8

    pictures = sorted((corpus / "images").rglob("*.png"))[:2]
    answer, page = tmp_path / "report.json", tmp_path / "report.html"
    text = xpronet("report", out, *pictures, "--json", answer, "--html", page)
    record = json.loads(answer.read_text())
    assert record["report"] == text.strip()
    assert len(record["findings"]) == 14
    assert {len(word["attention"]) for word in record["words"]} == {2}
    assert "not a medical device" in page.read_text()


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of files that are not what they say."""
    folder = tmp_path_factory.mktemp("bad")
    (folder / "text.dcm").write_text("no picture\n")
    (folder / "text.png").write_text("no picture\n")
    (folder / "notes.md").write_text("# no picture\n")
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
    assert "/proc/none/out.jsonl: cannot be written" in capsys.readouterr().err


def test_help_is_quick_and_needs_no_torch() -> None:
    code = "import sys; from xpronet.cli import run; run(['--help']); sys.exit('torch' in sys.modules)"
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Write a draft report" in done.stdout
    # Half a second on a quiet machine; the limit leaves room for a busy one.
    assert time.monotonic() - started < 5


def test_the_module_is_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "xpronet", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip().count(".") == 2
