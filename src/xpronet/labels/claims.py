"""What a report claims, word by word: which finding, in which state, named and changed by which of its words."""

from dataclasses import dataclass

from xpronet.labels.findings import State


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a report's text, in characters."""

    start: int
    """Its first character."""
    end: int
    """Behind its last."""

    def of(self, report: str) -> str:
        """Return the stretch."""
        return report[self.start : self.end]


@dataclass(frozen=True, slots=True)
class Claim:
    """What one mention says of one finding."""

    finding: str
    """Which of the thirteen abnormalities; or No Finding, where the words name something else that is not normal."""
    state: State
    """What is said; not mentioned where it is only asked about or known from before."""
    mention: tuple[Span, ...]
    """The words that name the finding, in order; words with other words between them are several spans."""
    cue: tuple[Span, ...]
    """The words that deny or doubt it; none where nothing does."""


@dataclass(frozen=True, slots=True)
class SentenceClaims:
    """A sentence, or an item of a list, with all it claims."""

    span: Span
    """Where it stands in the report."""
    claims: tuple[Claim, ...]
    """In reading order; one mention may claim two findings."""


@dataclass(frozen=True, slots=True)
class TokenClaim:
    """A claim of a text that is given as tokens."""

    finding: str
    """As in `Claim`."""
    state: State
    """What is said."""
    mention: tuple[int, ...]
    """The tokens that name the finding, in order."""
    cue: tuple[int, ...]
    """The tokens that deny or doubt it."""
