"""The scorecard: every score with its interval, beside what one can score without looking at the image."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from xpronet.evaluation.calibration import Calibration
from xpronet.evaluation.field_f1 import FieldF1
from xpronet.evaluation.finding_f1 import FindingAgreement
from xpronet.evaluation.grounding import Grounding
from xpronet.evaluation.head_scores import HeadScores
from xpronet.evaluation.image_dependence import Probe
from xpronet.evaluation.intervals import Difference, Estimate

ORACLE_TITLE = "Scorecard with ORACLE LABELS"
SPEED = "studies per second"


@dataclass(frozen=True, kw_only=True)
class Row:
    """The scores of one set of reports: the model's, or a baseline's."""

    name: str
    """Whose reports."""
    how: str
    """How they were made."""
    scores: Mapping[str, Estimate]
    """Over all studies, by name; no language scores where there is no text."""
    abnormal: Mapping[str, Estimate]
    """Over the studies with an abnormal finding; empty where there is none."""


@dataclass(frozen=True, kw_only=True)
class Contradictions:
    """How often the generated and the reference report say opposite things of one finding, in words."""

    finding: str
    """Its name."""
    denied: int
    """Studies whose reference has it and whose generated report denies it."""
    invented: int
    """Studies whose reference denies it and whose generated report has it."""


@dataclass(frozen=True, kw_only=True)
class Lift:
    """What the model scores above the best constant, which was not chosen by the references that it is scored on."""

    constant: str
    """Which constant that is."""
    scores: Mapping[str, Difference]
    """Model minus constant."""
    abnormal: Mapping[str, Difference]
    """Model minus constant over the studies with an abnormal finding; empty where there is none."""


@dataclass(frozen=True, kw_only=True)
class Scorecard:
    """What a set of generated reports is worth, and how that was measured."""

    title: str
    """`ORACLE_TITLE` where the model was given labels read from the references."""
    stamp: Mapping[str, str]
    """How it was measured; scorecards with other stamps are not comparable."""
    studies: int
    """How many were scored."""
    abnormal_studies: int
    """How many of them have at least one of the thirteen abnormal findings."""
    model: Row
    """The scores of the generated reports."""
    baselines: tuple[Row, ...]
    """The scores of what needs no image."""
    language_lift: Lift | None
    """Language scores above the constant with the best BLEU-4; None where none could be chosen."""
    findings_lift: Lift | None
    """Macro-F1 scores above the constant with the best macro-F1; None where none could be chosen."""
    findings: tuple[FindingAgreement, ...]
    """Each finding of the generated reports against the truth."""
    contradictions: tuple[Contradictions, ...]
    """For each abnormal finding."""
    counts: Mapping[str, float]
    """Distinct and empty reports, mean words, shares of reports that stand verbatim in train."""
    warnings: tuple[str, ...]
    """What a reader must not miss, a sentence each."""
    calibration: Calibration | None = None
    """Whether the model's probabilities are frequencies, where the predictions have any."""
    head: HeadScores | None = None
    """What the model's findings are worth without its text, where the predictions have any."""
    grounding: Grounding | None = None
    """Whether the model looks where the findings are, where it was asked."""
    probe: Probe | None = None
    """What the image is worth to the model, where it was asked."""
    metrics: tuple[str, ...] = ()
    """Names of the scores that metrics beside the built-in ones gave."""
    field_f1: tuple[FieldF1, ...] = ()
    """F1 over 14, 13 and 5 findings as other papers print it."""
    summary: tuple[str, ...] = ()
    """Whether the model is better than one text for everybody, in plain words."""
    collapse: str | None = None
    """What shows that the reports hardly depend on the study; None where nothing does."""

    def to_dict(self) -> dict[str, Any]:
        """Return the scorecard as JSON values."""
        return asdict(self)

    def to_markdown(self) -> str:
        """Return the scorecard as a Markdown page."""
        from xpronet.evaluation.render import scorecard_markdown

        return scorecard_markdown(self)

    def _repr_html_(self) -> str:
        """Return the main tables for a notebook."""
        from xpronet.evaluation.render import scorecard_html

        return scorecard_html(self)
