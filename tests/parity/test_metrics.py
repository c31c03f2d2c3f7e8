"""The scores of the published evaluation: golden figures beside the checkout, and a few fabricated pairs anywhere."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xpronet.evaluation.language import language_statistics
from xpronet.evaluation.meteor import Unavailable, find_java, meteor_statistics
from xpronet.evaluation.text_protocol import PROTOCOLS

PAIRS = (
    (
        "the heart is enlarged . small left pleural effusion .",
        "the heart is mildly enlarged . there is a small effusion on the left .",
    ),
    ("the lungs are clear . no pneumothorax .", "the lungs are clear . no pneumothorax ."),
    ("right basilar opacity may be atelectasis .", "the lungs are clear ."),
    (
        "no acute bony abnormality . the lungs are hyperexpanded .",
        "lungs are hyperinflated . no acute osseous abnormalities .",
    ),
    ("stable cardiac silhouette . no effusion .", ""),
    ("a catheter ends in the right atrium .", "the tip of the catheter is in the right atrium ||| . ."),
    ("the aorta is tortuous .", "the aorta is tortuous and the the the aorta is calcified . the aorta is tortuous ."),
)
# Computed once with pycocoevalcap 1.2's own classes.
FIGURES = {
    "BLEU-1": 0.5223880596936957,
    "BLEU-2": 0.40337455916789494,
    "BLEU-3": 0.32865874159444647,
    "BLEU-4": 0.27591948310303527,
    "ROUGE-L": 0.46282366535972247,
    "CIDEr": 2.280166809783728,
    "METEOR": 0.3196740659225967,
}
METEOR_OF_EACH = (
    0.37309757402673865,
    1.0,
    0.08366890800019197,
    0.3626003630355979,
    0.0,
    0.374714503332912,
    0.4238491513450369,
)

GOLDEN = Path(__file__).parents[3] / "shared" / "golden" / "official_metrics.json"

java = pytest.mark.skipif(find_java() is None, reason="no Java here for METEOR")


@pytest.fixture(scope="module")
def golden(shared: Path) -> Any:
    return json.loads((shared / "golden" / "official_metrics.json").read_text())


def sets_of_reports(golden: Any) -> dict[str, list[str]]:
    def each(texts: str | list[str]) -> list[str]:
        return [texts] * len(golden["refs"]) if isinstance(texts, str) else texts

    return {name: each(golden[name]) for name in golden["scores"]}


def test_ngram_scores_of_fabricated_pairs() -> None:
    references, reports = zip(*PAIRS, strict=True)
    scores = language_statistics(references, reports).totals()
    assert "METEOR" not in scores
    assert scores == pytest.approx({name: value for name, value in FIGURES.items() if name != "METEOR"}, abs=1e-12)


@pytest.fixture(scope="module")
def meteor() -> dict[str, np.ndarray]:
    """METEOR's statistics of the fabricated pairs, and of the golden sets where they are, from one Java process."""
    sets = {"fabricated": tuple(zip(*PAIRS, strict=True))}
    if GOLDEN.is_file():
        golden = json.loads(GOLDEN.read_text())
        sets |= {name: (golden["refs"], reports) for name, reports in sets_of_reports(golden).items()}
    references, reports = ([text for pair in sets.values() for text in pair[side]] for side in (0, 1))
    answer = meteor_statistics(references, reports)
    assert not isinstance(answer, Unavailable)
    ends = np.cumsum([len(pair[0]) for pair in sets.values()])[:-1]
    return dict(zip(sets, np.split(answer, ends), strict=True))


@java
def test_meteor_of_fabricated_pairs(meteor: dict[str, np.ndarray]) -> None:
    references, reports = zip(*PAIRS, strict=True)
    statistics = language_statistics(references, reports, meteor=meteor["fabricated"])
    assert statistics.totals() == pytest.approx(FIGURES, abs=1e-12)
    each = statistics.weighted(np.eye(len(PAIRS)))["METEOR"]
    assert each == pytest.approx(METEOR_OF_EACH, abs=1e-12)


def test_golden_ngram_scores(golden: Any) -> None:
    for name, reports in sets_of_reports(golden).items():
        scores = language_statistics(golden["refs"], reports).totals()
        published = {key.replace("_", "-"): value for key, value in golden["scores"][name].items() if key != "METEOR"}
        assert scores == pytest.approx(published, abs=1e-9), name


@java
def test_golden_meteor(golden: Any, meteor: dict[str, np.ndarray]) -> None:
    for name, reports in sets_of_reports(golden).items():
        scores = language_statistics(golden["refs"], reports, meteor=meteor[name]).totals()
        assert scores["METEOR"] == pytest.approx(golden["scores"][name]["METEOR"], abs=1e-6), name


def test_published_references_are_rebuilt_from_the_reports(golden: Any, shared: Path) -> None:
    corpus = json.loads((shared / "data" / "iu_xray" / "annotation.json").read_text())
    by_id = {study["id"]: study["report"] for study in corpus["test"]}
    train = [study["report"] for study in corpus["train"]]
    references = PROTOCOLS["published-iu"].references([by_id[study] for study in golden["ids"]], train)
    assert references == golden["refs"]


def test_published_protocol_leaves_published_outputs_alone(golden: Any) -> None:
    protocol = PROTOCOLS["published-iu"]
    assert protocol.reports(golden["refs"]) == golden["refs"]
    assert protocol.reports(golden["random_train"]) == golden["random_train"]
