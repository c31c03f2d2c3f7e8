"""A packed model: the run's reports to the byte, and nothing of where it was made."""

import json
import shutil
import socket
from pathlib import Path

import pytest
import yaml

import xpronet
from xpronet.cli import run
from xpronet.data.corpus import Corpus
from xpronet.errors import InputError
from xpronet.evaluation.evaluate import evaluate
from xpronet.evaluation.scorecard_files import write_scorecard_files
from xpronet.evaluation.settings import EvaluationSettings
from xpronet.experiment.pack import ABSOLUTE, anonymous, pack
from xpronet.files import read_json
from xpronet.model.checkpoint_files import check_checkpoint, fingerprint, write_manifest
from xpronet.training.training_data import DRAWN


@pytest.fixture(scope="module")
def scored_run(gated_run: Path, phantom: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The gated run with a scorecard of its test reports."""
    folder = Path(shutil.copytree(gated_run, tmp_path_factory.mktemp("scored") / "run", symlinks=True))
    predictions = folder / "predictions.jsonl"
    assert run(["generate", str(folder), "--corpus", str(phantom.folder), "--out", str(predictions)]) == 0
    card = evaluate(predictions, corpus=phantom, settings=EvaluationSettings(skip_meteor=True))
    write_scorecard_files(folder / "scorecard.json", card)
    return folder


@pytest.fixture(scope="module")
def model(scored_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scored run, packed."""
    out = tmp_path_factory.mktemp("packed") / "model"
    pack(scored_run, out)
    return out


def test_reports_are_those_of_the_run_to_the_byte(model: Path, scored_run: Path, phantom: Corpus) -> None:
    before, after = (xpronet.load(folder).reports(phantom) for folder in (scored_run, model))
    assert [report.answer(model="") for report in before] == [report.answer(model="") for report in after]
    assert fingerprint(model) == fingerprint(scored_run)


def test_nothing_tells_where_it_was_made(model: Path, scored_run: Path) -> None:
    check_checkpoint(model)
    hidden = (socket.gethostname(), str(scored_run), str(scored_run.parent), str(Path.cwd()), str(Path.home()))
    for path in model.iterdir():
        if path.suffix != ".safetensors":  # a short host name stands in any bytes by chance
            assert not [text for text in hidden if text in path.read_text()], path.name
    assert "optimiser.safetensors" not in {path.name for path in model.iterdir()}
    assert read_json(model / "training.json").keys() == {"views", "step", "best_score", "best_epoch"}


def test_it_says_what_it_learned_from_and_what_it_is_worth(model: Path, phantom: Corpus) -> None:
    assert read_json(model / "training_data.json")["studies"] == phantom.counts
    card = (model / "README.md").read_text()
    front = yaml.safe_load(card.split("---\n")[1])
    assert front["license"] == "apache-2.0"
    results = front["model-index"][0]["results"]
    assert results[0]["dataset"]["name"] == "phantom"
    bleu = read_json(model / "scorecard.json")["model"]["scores"]["BLEU-4"]
    assert f"| BLEU-4 | {bleu['value']:.3f} ({bleu['low']:.3f} to {bleu['high']:.3f}) |" in card
    assert DRAWN in card
    assert "diagnose" in card


def test_training_writes_a_card_into_the_run(gated_run: Path) -> None:
    card = (gated_run / "README.md").read_text()
    assert DRAWN in card
    assert "Not measured." in card
    assert "* The image encoder began from: auto" in card


def test_commands_take_it(model: Path, phantom: Corpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def xpronet_(*words: object) -> str:
        assert run([str(word) for word in words]) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    where = ("--corpus", phantom.folder)
    xpronet_("generate", model, *where, "--out", tmp_path / "new.jsonl")
    assert "BLEU-4" in xpronet_("evaluate", tmp_path / "new.jsonl", *where, "--run", model, "--skip-meteor")
    image = phantom.view_path(phantom.studies[0].views[0])
    assert xpronet_("report", model, image).strip()
    again = tmp_path / "again"
    xpronet_("pack", model, "--out", again)
    same = {path.name for path in model.iterdir()} - {"README.md", "manifest.json"}
    assert all((again / name).read_bytes() == (model / name).read_bytes() for name in same)


def test_info_says_what_a_thing_is(
    model: Path, scored_run: Path, phantom: Corpus, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def info(path: Path) -> str:
        assert run(["info", str(path)]) == 0
        return capsys.readouterr().out

    told = info(model)
    assert told.startswith(f"Model {model}")
    assert "Learned from: phantom (drawn X-rays), 28 train, 4 val, 8 test studies, licence: Apache-2.0" in told
    assert "BLEU-4" in told
    assert "Training: finished, epoch 2 of 2" in info(scored_run)
    assert "40 studies (28 train, 4 val, 8 test)" in info(phantom.folder)
    assert run(["info", str(tmp_path)]) == 2
    assert "neither a run, a model, a corpus nor a feature cache" in capsys.readouterr().err


def test_a_run_that_does_not_say_what_it_learned_from(scored_run: Path, phantom: Corpus, tmp_path: Path) -> None:
    old = Path(shutil.copytree(scored_run, tmp_path / "old", symlinks=True))
    (old / "training_data.json").unlink()
    with pytest.raises(InputError, match="name the corpus with --corpus"):
        pack(old, tmp_path / "model")
    pack(old, tmp_path / "model", corpus=phantom.folder)
    assert read_json(tmp_path / "model" / "training_data.json")["corpus"] == "phantom"


def test_the_scorecard_of_another_model_is_refused(scored_run: Path, tmp_path: Path) -> None:
    other = read_json(scored_run / "scorecard.json")
    other["stamp"]["model"] = "0" * 16
    (tmp_path / "other.json").write_text(json.dumps(other))
    with pytest.raises(InputError, match="of the weights 0000000000000000"):
        pack(scored_run, tmp_path / "model", scorecard=tmp_path / "other.json")


def test_rounded_weights_take_half_the_space_and_a_scorecard_of_their_own(
    scored_run: Path, phantom: Corpus, tmp_path: Path
) -> None:
    whole, half = tmp_path / "whole", tmp_path / "half"
    pack(scored_run, whole)
    pack(scored_run, half, weights="fp16")
    sizes = [(folder / "model.safetensors").stat().st_size for folder in (whole, half)]
    assert sizes[1] < 0.6 * sizes[0]
    assert fingerprint(half) != fingerprint(whole)
    assert not (half / "scorecard.json").exists()
    assert "* Weights: fp16, SHA-256" in (half / "README.md").read_text()
    study = [phantom.view_path(view) for view in phantom.studies[0].views]
    exact, rounded = (xpronet.load(folder).report(study) for folder in (whole, half))
    for before, after in zip(exact.findings, rounded.findings, strict=True):
        assert after.probability == pytest.approx(before.probability, abs=0.01)
    with pytest.raises(InputError, match="need a scorecard of their own"):
        pack(scored_run, tmp_path / "again", weights="fp16", scorecard=scored_run / "scorecard.json")


def test_whatever_a_checkpoint_lists_is_handed_over(scored_run: Path, tmp_path: Path) -> None:
    run_ = Path(shutil.copytree(scored_run, tmp_path / "run", symlinks=True))
    checkpoint = (run_ / "checkpoints/best").resolve()
    (checkpoint / "another_gate.safetensors").write_bytes(b"kept")
    write_manifest(checkpoint)
    (checkpoint / "stray.txt").write_text("not listed")
    pack(run_, tmp_path / "model")
    assert (tmp_path / "model/another_gate.safetensors").read_bytes() == b"kept"
    assert not (tmp_path / "model/stray.txt").exists()


def test_examples_are_handed_over_where_that_is_asked_for(scored_run: Path, phantom: Corpus, tmp_path: Path) -> None:
    run_ = Path(shutil.copytree(scored_run, tmp_path / "run", symlinks=True))
    with pytest.raises(InputError, match="make it with `xpronet show prototypes"):
        pack(run_, tmp_path / "model", examples=True)
    assert run(["show", "prototypes", str(run_), "--corpus", str(phantom.folder), "--regions", "1"]) == 0
    pack(run_, tmp_path / "without")
    pack(run_, tmp_path / "with", examples=True)
    names = {"prototype_examples.json", "prototype_examples.png"}
    assert not names & {path.name for path in (tmp_path / "without").iterdir()}
    assert names < {path.name for path in (tmp_path / "with").iterdir()}
    pack(run_, tmp_path / "half", weights="fp16")
    shutil.copy(run_ / "prototype_examples.json", tmp_path / "half")
    shutil.copy(run_ / "prototype_examples.png", tmp_path / "half")
    with pytest.raises(InputError, match="of other weights"):
        pack(tmp_path / "half", tmp_path / "again", examples=True)


def test_its_origin_is_handed_over(scored_run: Path, tmp_path: Path) -> None:
    pack(scored_run, tmp_path / "model", command="sh make_it.sh")
    pack(tmp_path / "model", tmp_path / "again")
    origin = read_json(tmp_path / "again/origin.json")
    assert origin["command"] == "sh make_it.sh"
    assert origin["seeds"] == {"train": 1, "prototypes": 0}
    assert origin["versions"].keys() == {"xpronet", "python", "torch"}
    assert "* Made by `sh make_it.sh`" in (tmp_path / "again/README.md").read_text()


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("No corpus at /home/me/films/iu any more.", "No corpus at iu any more."),
        ("12.5 studies/s, 3/8 of them", "12.5 studies/s, 3/8 of them"),
        ("see https://example.org/a/b", "see https://example.org/a/b"),
    ],
)
def test_folders_vanish_from_sentences(text: str, kept: str) -> None:
    assert ABSOLUTE.sub("", text) == kept
    assert anonymous({"stamp": {"trial": "runs/7"}, "warnings": [text]}) == {"stamp": {}, "warnings": [kept]}
