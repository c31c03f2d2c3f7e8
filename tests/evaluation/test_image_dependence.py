"""A model that reads images loses without them; one that does not is told so."""

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from xpronet.cli import run
from xpronet.data.corpus import Corpus
from xpronet.data.study import Study, View
from xpronet.errors import InputError
from xpronet.evaluation.finding_f1 import MAIN, FindingReader
from xpronet.evaluation.image_dependence import MIRRORED, SHUFFLED, exchanged, mirror, probe
from xpronet.evaluation.inputs import gather_inputs
from xpronet.evaluation.measure import Yardstick, yardstick
from xpronet.evaluation.prediction_files import Prediction
from xpronet.evaluation.retrieval import most_similar_reports, study_features
from xpronet.evaluation.text_protocol import find_protocol
from xpronet.generation.predictions import Alteration
from xpronet.labels.rules import RuleLabeler

Reports = Callable[[int, int], list[str]]


def _study(number: int, report: str) -> Study:
    return Study(id=f"s{number}", split="test", views=(View(path=f"{number}.png", width=2, height=1),), report=report)


def test_no_study_keeps_its_own_pictures() -> None:
    studies = [_study(number, "") for number in range(7)]
    for seed in range(20):
        others = exchanged(studies, seed)
        assert [study.id for study in others] == [study.id for study in studies]
        assert sorted(study.views[0].path for study in others) == sorted(study.views[0].path for study in studies)
        assert all(study.views != other.views for study, other in zip(studies, others, strict=True))


@pytest.fixture(scope="module")
def written(tiny_run: Path, phantom_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("probe") / "predictions.jsonl"
    assert run(["generate", str(tiny_run), "--corpus", str(phantom_folder), "--out", str(path)]) == 0
    return path


def test_a_poor_model_is_told_that_it_does_not_look(written: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = written.with_name("card.json")
    assert run(["evaluate", str(written), "--probe", "--skip-meteor", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "This model does not use the image" in printed
    assert "studies a second" in printed
    page = out.with_suffix(".md").read_text()
    record = json.loads(out.read_text())
    assert [row["name"] for row in record["probe"]["altered"]] == ["unchanged", "shuffled", "blank", "mirrored"]
    assert record["probe"]["same"] == 1.0
    assert record["counts"]["studies per second"] > 0
    for name in ("What the image is worth: 8 studies", "most similar train image", "mirrored"):
        assert name in page
    assert record["probe"]["altered"][0]["scores"]["BLEU-4"] == record["model"]["scores"]["BLEU-4"]


def test_shuffled_reports_are_those_of_the_other_studies(written: Path) -> None:
    inputs = gather_inputs(written, needs_model=True)
    assert inputs.source is not None
    source = inputs.source
    own = {study.views: prediction.report for study, prediction in zip(source.studies, inputs.predictions, strict=True)}
    others = exchanged(source.studies, 0)
    assert list(source.reports(others)) == [own[study.views] for study in others]


def test_the_model_must_be_the_one_that_wrote(
    written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = tmp_path / "alone.jsonl"
    alone.write_bytes(written.read_bytes())
    record = json.loads(written.with_suffix(".run.json").read_text())
    other = tmp_path / "other.jsonl"
    other.write_bytes(written.read_bytes())
    home = written.parent
    record |= {name: str((home / record[name]).resolve()) for name in ("run", "corpus")}
    other.with_suffix(".run.json").write_text(json.dumps(record | {"model": "0" * 16}))
    gone = tmp_path / "gone.jsonl"
    gone.write_bytes(written.read_bytes())
    gone.with_suffix(".run.json").write_text(json.dumps(record | {"corpus": "nowhere"}))
    cases = {
        (str(alone), "--probe"): "name --run and --corpus",
        (str(other), "--probe"): "other weights",
        (str(gone), "--probe"): "name --run and --corpus",
        (str(written), "--probe", "--probe-studies", "1"): "two studies",
        (str(written), "--probe", "--run", str(tmp_path)): "neither a checkpoint",
    }
    for arguments, complaint in cases.items():
        assert run(["evaluate", *arguments, "--skip-meteor"]) == 2, arguments
        message = capsys.readouterr().err.splitlines()[-1]
        assert complaint in message, arguments
    # Without the probe the card is made, and says what is missing.
    assert run(["evaluate", str(other), "--skip-meteor"]) == 0
    assert "No most similar train image" in " ".join(capsys.readouterr().out.split())
    assert run(["evaluate", str(gone), "--skip-meteor"]) == 0
    assert "name the --corpus" in " ".join(capsys.readouterr().out.split())


def test_retrieval_finds_the_same_picture_but_not_the_same_study(written: Path) -> None:
    inputs = gather_inputs(written, needs_model=True)
    assert inputs.source is not None
    source = inputs.source
    train = source.corpus.split("train")
    assert set(most_similar_reports(source)) <= {study.report for study in train}
    # A train study with the images of a test study is its nearest; a study is never its own nearest.
    twin = train[3]
    asked = dataclasses.replace(source, studies=(twin,))
    features = study_features(source, source.corpus, train, batch=8)
    likeness = features @ features[3]
    likeness[3] = -np.inf
    assert most_similar_reports(asked) == (train[int(likeness.argmax())].report,)
    assert np.linalg.norm(features, axis=1) == pytest.approx(1.0, abs=1e-5)


def test_a_model_that_looks_is_seen_to_look(reports_of: Reports) -> None:
    """A reader who tells each image's report from its number, and the side from its columns."""
    sided = [text.replace("right", "left") for text in reports_of(60, 1)]
    studies = [_study(number, text) for number, text in enumerate(sided)]

    def read(studies: Sequence[Study], altered: Alteration | None) -> list[str]:
        numbers = [int(study.views[0].path.removesuffix(".png")) for study in studies]
        pictures = torch.tensor([[[[number, 255]]] for number in numbers], dtype=torch.uint8)
        seen = (pictures if altered is None else altered(pictures)).flatten(1).tolist()
        return [
            "The lungs are clear."
            if one == other
            else sided[min(one, other)].replace("left", "left" if one < other else "right")
            for one, other in seen
        ]

    predictions = [Prediction(id=study.id, report=study.report, reference=study.report) for study in studies]
    against = _yardstick(predictions)
    found = probe(read, studies, against, sided)
    shuffled, blank, mirrored = found.altered[1:]
    assert found.warnings == ()
    assert found.same == 1.0
    assert shuffled.lost[MAIN].low > 0.3
    assert shuffled.lost["BLEU-4"].low > 0
    assert blank.scores[MAIN].value == 0.0
    assert found.chance is not None
    assert found.chance.low <= shuffled.scores[MAIN].value <= found.chance.high
    assert mirrored.lost[MAIN].value == 0.0  # the fourteen findings have no side
    assert found.sides.followed is not None
    assert (found.sides.followed.value, found.sides.studies) == (1.0, sum("left" in text for text in sided))
    few = probe(read, studies, against, ["another report"] * 60, limit=10, seed=2)
    assert few.studies == 10
    assert "Asked again" in few.warnings[-1]
    assert [row.name for row in few.altered][1::2] == [SHUFFLED, MIRRORED]


def _yardstick(predictions: Sequence[Prediction]) -> Yardstick:
    reader = FindingReader(RuleLabeler())
    return yardstick(predictions, protocol=find_protocol("full-text"), reader=reader)


def test_mirroring_exchanges_columns_only() -> None:
    picture = torch.arange(6, dtype=torch.uint8).reshape(1, 1, 2, 3)
    assert mirror(picture).flatten().tolist() == [2, 1, 0, 5, 4, 3]


def test_one_study_cannot_be_shuffled(phantom: Corpus) -> None:
    with pytest.raises(InputError, match="two studies or more"):
        probe(
            lambda studies, altered: [],
            phantom.studies[:1],
            _yardstick([Prediction(id="a", report="a", reference="a")]),
            ["a"],
        )
