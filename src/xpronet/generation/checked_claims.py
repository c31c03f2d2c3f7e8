"""What a sentence of a report claims beside what the model sees, and what the report leaves out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Verdict = Literal["supported", "doubtful", "contradicted", "untestable"]

SUPPORTED = 0.9
"""Probability from which on a sentence counts as supported."""
CONTRADICTED = 0.5
"""Probability below which it is more likely wrong than right."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """The region that speaks most for a finding."""

    view: int
    """Which of the study's views, from 1."""
    row: int
    """Row of the region, from 0 at the top."""
    column: int
    """Column of the region, from 0 at the left of the image."""
    rows: int
    """Rows of a view's regions; as many columns."""

    @property
    def words(self) -> str:
        """Return where it is: the third of the image, as it is looked at."""
        height = ("upper", "middle", "lower")[3 * self.row // self.rows]
        side = ("left", "centre", "right")[3 * self.column // self.rows]
        return f"view {self.view}, {height} {side} of the image"


@dataclass(frozen=True, kw_only=True)
class CheckedClaim:
    """What a sentence says of one finding, beside what the model sees."""

    finding: str
    """One of the thirteen abnormalities."""
    affirmed: bool
    """Whether the sentence says, surely or perhaps, that it is there; else it denies it."""
    probability: float
    """That the claim is right."""
    head: float
    """The findings head's probability that the finding is there."""
    place: Place | None = None
    """Where the head sees most of an affirmed finding."""
    prototypes: float | None = None
    """The share of the finding's own prototypes in the words that name it; None without evidence for words."""

    @property
    def reason(self) -> str:
        """Return the claim beside the head's word, in a line."""
        said = "affirmed" if self.affirmed else "denied"
        return f"{self.finding} {said}; seen with probability {self.head:.2f}"


@dataclass(frozen=True, kw_only=True)
class CheckedSentence:
    """One sentence of a report with its claims."""

    start: int
    """Its first character in the report."""
    end: int
    """Behind its last."""
    claims: tuple[CheckedClaim, ...]
    """Of each finding that it names."""
    probability: float | None
    """That all its claims are right; None where it has none."""
    words: float
    """Mean log-probability of its words."""
    vouched: bool | None = None
    """Whether the guarantee that was asked for covers it; None where none was, or where it claims nothing."""

    @property
    def verdict(self) -> Verdict:
        """Return what comes of the comparison."""
        if self.probability is None:
            return "untestable"
        if self.probability < CONTRADICTED:
            return "contradicted"
        return "supported" if self.probability >= SUPPORTED else "doubtful"

    @property
    def doubted(self) -> bool:
        """Return whether a reader should doubt it: it is not covered by the guarantee, or without one not supported."""
        return self.verdict in ("doubtful", "contradicted") if self.vouched is None else not self.vouched

    @property
    def reason(self) -> str:
        """Return why the verdict is what it is, in a line."""
        return "; ".join(claim.reason for claim in self.claims) or "claims nothing about a finding"

    def record(self) -> dict[str, Any]:
        """Return it as JSON values."""
        record: dict[str, Any] = {
            "start": self.start,
            "end": self.end,
            "verdict": self.verdict,
            "probability": None if self.probability is None else round(self.probability, 6),
            "words": round(self.words, 6),
            "claims": [_claim_record(claim) for claim in self.claims],
        }
        if self.vouched is not None:
            record["vouched"] = self.vouched
        return record

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "CheckedSentence":
        """Return what `record` gave."""
        return cls(
            start=record["start"],
            end=record["end"],
            claims=tuple(_claim(claim) for claim in record["claims"]),
            probability=record["probability"],
            words=record["words"],
            vouched=record.get("vouched"),
        )


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A finding that the head sees and the report does not affirm."""

    finding: str
    """One of the thirteen abnormalities."""
    probability: float
    """The head's, that it is there."""
    denied: bool
    """Whether the report denies it; else it does not mention it."""
    place: Place | None
    """Where the head sees most of it."""

    @property
    def line(self) -> str:
        """Return it in a line."""
        where = f", {self.place.words}" if self.place is not None else ""
        denied = ", denied in the text" if self.denied else ""
        return f"{self.finding} ({self.probability:.2f}{where}){denied}"

    def record(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "finding": self.finding,
            "probability": self.probability,
            "denied": self.denied,
            "place": None if self.place is None else vars(self.place),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "LeftOut":
        """Return what `record` gave."""
        return cls(**{**record, "place": _place(record["place"])})


def _claim_record(claim: CheckedClaim) -> dict[str, Any]:
    return {
        "finding": claim.finding,
        "affirmed": claim.affirmed,
        "probability": round(claim.probability, 6),
        "head": round(claim.head, 6),
        "place": None if claim.place is None else vars(claim.place),
        "prototypes": None if claim.prototypes is None else round(claim.prototypes, 5),
    }


def _claim(record: Mapping[str, Any]) -> CheckedClaim:
    return CheckedClaim(**{**record, "place": _place(record["place"])})


def _place(record: Mapping[str, int] | None) -> Place | None:
    return None if record is None else Place(**record)
