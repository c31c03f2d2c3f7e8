"""Predictions of any model: one generated report a study, with its reference."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xpronet.errors import InputError
from xpronet.evaluation.prediction_forms import read_table
from xpronet.evaluation.text_columns import FileSettings

LABEL_SOURCES = ("predicted", "reference", "all")


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What a model wrote about one study, and what its reader wrote."""

    id: str
    """The study's id."""
    report: str
    """The generated text; empty where the model said nothing."""
    reference: str
    """The reader's text."""
    labels_from: str | None = None
    """Where the model took its findings from: predicted, reference (an oracle) or all; None where nobody says."""
    present: tuple[str, ...] | None = None
    """The findings that the model itself called present, by name; None where it named none."""
    probabilities: Mapping[str, float] | None = None
    """The probability that the model gave each finding, by name; None where it gave none."""


@dataclass(frozen=True, kw_only=True)
class PredictionFile:
    """A file of predictions that has been read."""

    predictions: tuple[Prediction, ...]
    """One a study."""
    read_as: str
    """What the file was taken for, and which of its parts for what."""
    guessed: bool
    """Whether that is more than the file itself says."""
    has_ids: bool
    """Whether the studies have ids of their own; without, they are numbered from 1."""


def read_predictions(path: Path, references: Mapping[str, str] | None = None) -> tuple[Prediction, ...]:
    """Read predictions in any known form; see `read_prediction_file`."""
    return read_prediction_file(path, references).predictions


def read_prediction_file(
    path: Path, references: Mapping[str, str] | None = None, settings: FileSettings | None = None
) -> PredictionFile:
    """Read predictions in any form that `read_table` knows.

    Args:
        path: a file or a dataset's folder.
        references: the reference of each study, by id, for predictions that have none. Predictions without ids take
            them in this order, if there are as many.
        settings: names of columns, and the file of references.

    Raises:
        InputError: the file is empty, malformed or of no known form, an id stands twice or a reference is missing.
    """
    table = read_table(path, settings)
    if not table.rows:
        raise InputError(f"{path}: no predictions in it; write them with `xpronet generate`")
    rows, read_as, references = table.rows, table.read_as, references or {}
    has_ids = any("id" in row for _, row in rows)
    if not has_ids:
        ids = [str(number) for number in range(1, len(rows) + 1)]
        if not any("reference" in row for _, row in rows) and references:
            if len(references) != len(rows):
                raise InputError(
                    f"{path}: {len(rows)} reports without ids, and {len(references)} studies in the split; name the "
                    "--references, or give each report the id of its study"
                )
            ids, has_ids = list(references), True
            read_as = f"{read_as}; taken for the studies of the split in their order"
        rows = [(where, {**row, "id": study}) for (where, row), study in zip(rows, ids, strict=True)]
    predictions = tuple(_prediction(row, f"{path}, {where}", references) for where, row in rows)
    twice = [study for study, count in Counter(prediction.id for prediction in predictions).items() if count > 1]
    if twice:
        raise InputError(f"{path}: {_counted(twice)} ids stand twice; keep one report for each study")
    return PredictionFile(predictions=predictions, read_as=read_as, guessed=table.guessed, has_ids=has_ids)


def same_studies(
    first: Sequence[Prediction], second: Sequence[Prediction], names: tuple[str, str]
) -> tuple[Prediction, ...]:
    """Return `second` in the order of `first`.

    Raises:
        InputError: they are not about the same studies, or have other references for them.
    """
    by_id = {prediction.id: prediction for prediction in second}
    only_first = [prediction.id for prediction in first if prediction.id not in by_id]
    ids = {prediction.id for prediction in first}
    only_second = [prediction.id for prediction in second if prediction.id not in ids]
    for name, other, only in ((names[0], names[1], only_first), (names[1], names[0], only_second)):
        if only:
            raise InputError(f"{name}: {_counted(only)} ids are not in {other}; compare the same studies")
    ordered = tuple(by_id[prediction.id] for prediction in first)
    differing = [one.id for one, two in zip(first, ordered, strict=True) if one.reference != two.reference]
    if differing:
        raise InputError(
            f"{names[1]}: {_counted(differing)} studies have another reference than in {names[0]}; compare against one"
        )
    return ordered


def _prediction(row: Mapping[str, Any], where: str, references: Mapping[str, str]) -> Prediction:
    for name in ("id", "report"):
        if name not in row:
            raise InputError(f"{where}: no {name!r}; each prediction needs id and report")
    study, report = row["id"], row["report"]
    if isinstance(study, int) and not isinstance(study, bool):
        study = str(study)
    if not isinstance(study, str) or not study:
        raise InputError(f"{where}: id {study!r} is no name; write the study's id as a string")
    if not isinstance(report, str):
        raise InputError(f"{where}: the report of {study} is a {type(report).__name__}; write it as a string")
    reference = row.get("reference") or references.get(study)
    if reference is None:
        raise InputError(
            f"{where}: no reference for {study}; add it to the file, or name the --references or the --corpus and "
            "--split that have it"
        )
    if not isinstance(reference, str) or not reference.strip():
        raise InputError(f"{where}: the reference of {study} is no text; leave studies without a report out")
    labels_from = row.get("labels_from") or None
    if labels_from is not None and labels_from not in LABEL_SOURCES:
        raise InputError(f"{where}: labels_from {labels_from!r} is none of {', '.join(LABEL_SOURCES)}")
    return Prediction(
        id=study,
        report=report,
        reference=reference,
        labels_from=labels_from,
        present=_present(row.get("findings"), where),
        probabilities=_probabilities(row.get("findings"), where),
    )


def _present(findings: Any, where: str) -> tuple[str, ...] | None:
    """Return the names of the findings marked present in a record of generate.Report."""
    if not findings:
        return None
    try:
        return tuple(str(finding["name"]) for finding in findings if finding["present"])
    except (TypeError, KeyError):
        raise InputError(f"{where}: findings need a name and whether they are present, each") from None


def _probabilities(findings: Any, where: str) -> dict[str, float] | None:
    """Return the probabilities in a record of generate.Report; a file of another model need not have any."""
    if not findings or any("probability" not in finding for finding in findings):
        return None
    try:
        values = {str(finding["name"]): float(finding["probability"]) for finding in findings}
    except (TypeError, ValueError):
        raise InputError(f"{where}: a finding's probability is no number; write 0 to 1") from None
    wrong = [name for name, value in values.items() if not 0 <= value <= 1]
    if wrong:
        raise InputError(f"{where}: the probability of {wrong[0]} is {values[wrong[0]]}; write 0 to 1")
    return values


def _counted(names: Sequence[str]) -> str:
    return f"{len(names)} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
