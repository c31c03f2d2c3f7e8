"""Whether one set of predictions is better than another on the same studies."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from xpronet.evaluate.bootstrap import Difference, compare
from xpronet.evaluate.clinical import FindingReader
from xpronet.evaluate.measure import measure, yardstick
from xpronet.evaluate.predictions import Prediction, same_studies
from xpronet.evaluate.protocol import find_protocol
from xpronet.evaluate.scorecard import measurement_stamp, report_set
from xpronet.labels.findings import State
from xpronet.labels.rules import RuleLabeler


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

    Raises:
        InputError: the two are not about the same studies, or have other references for them.
    """
    second = same_studies(first, second, names)
    against = yardstick(
        first,
        protocol=find_protocol(protocol),
        reader=FindingReader(RuleLabeler().label),
        train_reports=train_reports,
        table=truth,
    )
    sets = [report_set("first", first), report_set("second", second)]
    (one, two), meteor = measure(sets, against, with_meteor=with_meteor)
    assert one.language is not None
    assert two.language is not None
    pairs = ((one.language, two.language), (one.clinical, two.clinical))
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
    )


def _warnings(first: Sequence[Prediction], second: Sequence[Prediction], names: tuple[str, str]) -> list[str]:
    sources = [
        ", ".join(sorted({prediction.labels_from or "not stated" for prediction in predictions}))
        for predictions in (first, second)
    ]
    if sources[0] == sources[1]:
        return []
    return [f"Their labels come from different sources: {names[0]} {sources[0]}, {names[1]} {sources[1]}."]
