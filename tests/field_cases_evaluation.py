"""Checks of the field cases on scoring, exported folders and views; each returns (right, total) for a folder."""

import contextlib
import io
import tempfile
from pathlib import Path

import torch
from PIL import Image

from xpronet.cli import run as xpronet
from xpronet.deploy.exported_folder import export_folder
from xpronet.deploy.load import load
from xpronet.experiment.recipe import read_recipe
from xpronet.experiment.run import train_run
from xpronet.model.checkpoint import load_checkpoint
from xpronet.model.checkpoint_files import fingerprint
from xpronet.phantom.make_corpus import PhantomSettings, make_phantom

TINY = (
    *("images.size=64", "images.short_side=64", "vocabulary.min_count=1", "vocabulary.max_words=20", "batches.size=8"),
    *("backbone.depth=18", "backbone.width=8", "text.width=8", "prototypes.per_finding=2", "model.width=16"),
    *("model.feed_forward=16", "model.heads=2", "model.layers=1", "model.gamma=2", "train.epochs=1"),
    *("generate.max_words=8", "generate.beams=1"),
)


def _call(*arguments: object) -> tuple[int, str]:
    """Run a command; return its status and all that it printed."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = xpronet([str(argument) for argument in arguments])
    return status, out.getvalue() + err.getvalue()


def _evaluated(folder: Path) -> tuple[int, str]:
    """Make a corpus of texts of a case's studies.csv, and score its predictions."""
    with tempfile.TemporaryDirectory() as name:
        corpus = Path(name) / "corpus"
        status, printed = _call("prepare", "table", "--csv", folder / "studies.csv", "--no-images", "--out", corpus)
        assert status == 0, printed
        return _call("evaluate", folder / "predictions.jsonl", "--corpus", corpus, "--skip-meteor")


def _run(folder: Path) -> Path:
    """Train a tiny model on drawn studies of two views."""
    make_phantom(folder / "corpus", PhantomSettings(studies=40, seed=3, prevalence="balanced", size=64))
    recipe = folder / "recipe.toml"
    recipe.write_text("[prototypes]\nrestarts = 1\n")
    overrides = (*TINY, f"corpus='{folder / 'corpus'}'")
    train_run(read_recipe(recipe, overrides), folder / "run")
    return folder / "run"


def check_evaluate_file_kinds(folder: Path) -> tuple[int, int]:
    """One JSON array is read."""
    status, printed = _call("evaluate", folder / "predictions.json", "--skip-meteor")
    return int(status == 0 and "1 studies" in printed), 1


def check_evaluate_no_finding_anywhere(folder: Path) -> tuple[int, int]:
    """Where nobody has a finding there is a scorecard without their F1."""
    status, printed = _evaluated(folder)
    return int(status == 0 and "BLEU-4" in printed), 1


def check_evaluate_other_reference(folder: Path) -> tuple[int, int]:
    """References that are not the corpus's are named."""
    _, printed = _evaluated(folder)
    return int("2 references are not the corpus's" in " ".join(printed.split())), 1


def check_export_folder_elsewhere(folder: Path) -> tuple[int, int]:
    """A command that takes no exported folder says what it was given."""
    with tempfile.TemporaryDirectory() as name:
        run = _run(Path(name))
        exported = Path(name) / "onnx"
        export_folder(load_checkpoint(run), exported, to="onnx", model=fingerprint(run))
        status, printed = _call("serve", exported)
    return int(status == 2 and "an exported folder" in printed), 1


def check_views_unlike_training(folder: Path) -> tuple[int, int]:
    """One view given to a model that learned from two is warned of."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        report = load(_run(Path(name))).report(Image.open(folder / "pa.png"))
    return int(any("a study of one view" in warning for warning in report.warnings)), 1
