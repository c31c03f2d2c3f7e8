"""The adapters of other packages' metrics: against stubs with the packages' interfaces, and the packages themselves."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from xpronet.cli import run
from xpronet.errors import InputError
from xpronet.evaluation.metrics import make_metric
from xpronet.evaluation.package_metrics import make_package_metric

REFERENCES = ("small left effusion", "lungs are clear")
REPORTS = ("left effusion", "lungs are clear")
OVERLAP = (0.8, 1.0)
"""Worked out by hand: F1 of the words, 2 * 2 / (2 + 3), and of equal texts."""


def overlap(reference: str, report: str) -> float:
    theirs, ours = set(reference.split()), set(report.split())
    return 2 * len(theirs & ours) / (len(theirs) + len(ours))


class F1RadGraph:
    """As in radgraph 0.1: means, lists for the three rewards, and annotations of both sides."""

    def __init__(self, reward_level: str, model_type: str, model_cache_dir: str | None = None) -> None:
        assert (reward_level, model_type) == ("all", "radgraph-xl")
        print("Using device: cpu")

    def __call__(self, refs: list[str], hyps: list[str]) -> tuple[Any, ...]:
        partial = [overlap(*pair) for pair in zip(refs, hyps, strict=True)]
        rewards = ([1.0] * len(refs), partial, [0.0] * len(refs))
        return tuple(np.mean(one) for one in rewards), rewards, [], []


class BERTScorer:
    """As in bert_score 0.3: precision, recall and F1 as tensors, candidates first."""

    def __init__(self, model_type: str, num_layers: int) -> None:
        assert (Path(model_type).name, num_layers) == ("weights", 5)

    def score(self, cands: list[str], refs: list[str]) -> tuple[Any, ...]:
        return None, None, np.array([overlap(*pair) for pair in zip(refs, cands, strict=True)])


class RaTEScore:
    """As in RaTEScore 0.6."""

    def __init__(self, bert_model: str, eval_model: str, use_gpu: bool) -> None:
        assert [Path(one).name for one in (bert_model, eval_model)] == ["entities", "synonyms"]

    def compute_score(self, candidate_list: list[str], reference_list: list[str]) -> list[float]:
        return [overlap(*pair) for pair in zip(reference_list, candidate_list, strict=True)]


class GREEN:
    """As in green_score: mean, deviation, scores, a summary and a table."""

    def __init__(self, model_name: str, output_dir: str) -> None:
        assert Path(output_dir).is_dir()

    def __call__(self, refs: list[str], hyps: list[str]) -> tuple[Any, ...]:
        return 0.9, 0.1, [overlap(*pair) for pair in zip(refs, hyps, strict=True)], "", None


class CRIMSONScore:
    """As in crimson-score 0.2."""

    def __init__(self, api: str, model_name: str, device: str) -> None:
        assert api == "hf"

    def evaluate_batch(self, references: list[str], predictions: list[str], include_guidelines: bool) -> list[Any]:
        return [{"crimson_score": overlap(*pair)} for pair in zip(references, predictions, strict=True)]


class RadEval:
    """As in radeval 2.2, with one metric of one score, one of two, and one that lacks its weights."""

    def __init__(self, metrics: list[str], per_sample: bool, show_progress: bool) -> None:
        assert per_sample
        if metrics[0] not in ("bleu", "rouge", "radcliq", "srrbert"):
            raise ValueError(f"Unknown metric '{metrics[0]}'. Available: ['bleu', 'rouge']")
        self.metric = metrics[0]

    def __call__(self, refs: list[str], hyps: list[str]) -> dict[str, list[float]]:
        if self.metric == "srrbert":
            raise OSError("no such file:\n model.safetensors")
        scores = [overlap(*pair) for pair in zip(refs, hyps, strict=True)]
        return {"rouge1": scores, "rougeL": scores} if self.metric == "rouge" else {self.metric: scores}


STUBS = {
    "radgraph": F1RadGraph,
    "bert_score": BERTScorer,
    "RaTEScore": RaTEScore,
    "green_score": GREEN,
    "CRIMSON": CRIMSONScore,
    "radeval": RadEval,
}


@pytest.fixture
def stubs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Put the stubs in the packages' places; return a folder that passes for anybody's weights."""
    for name, kind in STUBS.items():
        module = ModuleType(name)
        setattr(module, kind.__name__, kind)
        monkeypatch.setitem(sys.modules, name, module)
    for part in ("radgraph-xl", "entities", "synonyms"):
        (tmp_path / "weights" / part).mkdir(parents=True)
    (tmp_path / "weights" / "radgraph-xl" / "config.json").write_text("{}")
    return tmp_path / "weights"


@pytest.mark.parametrize(
    ("name", "shown", "stated"),
    [
        ("radgraph", "RadGraph-F1 (partial)", "radgraph of unknown version, weights radgraph-xl, weights"),
        ("bertscore", "BERTScore", "weights weights, layer 5, F1, not rescaled"),
        ("ratescore", "RaTEScore", "entities and synonyms"),
        ("green", "GREEN", "Ostmeier et al. 2024; green-score"),
        ("crimson", "CRIMSON", "crimson-score"),
    ],
)
def test_scores_of_a_package_are_those_of_its_interface(
    name: str, shown: str, stated: str, stubs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metric = make_metric(f"{name}={stubs}")
    assert metric.score(REFERENCES, REPORTS) == pytest.approx(OVERLAP)
    assert metric.name == shown
    assert stated in metric.citation
    assert str(stubs) not in metric.citation
    assert metric.higher_is_better
    assert capsys.readouterr().out == ""


def test_radeval_has_a_name_for_each_of_its_scores(stubs: Path) -> None:
    assert make_metric("radeval:bleu").score(REFERENCES, REPORTS) == pytest.approx(OVERLAP)
    assert make_metric("radeval:rouge/rougeL").score(REFERENCES, REPORTS) == pytest.approx(OVERLAP)
    assert not make_metric("radeval:radcliq").higher_is_better
    with pytest.raises(InputError, match=r"gives rouge1, rougeL; name one as radeval:rouge/KEY"):
        make_metric("radeval:rouge").score(REFERENCES, REPORTS)
    with pytest.raises(InputError, match="Unknown metric 'mine'"):
        make_metric("radeval:mine")
    with pytest.raises(InputError, match=r"radeval:srrbert: cannot be computed \(no such file: model.safetensors\)"):
        make_metric("radeval:srrbert").score(REFERENCES, REPORTS)


def test_a_pair_of_texts_is_computed_once(stubs: Path) -> None:
    metric = make_package_metric("radgraph-simple", str(stubs))
    asked: list[int] = []
    compute: Callable[..., Any] = metric._compute
    metric._compute = lambda refs, hyps: asked.append(len(refs)) or compute(refs, hyps)
    assert metric.score(REFERENCES * 2, REPORTS * 2) == [1.0] * 4
    metric.score(REFERENCES, REPORTS)
    assert asked == [2]


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("rouge", "choose radgraph, bertscore, ratescore, green, crimson, radeval:NAME"),
        ("bertscore=/nowhere", "no weights at /nowhere"),
        ("radgraph=.", "has no radgraph-xl/config.json"),
        ("radeval:bleu=x", "RadEval chooses its weights"),
    ],
)
def test_wrong_names_and_absent_weights_take_one_line(name: str, complaint: str, stubs: Path) -> None:
    with pytest.raises(InputError) as caught:
        make_metric(name)
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_absent_package_takes_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "green_score", None)
    path = tmp_path / "a.csv"
    path.write_text("id,report,reference\n1,Clear.,Is clear.\n")
    assert run(["evaluate", str(path), "--metric", "green", "--skip-meteor"]) == 2
    message = capsys.readouterr().err
    assert "metric green: needs the package green-score" in message
    assert message.count("\n") == 1


def real(module: str, *names: str) -> SimpleNamespace:
    """Return the package's metrics by name, or skip where it or its weights are not at hand."""
    pytest.importorskip(module, exc_type=ImportError)
    try:
        return SimpleNamespace(**{name.replace(":", "_").replace("/", "_"): make_metric(name) for name in names})
    except InputError as error:
        pytest.skip(str(error))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("radgraph", "radgraph"),
        ("bert_score", "bertscore"),
        ("RaTEScore", "ratescore"),
        ("green_score", "green"),
        ("CRIMSON", "crimson"),
    ],
)
def test_the_real_package_prefers_what_is_said(module: str, name: str) -> None:
    metric = getattr(real(module, name), name)
    same, other = metric.score(["Small left pleural effusion."] * 2, ["Small left pleural effusion.", "Clear lungs."])
    assert same == pytest.approx(1.0, abs=1e-3)
    assert same > other


@pytest.mark.slow
def test_the_real_radeval_has_our_bleu() -> None:
    from xpronet.evaluation.language import language_statistics

    real("radeval", "radeval:bleu")
    from radeval import RadEval

    references = ["the heart is mildly enlarged .", "no effusion or pneumothorax is seen today .", "lungs are clear ."]
    reports = ["the heart is enlarged .", "no effusion or pneumothorax is seen .", "clear lungs ."]
    theirs = RadEval(metrics=["bleu"], show_progress=False, detailed=True)(refs=references, hyps=reports)
    ours = language_statistics(references, reports).totals()
    # RadEval rounds to four decimals.
    assert [round(ours[f"BLEU-{order}"], 4) for order in (1, 2, 3, 4)] == [
        *(theirs[f"bleu_{order}"] for order in (1, 2, 3)),
        theirs["bleu"],
    ]
