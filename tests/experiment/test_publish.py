"""Publishing: what a folder for the hub holds, whose licence forbids it, and a model's way to the hub and back."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hub_stub import HubStub, hub_stub

import xpronet
from xpronet.cli import run
from xpronet.data.corpus import Corpus
from xpronet.errors import InputError
from xpronet.evaluation.evaluate import evaluate
from xpronet.evaluation.scorecard_files import write_scorecard_files
from xpronet.evaluation.settings import EvaluationSettings
from xpronet.experiment.publish import check_licences, publish
from xpronet.experiment.training_data import TrainingData
from xpronet.files import read_json

TOKEN = "hf_stub"
IMAGES = (".png", ".jpg", ".jpeg", ".dcm", ".tif")


@pytest.fixture(scope="module")
def scored(tiny_run: Path, phantom: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny run with a scorecard of its test reports."""
    folder = Path(shutil.copytree(tiny_run, tmp_path_factory.mktemp("publish") / "run", symlinks=True))
    predictions = folder / "predictions.jsonl"
    assert run(["generate", str(folder), "--corpus", str(phantom.folder), "--out", str(predictions)]) == 0
    card = evaluate(predictions, corpus=phantom, settings=EvaluationSettings(skip_meteor=True))
    write_scorecard_files(folder / "scorecard.json", card)
    (folder / "prototype_examples.png").write_bytes(b"part of an image")
    return folder


@pytest.fixture(scope="module")
def hub() -> HubStub:
    with hub_stub(TOKEN) as served:
        yield served


def told(**changes: str) -> TrainingData:
    facts = {"corpus": "films", "licence": "CC BY 4.0", "first_stage": "", **changes}
    return TrainingData(studies={"train": 3}, drawn=False, weights="auto", **facts)


def test_a_folder_as_the_hub_shows_it(scored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "small-model"
    assert run(["publish", str(scored), "--to", str(out)]) == 0, capsys.readouterr().err
    assert f"Published {scored} to {out}" in capsys.readouterr().out
    names = {path.name for path in out.iterdir()}
    assert {"README.md", "config.json", "model.safetensors", "vocabulary.json", "scorecard.json"} <= names
    assert not [name for name in names if name.endswith(IMAGES)]
    front = yaml.safe_load((out / "README.md").read_text().split("---\n")[1])
    assert front["license"] == "apache-2.0"
    assert front["pipeline_tag"] == "image-to-text"
    [index] = front["model-index"]
    assert index["name"] == "small-model"
    assert str(tmp_path) not in (out / "README.md").read_text()
    bleu = read_json(out / "scorecard.json")["model"]["scores"]["BLEU-4"]["value"]
    metrics = [metric for result in index["results"] for metric in result["metrics"]]
    assert {"type": "bleu", "name": "BLEU-4", "value": round(bleu, 4)}.items() <= next(
        metric for metric in metrics if metric["name"] == "BLEU-4"
    ).items()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"licence": "PhysioNet Credentialed Health Data License 1.5.0: no sharing"}, "'PhysioNet Credentialed"),
        ({"licence": "CC BY-NC-ND 4.0 (Open-i, Indiana University)"}, "'CC BY-NC-ND 4.0"),
        ({"licence": "unknown"}, "nobody stated the licence of films"),
        ({"first_stage": "other, 9 train studies, licence: not stated"}, "an earlier stage of training learned from"),
        ({"first_stage": "not stated"}, "an earlier stage of training learned from"),
    ],
)
def test_licences_that_forbid_it_need_a_permission(changes: dict[str, str], reason: str) -> None:
    with pytest.raises(InputError, match=reason) as refused:
        check_licences(told(**changes), with_permission=False)
    assert "--with-permission" in str(refused.value)
    check_licences(told(**changes), with_permission=True)


def test_licences_that_allow_it() -> None:
    check_licences(told(), with_permission=False)
    check_licences(told(first_stage="drawn, 9 train studies, licence: Apache-2.0; drawn"), with_permission=False)


def test_a_repository_has_an_owner(scored: Path) -> None:
    with pytest.raises(InputError, match="hub:small: not a hub name; write hub:owner/name"):
        publish(scored, "hub:small")


def test_a_model_of_unknown_worth_is_not_published(tiny_run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"published with what it is worth, and it has no scorecard\.json"):
        publish(tiny_run, str(tmp_path / "model"))
    assert not list(tmp_path.iterdir())


@pytest.fixture
def here(hub: HubStub, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Let this process publish to the stub."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", hub.address)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    return monkeypatch


def in_another_process(hub: HubStub, cache: Path, code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run Python with this hub in place of the real one: its client reads the address when it is imported."""
    environment = {**os.environ, "HF_ENDPOINT": hub.address, "HF_HOME": str(cache), "HF_HUB_DISABLE_XET": "1"}
    words = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=240)


REPORT = "import sys, xpronet; print(xpronet.load('hub:me/small').report(sys.argv[1:]).text)"


# The hub's client hands files to its HTTP library in a way that the library wants to give up.
@pytest.mark.filterwarnings("ignore:Use 'content:DeprecationWarning")
@pytest.mark.usefixtures("here")
def test_to_the_hub_and_back(scored: Path, phantom: Corpus, hub: HubStub, tmp_path: Path) -> None:
    done = publish(scored, "hub:me/small", private=True)
    assert done.where == f"{hub.address}/me/small"
    files = hub.repositories["me/small"]
    assert hub.private["me/small"]
    assert {name for name, _ in done.files} == files.keys()
    assert 'xpronet.load("hub:me/small")' in files["README.md"].decode()
    assert json.loads(files["training_data.json"])["corpus"] == "phantom"
    images = [phantom.view_path(view) for view in phantom.split("test")[0].views]
    told = in_another_process(hub, tmp_path, REPORT, *images)
    assert told.stdout.strip() == xpronet.load(scored).report(images).text, told.stderr


def test_who_is_not_logged_in_is_told(scored: Path, hub: HubStub, here: pytest.MonkeyPatch) -> None:
    here.setenv("HF_TOKEN", "hf_wrong")
    told = "^hub:me/other: the hub answers with status 401; check the name or log in with `hf auth login`$"
    with pytest.raises(InputError, match=told):
        publish(scored, "hub:me/other")
    assert "me/other" not in hub.repositories
