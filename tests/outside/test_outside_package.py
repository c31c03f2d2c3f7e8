"""A package beside ours adds an encoder, a report model, a labeler, a metric and a reader, from the command line."""

import csv
import json
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest
import tomli_w
from PIL import Image

import xpronet
from xpronet.cli import app, run
from xpronet.files import read_json_lines
from xpronet.labels.findings import FINDINGS
from xpronet.model.checkpoint import load_checkpoint
from xpronet.model.checkpoint_files import find_checkpoint
from xpronet.training.run_folder import read_journal

ENCODER = "python:xpronet_outside.encoder:PatchEncoder"
MODEL = "python:xpronet_outside.report_model:GruReportModel"


def succeed(*arguments: object) -> None:
    assert run([str(argument) for argument in arguments]) == 0


def fail(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    capsys.readouterr()
    assert run([str(argument) for argument in arguments]) == 2
    [line] = capsys.readouterr().err.splitlines()
    return line


@pytest.fixture(scope="module")
def recipe(tiny_recipe_text: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny recipe with the outside encoder and report model."""
    tree = tomllib.loads(tiny_recipe_text)
    tree["backbone"] = {"name": ENCODER, "width": 8}
    options = {"attention": "additive", "state_penalty": 0.01}
    tree["model"] = {"name": MODEL, "width": 16, "layers": 2, "heads": 2, "visible": "none", "options": options}
    path = tmp_path_factory.mktemp("recipe") / "gru.toml"
    path.write_text(tomli_w.dumps(tree))
    return path


@pytest.fixture(scope="module")
def trained(recipe: Path, phantom_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "run"
    succeed("train", recipe, "--corpus", phantom_folder, "--out", folder)
    return folder


@pytest.fixture(scope="module")
def predictions(trained: Path, phantom_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("predictions") / "predictions.jsonl"
    succeed("generate", trained, "--corpus", phantom_folder, "--out", path, "--allow-code")
    return path


def test_training_lowers_the_loss_and_reports_the_extra_term(trained: Path):
    first, second = (event["train"] for event in read_journal(trained, "epoch"))
    assert second["words"] < first["words"]
    assert first["extra"] > 0
    assert first["total"] == pytest.approx(first["words"] + first["findings"] + first["extra"], abs=1e-3)


def test_it_resumes(recipe: Path, trained: Path, phantom_folder: Path, tmp_path: Path):
    folder = Path(shutil.copytree(trained, tmp_path / "run", symlinks=True))
    more = ("--corpus", phantom_folder, "--out", folder, "--set", "train.epochs=3", "--resume")
    succeed("train", recipe, *more)
    assert len(list(read_journal(folder, "epoch"))) == 3


def test_it_generates_reports_with_evidence(trained: Path, predictions: Path, phantom_folder: Path, tmp_path: Path):
    lines = read_json_lines(predictions)
    assert len(lines) == 8
    assert all(len(line["findings"]) == 14 and line["labels_from"] == "predicted" for line in lines)
    images = sorted((phantom_folder / "images").rglob("*.png"))[:2]
    answer = tmp_path / "report.json"
    succeed("report", trained, *images, "--json", answer, "--html", tmp_path / "report.html", "--allow-code")
    words = json.loads(answer.read_text())["words"]
    for word in words:
        assert np.shape(word["attention"]) == (2, 4, 4)
        assert np.sum(word["attention"]) == pytest.approx(1, abs=1e-3)
        assert word["prototypes"] == []
    assert len(words) > 0


def test_the_scorecard_has_its_metric(predictions: Path, phantom_folder: Path, tmp_path: Path):
    scorecard = tmp_path / "scorecard.json"
    metric = ("--metric", "python:xpronet_outside.metric:WordOverlap", "--skip-meteor", "--skip-retrieval")
    succeed("evaluate", predictions, "--corpus", phantom_folder, *metric, "--out", scorecard)
    page = scorecard.with_suffix(".md").read_text()
    assert "word overlap" in page
    assert "Jaccard index of lower-case words, xpronet_outside 0.1; higher is better" in page
    assert "word overlap" in scorecard.read_text()


def test_the_labeler_labels_a_corpus(phantom_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    corpus = Path(shutil.copytree(phantom_folder, tmp_path / "corpus"))
    keywords = "python:xpronet_outside.labeler:KeywordLabeler"
    succeed("label", corpus, "--labeler", keywords, "--overwrite")
    assert "40 studies labelled by keywords 1" in capsys.readouterr().out
    with (corpus / "labels.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 40
    assert set(FINDINGS) <= rows[0].keys()
    assert {row["Pleural Effusion"] for row in rows} > {"1"}
    assert sorted(path.name for path in corpus.glob("labels.csv*")) == ["labels.csv"]
    assert "no module 'nowhere'" in fail(capsys, "label", corpus, "--labeler", "python:nowhere:Labeler", "--overwrite")
    assert fail(capsys, "label", corpus, "--labeler", "chexpert", "--overwrite") == (
        "xpronet: labeler 'chexpert': choose rules, chexbert or python:package.module:object"
    )
    wrong = fail(capsys, "label", corpus, "--labeler", "python:xpronet_outside.metric:WordOverlap", "--overwrite")
    assert wrong.endswith("its WordOverlap lacks label, label_many of Labeler")


@pytest.mark.skipif("outside" not in app["prepare"], reason="this version has no `xpronet prepare outside`")
def test_the_reader_makes_a_corpus(tmp_path: Path):
    rng = np.random.default_rng(0)
    for number in range(6):
        folder = tmp_path / "studies" / f"p{number}_s1"
        folder.mkdir(parents=True)
        (folder / "report.txt").write_text(f"The heart is normal. There are {number} clips.")
        Image.fromarray(rng.integers(0, 256, (70, 64), dtype=np.uint8)).save(folder / "frontal.png")
    reader = "python:xpronet_outside.reader:read_folders"
    option = ("--option", f"root={tmp_path / 'studies'}")
    succeed("prepare", "outside", reader, *option, "--out", tmp_path / "corpus", "--short-side", 64)
    corpus = xpronet.open_corpus(tmp_path / "corpus")
    assert [study.id for study in corpus.studies] == [f"p{number}_s1" for number in range(6)]
    assert {study.split for study in corpus.studies} == {"train", "val", "test"}
    succeed("label", tmp_path / "corpus")


def test_the_checkpoint_runs_no_code_unasked(trained: Path, phantom_folder: Path, capsys: pytest.CaptureFixture[str]):
    image = next((phantom_folder / "images").rglob("*.png"))
    line = fail(capsys, "report", trained, image)
    assert line == (
        f"xpronet: {find_checkpoint(trained)}: image encoder {ENCODER}: runs code of the package 'xpronet_outside'; "
        "if you trust it, install it and add --allow-code (allow_code=True in Python)"
    )
    succeed("report", trained, image, "--allow-code")
    assert load_checkpoint(trained, allow_code=True).network.settings.name == MODEL


def test_a_report_model_beside_our_encoder_is_refused_alike(
    recipe: Path, phantom_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    ours = ("--set", "backbone.name='resnet'", "--set", "backbone.depth=18", "--set", "train.epochs=1")
    succeed("train", recipe, "--corpus", phantom_folder, "--out", tmp_path / "run", *ours)
    image = next((phantom_folder / "images").rglob("*.png"))
    assert f"report model {MODEL}: runs code" in fail(capsys, "report", tmp_path / "run", image)
    succeed("report", tmp_path / "run", image, "--allow-code")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("model.options={attention='sharp'}", "model.options.attention = 'sharp': choose uniform or additive"),
        ("model.options={depth=3}", "model.options: no depth; there are attention and state_penalty"),
        ("model.name='python:xpronet_outside.report_model:Nothing'", "has no 'Nothing'"),
        ("model.name='gru'", "model.name = 'gru': choose xpronet, "),
        ("model.name='xpronet'", "model.options: attention, state_penalty are for other report models"),
    ],
)
def test_mistakes_in_the_recipe_are_one_line(
    change: str, message: str, recipe: Path, phantom_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert message in fail(
        capsys, "train", recipe, "--corpus", phantom_folder, "--out", tmp_path / "run", "--set", change
    )
