"""Clinical metrics that other packages compute: imported when they are asked for, with version and weights stated."""

import contextlib
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from xpronet.encoders.hub import HUB, hub_folder
from xpronet.errors import InputError

RADEVAL = "radeval:"
"""What the name of a metric of RadEval's collection begins with."""
LOWER_IS_BETTER = ("radcliq", "radcliq_v1")
"""RadEval's metrics that count errors."""
RADGRAPH_LEVELS = {"radgraph-simple": 0, "radgraph": 1, "radgraph-complete": 2}
"""RadGraph's three rewards; papers print the second, which asks whether an entity has a relation."""
BERT, BERT_LAYERS = "hub:distilbert/distilbert-base-uncased", 5
"""The model of ViLMedic's BERTScore, and the layer that bert_score takes from it."""
GREEN, CRIMSON = "hub:StanfordAIMI/GREEN-radllama2-7b", "hub:rajpurkarlab/medgemma-4b-it-crimson"
RATE_ENTITIES, RATE_SYNONYMS = "hub:Angelakeke/RaTE-NER-Deberta", "hub:FremyCompany/BioLORD-2023-C"


class PackageMetric:
    """A metric that a package computes for a list of references and a list of reports."""

    def __init__(
        self,
        *,
        name: str,
        citation: str,
        compute: Callable[[list[str], list[str]], Sequence[float]],
        higher_is_better: bool = True,
    ) -> None:
        """Keep what computes the scores.

        Args:
            name: what the score is called in tables.
            citation: the package with its version, the weights, and the paper.
            compute: returns a score for each reference and report.
            higher_is_better: whether a larger score is a better one.
        """
        self.name = name
        self.citation = citation
        self.higher_is_better = higher_is_better
        self._compute = compute
        self._scores: dict[tuple[str, str], float] = {}

    def score(self, references: Sequence[str], reports: Sequence[str]) -> list[float]:
        """Return one score a study; baselines repeat pairs, and each pair is computed once.

        Raises:
            InputError: the package fails for want of a file.
        """
        pairs = list(zip(references, reports, strict=True))
        new = [pair for pair in dict.fromkeys(pairs) if pair not in self._scores]
        if new:
            with _explained(self.name):
                values = self._compute([reference for reference, _ in new], [report for _, report in new])
            if len(values) != len(new):
                raise InputError(f"metric {self.name}: gives {len(values)} scores for {len(new)} pairs of texts")
            self._scores.update(zip(new, values, strict=True))
        return [self._scores[pair] for pair in pairs]


def make_package_metric(name: str, weights: str | None) -> PackageMetric:
    """Make a metric of another package.

    Args:
        name: radgraph, radgraph-simple, radgraph-complete, bertscore, ratescore, green, crimson, radeval:NAME or
            radeval:NAME/KEY, where KEY is one of several scores of NAME.
        weights: a local path, or "hub:owner/name"; the package's own if left out.

    Raises:
        InputError: there is no such metric, its package is not installed, or its weights are out of reach.
    """
    if name.startswith(RADEVAL):
        if weights is not None:
            raise InputError(f"metric {name}: RadEval chooses its weights; leave ={weights} away")
        return _radeval(name)
    base = "radgraph" if name in RADGRAPH_LEVELS else name
    if base not in _MAKERS:
        raise InputError(
            f"metric {name!r}: choose {', '.join(_MAKERS)}, {RADEVAL}NAME, or python:package.module:object"
        )
    return _MAKERS[base](name, weights)


def _radgraph(name: str, weights: str | None) -> PackageMetric:
    """RadGraph-F1 (Jain et al. 2021; Delbrouck et al. 2022); weights are the folder that has radgraph-xl/."""
    module = _imported(name, "radgraph", "radgraph")
    cache = None if weights is None else str(_local(name, weights))
    model = "radgraph-xl"
    if weights is not None and not (Path(weights) / model / "config.json").is_file():
        raise InputError(f"metric {name}: {weights} has no {model}/config.json; unpack RadGraph's archive there")
    with _explained(name):
        scorer = module.F1RadGraph(reward_level="all", model_type=model, model_cache_dir=cache)
    level = RADGRAPH_LEVELS[name]

    def compute(references: list[str], reports: list[str]) -> Sequence[float]:
        values: Sequence[float] = scorer(refs=references, hyps=reports)[1][level]
        return values

    reward = ("simple", "partial", "complete")[level]
    return PackageMetric(
        name=f"RadGraph-F1 ({reward})",
        citation=_citation("radgraph", f"{model}, {_shown(weights)}", "Delbrouck et al. 2022"),
        compute=compute,
    )


def _bertscore(name: str, weights: str | None) -> PackageMetric:
    """BERTScore (Zhang et al. 2020), F1, not rescaled, without word weights."""
    module = _imported(name, "bert_score", "bert-score")
    folder = _local(name, weights or BERT)
    with _explained(name):
        scorer = module.BERTScorer(model_type=str(folder), num_layers=BERT_LAYERS)

    def compute(references: list[str], reports: list[str]) -> Sequence[float]:
        values: Sequence[float] = scorer.score(reports, references)[2].tolist()
        return values

    told = f"{_shown(weights or BERT)}, layer {BERT_LAYERS}, F1, not rescaled"
    return PackageMetric(name="BERTScore", citation=_citation("bert-score", told, "Zhang et al. 2020"), compute=compute)


def _ratescore(name: str, weights: str | None) -> PackageMetric:
    """RaTEScore (Zhao et al. 2024); weights are a folder with entities/ and synonyms/, its two models."""
    module = _imported(name, "RaTEScore", "RaTEScore")
    entities, synonyms = RATE_ENTITIES, RATE_SYNONYMS
    if weights is not None:
        entities, synonyms = str(Path(weights) / "entities"), str(Path(weights) / "synonyms")
    folders = _local(name, entities), _local(name, synonyms)
    with _explained(name):
        scorer = module.RaTEScore(bert_model=str(folders[0]), eval_model=str(folders[1]), use_gpu=_has_gpu())

    def compute(references: list[str], reports: list[str]) -> Sequence[float]:
        values: Sequence[float] = scorer.compute_score(reports, references)
        return values

    told = f"{_shown(entities)} and {_shown(synonyms)}, long affinity matrix"
    return PackageMetric(name="RaTEScore", citation=_citation("RaTEScore", told, "Zhao et al. 2024"), compute=compute)


def _green(name: str, weights: str | None) -> PackageMetric:
    """GREEN (Ostmeier et al. 2024)."""
    module = _imported(name, "green_score", "green-score")
    folder = _local(name, weights or GREEN)
    with _explained(name):
        scorer = module.GREEN(str(folder), output_dir=tempfile.gettempdir())

    def compute(references: list[str], reports: list[str]) -> Sequence[float]:
        # It writes a table of all texts, which nobody asked for, into this folder.
        with tempfile.TemporaryDirectory(prefix="green") as scorer.output_dir:
            values: Sequence[float] = scorer(references, reports)[2]
        return values

    return PackageMetric(
        name="GREEN",
        citation=_citation("green-score", _shown(weights or GREEN), "Ostmeier et al. 2024"),
        compute=compute,
    )


def _crimson(name: str, weights: str | None) -> PackageMetric:
    """CRIMSON with its own weights on this machine; the interface that asks a paid service is not used."""
    module = _imported(name, "CRIMSON", "crimson-score")
    folder = _local(name, weights or CRIMSON)
    with _explained(name):
        scorer = module.CRIMSONScore(api="hf", model_name=str(folder), device="cuda" if _has_gpu() else "cpu")

    def compute(references: list[str], reports: list[str]) -> Sequence[float]:
        # Its weights have learned to answer without the guidelines.
        answers = scorer.evaluate_batch(references, reports, include_guidelines=False)
        return [answer["crimson_score"] for answer in answers]

    return PackageMetric(
        name="CRIMSON",
        citation=_citation("crimson-score", _shown(weights or CRIMSON), "CRIMSON, 2026"),
        compute=compute,
    )


def _radeval(name: str) -> PackageMetric:
    """A metric of RadEval (Xu et al. 2025) that has a score for each report."""
    module = _imported(name, "radeval", "radeval")
    metric, _, key = name.removeprefix(RADEVAL).partition("/")
    with _explained(name):
        try:
            scorer = module.RadEval(metrics=[metric], per_sample=True, show_progress=False)
        except ValueError as error:
            raise InputError(f"metric {name}: {' '.join(str(error).split())[:200]}") from None

    def compute(references: list[str], reports: list[str]) -> Sequence[float]:
        found: Mapping[str, Sequence[float]] = scorer(refs=references, hyps=reports)
        wanted = key or (next(iter(found)) if len(found) == 1 else "")
        if wanted not in found:
            raise InputError(f"metric {name}: RadEval gives {', '.join(found)}; name one as {RADEVAL}{metric}/KEY")
        return found[wanted]

    return PackageMetric(
        name=name,
        citation=_citation("radeval", "its own weights", "Xu et al. 2025"),
        compute=compute,
        higher_is_better=metric not in LOWER_IS_BETTER,
    )


_MAKERS: Mapping[str, Callable[[str, str | None], PackageMetric]] = {
    "radgraph": _radgraph,
    "bertscore": _bertscore,
    "ratescore": _ratescore,
    "green": _green,
    "crimson": _crimson,
}


def _imported(name: str, module: str, package: str) -> Any:
    try:
        with contextlib.redirect_stdout(sys.stderr):
            return import_module(module)
    except ImportError as error:
        raise InputError(
            f"metric {name}: needs the package {package}, which cannot be imported "
            f"({' '.join(str(error).split())[:120]}); pip install {package}"
        ) from None


def _local(name: str, weights: str) -> Path:
    """Return the folder of weights, fetched from the hub where they are named so."""
    if weights.startswith(HUB):
        return hub_folder(weights)
    folder = Path(weights)
    if not folder.is_dir():
        raise InputError(f"metric {name}: no weights at {folder}; give a folder or {HUB}owner/name")
    return folder


@contextlib.contextmanager
def _explained(name: str) -> Iterator[None]:
    """Keep a package's own messages out of the results, and tell in one line of weights that are missing."""
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except (OSError, ImportError) as error:
        raise InputError(
            f"metric {name}: cannot be computed ({' '.join(str(error).split())[:160]}); give its weights as NAME=PATH"
        ) from None


def _citation(package: str, weights: str, paper: str) -> str:
    try:
        number = version(package)
    except PackageNotFoundError:
        number = "of unknown version"
    return f"{paper}; {package} {number}, weights {weights}"


def _shown(weights: str | None) -> str:
    """Return weights as a scorecard names them: a folder without the place where it lies."""
    if weights is None:
        return "of the package"
    return weights if weights.startswith(HUB) else Path(weights).name


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()
