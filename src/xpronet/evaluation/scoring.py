"""From predictions to a scorecard: baselines, scores with intervals, warnings and the summary."""

from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from xpronet import __version__
from xpronet.errors import InputError
from xpronet.evaluation.baselines import (
    BEST_CONSTANT,
    BUILT_CONSTANT,
    FINDINGS_CONSTANT,
    SHUFFLED,
    constants_clause,
    make_baselines,
)
from xpronet.evaluation.calibration import calibration
from xpronet.evaluation.collapse import collapse_signs
from xpronet.evaluation.field_f1 import field_f1
from xpronet.evaluation.finding_f1 import (
    MAIN,
    FindingReader,
    Labels,
    agreement,
    present_labels,
    rule_reader,
    whole_numbers,
)
from xpronet.evaluation.grounding import Grounding
from xpronet.evaluation.head_scores import head_scores
from xpronet.evaluation.image_dependence import Probe
from xpronet.evaluation.intervals import RESAMPLES, Difference, Estimate, compare, intervals
from xpronet.evaluation.measure import Measured, ReportSet, Yardstick, measure, yardstick
from xpronet.evaluation.metrics import Metric
from xpronet.evaluation.prediction_files import Prediction
from xpronet.evaluation.scorecard import ORACLE_TITLE, SPEED, Contradictions, Lift, Row, Scorecard
from xpronet.evaluation.summary import summary
from xpronet.evaluation.text_protocol import find_protocol
from xpronet.labels.findings import ABNORMALITIES, FINDINGS, State

MODEL = "model"
RETRIEVAL = "most similar train image"
FEW = 30
"""Below so many studies an interval says little."""


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
    reader: FindingReader | None = None,
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
        reader: reads the findings on both sides; the rules if left out.

    Raises:
        InputError: there is no prediction, or a reference has no word left under the protocol.
    """
    if not predictions:
        raise InputError("no predictions to score; write some with `xpronet generate`")
    against = yardstick(
        predictions,
        protocol=find_protocol(protocol),
        reader=reader or rule_reader(),
        train_reports=train_reports,
        table=truth,
    )
    model = report_set(MODEL, predictions)
    sets = [model, *make_baselines(against, model, named=_named(predictions, against), val_reports=val, seed=seed)]
    if retrieved is not None:
        sets.append(ReportSet(name=RETRIEVAL, how="its report, by image features", reports=tuple(retrieved)))
    measured, meteor = measure(sets, against, with_meteor=with_meteor, metrics=metrics)
    rows = [measured_row(one, against, seed) for one in measured]
    language_lift = _lift(measured, (BEST_CONSTANT, BUILT_CONSTANT), against, seed, of_language=True)
    findings_lift = _lift(measured, (FINDINGS_CONSTANT,), against, seed, of_language=False)
    signs = collapse_signs(model, against)
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
            "constants": constants_clause(against),
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
        field_f1=field_f1(against.truth, said),
        contradictions=_contradictions(predictions, against.reader),
        counts=counts,
        warnings=(
            *notes,
            *_warnings(language_lift, findings_lift, counts, sources, with_train=train_reports is not None),
            *(probe.warnings if probe is not None else ()),
        ),
        calibration=calibration(predictions, against.truth, seed=seed),
        head=head_scores(predictions, against.truth, seed=seed),
        grounding=grounding,
        probe=probe,
        metrics=tuple(one.name for one in metrics),
        summary=summary(rows[0], language_lift, findings_lift, _above(measured, SHUFFLED, seed), len(against.abnormal)),
        collapse=signs.paragraph() if signs.alarming else None,
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
    source = "references" if against.table is None else "label table of the corpus"
    reader = against.reader
    return {
        **against.protocol.stamp(with_train=against.train_reports is not None),
        "findings": f"{source} against generated reports, read by {reader.name}; uncertain counts as "
        f"{_UNCERTAIN[reader.uncertain]}",
        "METEOR": meteor,
        "intervals": f"95 %, {RESAMPLES} resamples of studies, seed {seed}",
        "versions": ", ".join([f"xpronet {__version__}", *_installed("pycocoevalcap")]),
    }


_UNCERTAIN = {"positive": "present", "negative": "absent", "ignore": "unknown and is left out"}


def _installed(package: str) -> list[str]:
    try:
        return [f"{package} {version(package)}"]
    except PackageNotFoundError:
        return []


def _cited(metrics: Sequence[Metric]) -> dict[str, str]:
    """Return where each metric is defined, and which way it points, by its name."""
    return {one.name: f"{one.citation}; {'higher' if one.higher_is_better else 'lower'} is better" for one in metrics}


def _lift(
    measured: Sequence[Measured], constants: Sequence[str], against: Yardstick, seed: int, *, of_language: bool
) -> Lift | None:
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
    abnormal = {}
    if len(against.abnormal):
        abnormal = compare(model.subset(against.abnormal), other.subset(against.abnormal), seed=seed)

    def kept(differences: Mapping[str, Difference]) -> dict[str, Difference]:
        # A constant that names many findings is no rival in micro and example F1, which silence wins.
        return {name: gain for name, gain in differences.items() if of_language or name.startswith("macro")}

    return Lift(constant=constant, scores=kept(compare(model, other, seed=seed)), abnormal=kept(abnormal))


def _above(measured: Sequence[Measured], name: str, seed: int) -> dict[str, Difference]:
    """Return what the first of the measured scores above another one; nothing where that is not there."""
    other = next((one for one in measured if one.name == name), None)
    if other is None or other.language is None or measured[0].language is None:
        return {}
    return compare(measured[0].language, other.language, seed=seed) | compare(
        measured[0].clinical, other.clinical, seed=seed
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
    language: Lift | None,
    findings: Lift | None,
    counts: Mapping[str, float],
    sources: Sequence[str],
    *,
    with_train: bool,
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
    if not with_train:
        warnings.append(
            "No train reports were given: no constant stands beside the model, name the --train-corpus."
            if language is None
            else "No train reports were given: constants come from the references of the other half of the studies; "
            "name the --train-corpus for those of what the model learned from."
        )
    if counts["reports"] < FEW:
        warnings.append(f"Only {counts['reports']:.0f} studies were scored: intervals over so few say little.")
    if counts["distinct reports"] == 1 < counts["reports"]:
        warnings.append("All reports are one and the same text.")
    if counts["empty reports"]:
        warnings.append(f"{counts['empty reports']:.0f} reports are empty.")
    return warnings
