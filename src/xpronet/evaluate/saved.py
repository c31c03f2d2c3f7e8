"""Scorecards that were saved, side by side: only those that were measured alike say anything together."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from xpronet.errors import InputError
from xpronet.evaluate.bootstrap import Estimate
from xpronet.files import read_json

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
    """Say whether a path looks like a saved scorecard rather than predictions."""
    return path.suffix == ".json"


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
