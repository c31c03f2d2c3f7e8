"""Measure sets of reports against one set of references: the work that scorecards and comparisons share."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from jaxtyping import Float64, Int64

from xpronet.errors import InputError
from xpronet.evaluation.finding_f1 import FindingReader, Labels, finding_statistics
from xpronet.evaluation.intervals import StudyStatistics
from xpronet.evaluation.language import language_statistics, with_meteor_columns
from xpronet.evaluation.meteor import Unavailable, meteor_statistics
from xpronet.evaluation.metrics import Metric, metric_statistics
from xpronet.evaluation.ngrams import ReferenceNgrams
from xpronet.evaluation.prediction_files import Prediction
from xpronet.evaluation.text_protocol import TextProtocol
from xpronet.labels.findings import ABNORMALITIES, State
from xpronet.labels.label_tables import label_matrix


@dataclass(frozen=True, kw_only=True)
class ReportSet:
    """A report for each test study, or findings only, from a model or a baseline."""

    name: str
    """Whose they are."""
    how: str
    """How they were made, in a clause."""
    reports: tuple[str, ...] | None = None
    """One text a study, as written; None where there are findings only."""
    labels: Labels | None = field(default=None, repr=False)
    """The findings of each study, where there are no texts to read them from."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A set of reports with what each study adds to its scores."""

    name: str
    """As in `ReportSet`."""
    how: str
    """As in `ReportSet`."""
    language: StudyStatistics | None
    """For BLEU, ROUGE-L, CIDEr-D and METEOR; None where there are no texts."""
    clinical: StudyStatistics
    """For the F1 scores of findings."""
    outside: tuple[StudyStatistics, ...] = ()
    """For metrics beside the built-in ones, one each; none where there are no texts."""

    @property
    def statistics(self) -> tuple[StudyStatistics, ...]:
        """All of them, language first."""
        return (*(() if self.language is None else (self.language,)), self.clinical, *self.outside)


@dataclass(frozen=True, kw_only=True)
class Yardstick:
    """What reports are measured against."""

    ids: tuple[str, ...]
    """The studies."""
    references: tuple[str, ...]
    """The readers' texts, as written."""
    protocol: TextProtocol
    """The form in which texts are compared."""
    train_reports: Sequence[str] | None = None
    """As written; the published protocols take their vocabulary from them."""
    reader: FindingReader
    """Reads findings from all texts."""
    table: Mapping[str, Mapping[str, State]] | None = None
    """The true findings by study; None reads them from the references."""

    @cached_property
    def forms(self) -> list[str]:
        """The references in the form that is compared.

        Raises:
            InputError: a reference has no word left.
        """
        forms = self.protocol.references(self.references, self.train_reports)
        empty = [study for study, form in zip(self.ids, forms, strict=True) if not form.strip(" .")]
        if empty:
            raise InputError(
                f"study {empty[0]}: its reference has no word left ({len(empty)} such studies); leave them out"
            )
        return forms

    @cached_property
    def ngrams(self) -> ReferenceNgrams:
        """The n-grams of these forms, counted once for all sets of reports."""
        return ReferenceNgrams(self.forms)

    @cached_property
    def truth(self) -> Labels:
        """The findings that are there."""
        if self.table is None:
            return self.reader.labels(self.references)
        return label_matrix(self.table, self.ids, self.reader.uncertain)

    @cached_property
    def abnormal(self) -> Int64[np.ndarray, " chosen"]:
        """The positions of the studies with at least one of the thirteen abnormal findings."""
        return np.flatnonzero((self.truth[:, : len(ABNORMALITIES)] == 1).any(axis=1))

    def labels(self, reports: ReportSet) -> Labels:
        """Return the findings of a set of reports, read from the texts where there are any."""
        if reports.reports is not None:
            return self.reader.labels(reports.reports)
        assert reports.labels is not None
        return reports.labels


def yardstick(
    predictions: Sequence[Prediction],
    *,
    protocol: TextProtocol,
    reader: FindingReader,
    train_reports: Sequence[str] | None = None,
    table: Mapping[str, Mapping[str, State]] | None = None,
) -> Yardstick:
    """Return what the references of predictions measure against; see `Yardstick`."""
    return Yardstick(
        ids=tuple(prediction.id for prediction in predictions),
        references=tuple(prediction.reference for prediction in predictions),
        protocol=protocol,
        train_reports=train_reports,
        reader=reader,
        table=table,
    )


def measure(
    sets: Sequence[ReportSet], against: Yardstick, *, with_meteor: bool = True, metrics: Sequence[Metric] = ()
) -> tuple[list[Measured], str]:
    """Measure sets of reports, with one Java process for all of them or none.

    Returns:
        The sets in their order, and a clause on METEOR: its version, or why it is absent.
    """
    forms = {reports.name: against.protocol.reports(reports.reports) for reports in sets if reports.reports is not None}
    # Java needs seconds to start, and another processor core than this process does.
    with ThreadPoolExecutor(max_workers=1) as beside:
        waiting = beside.submit(_meteor, forms, against.forms) if with_meteor else None
        counted = {
            name: language_statistics(against.forms, texts, ngrams=against.ngrams) for name, texts in forms.items()
        }
        clinical = {reports.name: finding_statistics(against.truth, against.labels(reports)) for reports in sets}
        outside = {
            reports.name: tuple(metric_statistics(one, against.references, reports.reports) for one in metrics)
            for reports in sets
            if reports.reports is not None
        }
        meteor, clause = waiting.result() if waiting is not None else ({}, "left out")
    measured = [
        Measured(
            name=reports.name,
            how=reports.how,
            language=with_meteor_columns(counted[reports.name], meteor.get(reports.name))
            if reports.name in counted
            else None,
            clinical=clinical[reports.name],
            outside=outside.get(reports.name, ()),
        )
        for reports in sets
    ]
    return measured, clause


def _meteor(
    forms: Mapping[str, Sequence[str]], references: Sequence[str]
) -> tuple[dict[str, Float64[np.ndarray, "studies 23"]], str]:
    answer = meteor_statistics(
        [reference for _ in forms for reference in references], [text for texts in forms.values() for text in texts]
    )
    if isinstance(answer, Unavailable):
        return {}, f"unavailable: {answer.reason}"
    shares = np.split(answer, len(forms))
    return dict(zip(forms, shares, strict=True)), "1.5, English, from summed statistics"
