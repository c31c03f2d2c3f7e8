"""Whether one set of predictions is better than another on the same studies; saved scorecards side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from xpronet.errors import InputError
from xpronet.evaluation.finding_f1 import FindingReader, rule_reader
from xpronet.evaluation.intervals import Difference, Estimate, compare
from xpronet.evaluation.measure import measure, yardstick
from xpronet.evaluation.metrics import Metric
from xpronet.evaluation.prediction_files import Prediction, same_studies
from xpronet.evaluation.scoring import measurement_stamp, report_set
from xpronet.evaluation.text_protocol import find_protocol
from xpronet.files import read_json, read_text
from xpronet.labels.findings import State


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A paired comparison of two sets of predictions."""

    names: tuple[str, str]
    """The two, as the user calls them."""
    stamp: Mapping[str, str]
    """How both were measured."""
    studies: int
    """How many were compared."""
    first: Mapping[str, float]
    """The scores of the first."""
    second: Mapping[str, float]
    """The scores of the second."""
    differences: Mapping[str, Difference]
    """First minus second."""
    abnormal: Mapping[str, Difference]
    """First minus second over the studies with an abnormal finding; empty where there is none."""
    warnings: tuple[str, ...]
    """What a reader must not miss, a sentence each."""
    metrics: tuple[str, ...] = ()
    """Names of the scores that metrics beside the built-in ones gave."""

    def record(self) -> dict[str, Any]:
        """Return the comparison as JSON values."""
        return asdict(self)


def compare_predictions(
    first: Sequence[Prediction],
    second: Sequence[Prediction],
    *,
    names: tuple[str, str],
    train_reports: Sequence[str] | None = None,
    protocol: str = "full-text",
    seed: int = 0,
    truth: Mapping[str, Mapping[str, State]] | None = None,
    with_meteor: bool = True,
    metrics: Sequence[Metric] = (),
    reader: FindingReader | None = None,
) -> Comparison:
    """Compare two sets of predictions study by study, under one protocol.

    Args:
        first: one prediction a study.
        second: the same studies in any order, with the same references.
        names: of both, for messages and tables.
        train_reports: as in `score`.
        protocol: as in `score`.
        seed: as in `score`.
        truth: as in `score`.
        with_meteor: as in `score`.
        metrics: as in `score`.
        reader: as in `score`.

    Raises:
        InputError: the two are not about the same studies, or have other references for them.
    """
    second = same_studies(first, second, names)
    against = yardstick(
        first,
        protocol=find_protocol(protocol),
        reader=reader or rule_reader(),
        train_reports=train_reports,
        table=truth,
    )
    sets = [report_set("first", first), report_set("second", second)]
    (one, two), meteor = measure(sets, against, with_meteor=with_meteor, metrics=metrics)
    pairs = tuple(zip(one.statistics, two.statistics, strict=True))
    differences: dict[str, Difference] = {}
    abnormal: dict[str, Difference] = {}
    for ours, theirs in pairs:
        differences |= compare(ours, theirs, seed=seed)
        if len(against.abnormal):
            abnormal |= compare(ours.subset(against.abnormal), theirs.subset(against.abnormal), seed=seed)
    return Comparison(
        names=names,
        stamp=measurement_stamp(against, meteor, seed),
        studies=len(first),
        first={name: value for ours, _ in pairs for name, value in ours.totals().items() if name in differences},
        second={name: value for _, theirs in pairs for name, value in theirs.totals().items() if name in differences},
        differences=differences,
        abnormal=abnormal,
        warnings=tuple(_warnings(first, second, names)),
        metrics=tuple(metric.name for metric in metrics),
    )


def _warnings(first: Sequence[Prediction], second: Sequence[Prediction], names: tuple[str, str]) -> list[str]:
    sources = [
        ", ".join(sorted({prediction.labels_from or "not stated" for prediction in predictions}))
        for predictions in (first, second)
    ]
    if sources[0] == sources[1]:
        return []
    return [f"Their labels come from different sources: {names[0]} {sources[0]}, {names[1]} {sources[1]}."]


ALIKE = (
    "corpus",
    "split",
    "protocol",
    "cleaning",
    "case",
    "truncation",
    "rare words",
    "findings",
    "METEOR",
    "intervals",
    "versions",
    "labels from",
)
"""What must be the same of two scorecards before their scores are held against each other."""


@dataclass(frozen=True, kw_only=True)
class SavedScorecard:
    """What a comparison needs of a scorecard's JSON file."""

    name: str
    """The file's name."""
    stamp: Mapping[str, str]
    """How it was measured."""
    studies: int
    """How many were scored."""
    scores: Mapping[str, Estimate]
    """Of the model, over all studies."""


@dataclass(frozen=True, kw_only=True)
class SideBySide:
    """Two saved scorecards and what sets them apart besides their scores."""

    first: SavedScorecard
    """The one to be judged."""
    second: SavedScorecard
    """The one to compare it with."""
    apart: tuple[str, ...]
    """Why their scores do not compare, a clause each; empty where they do."""


def is_scorecard(path: Path) -> bool:
    """Return whether a .json file holds a saved scorecard, which states how it was measured."""
    if path.suffix != ".json":
        return False
    if read_text(path).lstrip().startswith("["):
        return False
    try:
        record = read_json(path)
    except InputError:
        return False  # JSON lines, or nothing that anyone reads: whoever reads predictions says so
    return isinstance(record, dict) and "stamp" in record


def read_scorecard(path: Path) -> SavedScorecard:
    """Read what `xpronet evaluate --out` wrote.

    Raises:
        InputError: the file is missing or holds something else.
    """
    record = read_json(path)
    try:
        return SavedScorecard(
            name=path.name,
            stamp={str(name): str(value) for name, value in record["stamp"].items()},
            studies=int(record["studies"]),
            scores={
                name: Estimate(value=float(each["value"]), low=float(each["low"]), high=float(each["high"]))
                for name, each in record["model"]["scores"].items()
            },
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InputError(
            f"{path}: not a scorecard; make one with `xpronet evaluate PREDICTIONS --out {path}`"
        ) from None


def side_by_side(first: Path, second: Path, *, force: bool = False) -> SideBySide:
    """Put two saved scorecards beside each other.

    A saved scorecard has no scores of single studies, so there is no interval of the difference: for that, compare
    the predictions.

    Raises:
        InputError: they were measured differently and `force` is false; or a file is no scorecard.
    """
    one, other = read_scorecard(first), read_scorecard(second)
    apart = [
        f"{name} is {_told(one.stamp.get(name))} here and {_told(other.stamp.get(name))} there"
        for name in ALIKE
        if one.stamp.get(name) != other.stamp.get(name)
    ]
    if one.studies != other.studies:
        apart.insert(0, f"{one.studies} studies here and {other.studies} there")
    if apart and not force:
        more = f", and {len(apart) - 1} more" if len(apart) > 1 else ""
        raise InputError(
            f"{first} and {second}: not measured alike ({apart[0]}{more}); score both in the same way, or add --force "
            "to see them beside each other all the same"
        )
    return SideBySide(first=one, second=other, apart=tuple(apart))


def _told(value: str | None) -> str:
    return "not stated" if value is None else repr(value)
