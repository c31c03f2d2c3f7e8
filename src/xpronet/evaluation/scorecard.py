"""The scorecard: every score with its interval, beside what one can score without looking at the image."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

import numpy as np

from xpronet import __version__
from xpronet.errors import InputError
from xpronet.evaluation.baselines import BEST_CONSTANT, BUILT_CONSTANT, FINDINGS_CONSTANT, make_baselines
from xpronet.evaluation.calibration import Calibration, calibration
from xpronet.evaluation.finding_f1 import (
    MAIN,
    FindingAgreement,
    FindingReader,
    Labels,
    agreement,
    present_labels,
    whole_numbers,
)
from xpronet.evaluation.grounding import Grounding
from xpronet.evaluation.image_dependence import Probe
from xpronet.evaluation.intervals import RESAMPLES, Difference, Estimate, compare, intervals
from xpronet.evaluation.measure import Measured, ReportSet, Yardstick, measure, yardstick
from xpronet.evaluation.metrics import Metric
from xpronet.evaluation.prediction_files import Prediction
from xpronet.evaluation.text_protocol import find_protocol
from xpronet.labels.findings import ABNORMALITIES, FINDINGS, State
from xpronet.labels.rules import RuleLabeler

MODEL = "model"
RETRIEVAL = "most similar train image"
ORACLE_TITLE = "Scorecard with ORACLE LABELS"
SPEED = "studies per second"
FEW = 30
"""Below so many studies an interval says little."""


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
    """What the model scores above the best constant that was chosen without looking at these references."""

    constant: str
    """Which constant that is."""
    scores: Mapping[str, Difference]
    """Model minus constant."""


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
    """Language scores above the constant with the best BLEU-4; None without train reports."""
    findings_lift: Lift | None
    """Macro-F1 scores above the constant with the best macro-F1; None without train reports."""
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
    grounding: Grounding | None = None
    """Whether the model looks where the findings are, where it was asked."""
    probe: Probe | None = None
    """What the image is worth to the model, where it was asked."""
    metrics: tuple[str, ...] = ()
    """Names of the scores that metrics beside the built-in ones gave."""

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


def score(
    predictions: Sequence[Prediction],
    *,
    train_reports: Sequence[str] | None = None,
    val: Sequence[str] | None = None,
    protocol: str = "full-text",
    seed: int = 0,
    truth: Mapping[str, Mapping[str, State]] | None = None,
    retrieved: Sequence[str] | None = None,
    grounding: Grounding | None = None,
    probe: Probe | None = None,
    speed: float | None = None,
    stamp: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
    with_meteor: bool = True,
    metrics: Sequence[Metric] = (),
) -> Scorecard:
    """Score generated reports against their references and beside baselines.

    Args:
        predictions: one a study.
        train_reports: of the corpus that the model learned from, as written; without them no constants.
        val: reports of the validation split, as written, which choose the constants.
        protocol: the name of the form in which texts are compared.
        seed: of resamples and random baselines.
        truth: the findings of each study, by id, where they shall not be read from the references.
        retrieved: the report of each study's most similar train image, from a caller who has image features.
        grounding: whether the model looks where the findings are, from a caller who has the model.
        probe: what the images are worth to the model, from a caller who has the model.
        speed: studies per second when the reports were written.
        stamp: what the caller knows of the predictions: file, split, corpus.
        notes: the caller's own warnings.
        with_meteor: start Java for METEOR, which takes some seconds.
        metrics: scored beside the built-in ones.

    Raises:
        InputError: there is no prediction, or a reference has no word left under the protocol.
    """
    if not predictions:
        raise InputError("no predictions to score; write some with `xpronet generate`")
    against = yardstick(
        predictions,
        protocol=find_protocol(protocol),
        reader=FindingReader(RuleLabeler().label),
        train_reports=train_reports,
        table=truth,
    )
    model = report_set(MODEL, predictions)
    sets = [model, *make_baselines(against, named=_named(predictions, against), val_reports=val, seed=seed)]
    if retrieved is not None:
        sets.append(ReportSet(name=RETRIEVAL, how="its report, by image features", reports=tuple(retrieved)))
    measured, meteor = measure(sets, against, with_meteor=with_meteor, metrics=metrics)
    rows = [measured_row(one, against, seed) for one in measured]
    language_lift = _lift(measured, (BEST_CONSTANT, BUILT_CONSTANT), seed, of_language=True)
    findings_lift = _lift(measured, (FINDINGS_CONSTANT,), seed, of_language=False)
    sources = sorted({prediction.labels_from or "not stated" for prediction in predictions})
    counts = _counts(model, against)
    if speed is not None:
        counts[SPEED] = speed
    said = against.labels(model)
    return Scorecard(
        title=ORACLE_TITLE if "reference" in sources else "Scorecard",
        stamp={
            **(stamp or {}),
            **measurement_stamp(against, meteor, seed),
            "labels from": ", ".join(sources),
            **_cited(metrics),
        },
        studies=len(predictions),
        abnormal_studies=len(against.abnormal),
        model=rows[0],
        baselines=tuple(rows[1:]),
        language_lift=language_lift,
        findings_lift=findings_lift,
        findings=agreement(whole_numbers(against.truth), whole_numbers(said), FINDINGS).per_finding,
        contradictions=_contradictions(predictions, against.reader),
        counts=counts,
        warnings=(
            *notes,
            *_warnings(language_lift, findings_lift, counts, sources),
            *(probe.warnings if probe is not None else ()),
        ),
        calibration=calibration(predictions, against.truth, seed=seed),
        grounding=grounding,
        probe=probe,
        metrics=tuple(one.name for one in metrics),
    )


def measured_row(one: Measured, against: Yardstick, seed: int) -> Row:
    """Return the scores of a set of reports with their intervals."""
    scores: dict[str, Estimate] = {}
    abnormal: dict[str, Estimate] = {}
    for part in one.statistics:
        scores |= intervals(part, seed=seed)
        if len(against.abnormal):
            abnormal |= intervals(part.subset(against.abnormal), seed=seed)
    return Row(name=one.name, how=one.how, scores=scores, abnormal=abnormal)


def report_set(name: str, predictions: Sequence[Prediction]) -> ReportSet:
    """Return the generated reports of predictions as a set to be measured."""
    return ReportSet(
        name=name, how="the generated reports", reports=tuple(prediction.report for prediction in predictions)
    )


def measurement_stamp(against: Yardstick, meteor: str, seed: int) -> dict[str, str]:
    """Return in words how scores were measured."""
    source = "reference reports" if against.table is None else "label table"
    return {
        **against.protocol.stamp(with_train=against.train_reports is not None),
        "findings": f"{source} against generated reports, read by rules, uncertain counts as present",
        "METEOR": meteor,
        "intervals": f"95 %, {RESAMPLES} resamples of studies, seed {seed}",
        "versions": f"xpronet {__version__}, pycocoevalcap {version('pycocoevalcap')}",
    }


def _cited(metrics: Sequence[Metric]) -> dict[str, str]:
    """Return where each metric is defined, and which way it points, by its name."""
    return {one.name: f"{one.citation}; {'higher' if one.higher_is_better else 'lower'} is better" for one in metrics}


def _lift(measured: Sequence[Measured], constants: Sequence[str], seed: int, *, of_language: bool) -> Lift | None:
    """Compare the first of the measured with the best of the constants, the hardest for the model to beat."""
    main = "BLEU-4" if of_language else MAIN
    parts = {one.name: one.language if of_language else one.clinical for one in measured}
    reached = {name: part.totals()[main] for name in constants if (part := parts.get(name)) is not None}
    reached = {name: value for name, value in reached.items() if not np.isnan(value)}
    model = parts[measured[0].name]
    # The score is undefined where neither side has any finding.
    if not reached or model is None or np.isnan(model.totals()[main]):
        return None
    constant = max(reached, key=lambda name: reached[name])
    other = parts[constant]
    assert other is not None
    differences = compare(model, other, seed=seed)
    return Lift(
        constant=constant,
        # A constant that names many findings is no rival in micro and example F1, which silence wins.
        scores={name: gain for name, gain in differences.items() if of_language or name.startswith("macro")},
    )


def _named(predictions: Sequence[Prediction], against: Yardstick) -> Labels:
    """Return the findings that the model itself named, or those read from its reports where it named none."""
    present = [prediction.present for prediction in predictions if prediction.present is not None]
    if len(present) == len(predictions):
        return present_labels(present)
    return against.reader.labels([prediction.report for prediction in predictions])


def _contradictions(predictions: Sequence[Prediction], reader: FindingReader) -> tuple[Contradictions, ...]:
    pairs = [(reader.states(prediction.reference), reader.states(prediction.report)) for prediction in predictions]
    present, absent = State.POSITIVE, State.NEGATIVE
    return tuple(
        Contradictions(
            finding=name,
            denied=sum(true[name] is present and said[name] is absent for true, said in pairs),
            invented=sum(true[name] is absent and said[name] is present for true, said in pairs),
        )
        for name in ABNORMALITIES
    )


def _counts(model: ReportSet, against: Yardstick) -> dict[str, float]:
    assert model.reports is not None
    forms = against.protocol.reports(model.reports)
    own_references = against.protocol.reports(against.references)
    counts = {
        "reports": float(len(forms)),
        "distinct reports": float(len(set(forms))),
        "distinct references": float(len(set(own_references))),
        "empty reports": float(sum(not form.strip(" .") for form in forms)),
        "mean words": float(np.mean([len(form.split()) for form in forms])),
        "mean reference words": float(np.mean([len(form.split()) for form in against.forms])),
    }
    if against.train_reports is not None:
        train = set(against.protocol.reports(against.train_reports))
        counts["verbatim in train"] = float(np.mean([form in train for form in forms]))
        counts["references verbatim in train"] = float(np.mean([form in train for form in own_references]))
    return counts


def _warnings(
    language: Lift | None, findings: Lift | None, counts: Mapping[str, float], sources: Sequence[str]
) -> list[str]:
    warnings = []
    if "reference" in sources:
        warnings.append(
            "The model was given findings read from the references: nobody has them when a report is to be written."
        )
    for lift, name, meaning in (
        (language, "BLEU-4", "one text for all studies scores as well"),
        (findings, MAIN, "one list of findings for all studies scores as well"),
    ):
        if lift is not None and lift.scores[name].low <= 0:
            gain = lift.scores[name]
            warnings.append(
                f"{name} is not above the constant's by more than the interval ({gain.value:+.3f}, "
                f"{gain.low:+.3f} to {gain.high:+.3f}): {meaning}."
            )
    if language is None:
        warnings.append("No train reports were given, so no constant stands beside the model: name the --corpus.")
    if counts["reports"] < FEW:
        warnings.append(f"Only {counts['reports']:.0f} studies were scored: intervals over so few say little.")
    if counts["distinct reports"] == 1 < counts["reports"]:
        warnings.append("All reports are one and the same text.")
    if counts["empty reports"]:
        warnings.append(f"{counts['empty reports']:.0f} reports are empty.")
    return warnings
