"""The alarm: signs that a model writes nearly the same report about every study, or misses what is abnormal."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from xpronet.evaluation.finding_f1 import FindingReader
from xpronet.evaluation.measure import ReportSet, Yardstick
from xpronet.labels.findings import ABNORMALITIES, State

FEWEST_STUDIES = 10
"""Below so many studies, or cases, nothing is concluded."""
COMMONEST_SHARE = 0.2
"""A report given to this share of the studies is an alarm, where references repeat less than a third as much."""
DISTINCT_SHARE = 0.1
"""So few distinct reports for each distinct reference are an alarm."""
NORMAL_SHARE = 0.8
"""This share of abnormal studies whose reports name no abnormal finding is an alarm."""
DENIED_SHARE = 0.25
"""This share of the references' findings denied in words is an alarm."""


@dataclass(frozen=True, kw_only=True)
class CollapseSigns:
    """What is counted to tell whether a model has collapsed."""

    studies: int
    """How many reports there are."""
    distinct: int
    """How many of them differ, in the form that is compared."""
    distinct_references: int
    """How many references differ."""
    commonest: int
    """How many studies have the commonest report."""
    commonest_reference: int
    """How many studies have the commonest reference."""
    abnormal: int
    """Studies with an abnormal finding."""
    called_normal: int
    """Those of them whose report names no abnormal finding."""
    affirmed: int
    """Findings that references affirm, over all studies."""
    denied: int
    """Those of them that the report of the same study denies in words."""

    @property
    def alarming(self) -> bool:
        """Whether one of the signs is beyond its limit."""
        return self.alike or self.blind

    @property
    def alike(self) -> bool:
        """Whether the reports hardly differ from study to study."""
        if self.studies < FEWEST_STUDIES:
            return False
        same = self.commonest >= COMMONEST_SHARE * self.studies and self.commonest > 3 * self.commonest_reference
        return same or self.distinct <= DISTINCT_SHARE * self.distinct_references

    @property
    def blind(self) -> bool:
        """Whether abnormal studies are described as normal, or what is there is denied: in various words, perhaps."""
        if self.studies < FEWEST_STUDIES:
            return False
        normal = self.abnormal >= FEWEST_STUDIES and self.called_normal >= NORMAL_SHARE * self.abnormal
        return normal or (self.affirmed >= FEWEST_STUDIES and self.denied >= DENIED_SHARE * self.affirmed)

    def paragraph(self) -> str:
        """Return the signs in words."""
        if self.alike:
            title = "COLLAPSE: the reports depend little on the study" + (", and miss what is abnormal" * self.blind)
        else:
            title = "FINDINGS MISSED: the reports differ, but not with what is abnormal"
        return (
            f"{title}. {self.distinct} distinct reports for {self.studies} studies "
            f"(references: {self.distinct_references}); "
            f"the commonest is given to {self.commonest / self.studies:.0%} of the studies (references: "
            f"{self.commonest_reference / self.studies:.0%}); {self.called_normal} of {self.abnormal} abnormal studies "
            f"are described without any abnormal finding; {self.denied} of {self.affirmed} findings that the "
            "references affirm are denied in words."
        )


def collapse_signs(model: ReportSet, against: Yardstick) -> CollapseSigns:
    """Count the signs in the generated reports."""
    assert model.reports is not None
    reports = Counter(against.protocol.reports(model.reports))
    references = Counter(against.protocol.reports(against.references))
    named = (against.labels(model)[:, : len(ABNORMALITIES)] == 1).any(axis=1)
    affirmed, denied = _denials(against.references, model.reports, against.reader)
    return CollapseSigns(
        studies=len(model.reports),
        distinct=len(reports),
        distinct_references=len(references),
        commonest=max(reports.values()),
        commonest_reference=max(references.values()),
        abnormal=len(against.abnormal),
        called_normal=int((~named[against.abnormal]).sum()),
        affirmed=affirmed,
        denied=denied,
    )


def _denials(references: Sequence[str], reports: Sequence[str], reader: FindingReader) -> tuple[int, int]:
    affirmed = denied = 0
    for reference, report in zip(references, reports, strict=True):
        true, said = reader.states(reference), reader.states(report)
        present = [name for name in ABNORMALITIES if true[name] is State.POSITIVE]
        affirmed += len(present)
        denied += sum(said[name] is State.NEGATIVE for name in present)
    return affirmed, denied
