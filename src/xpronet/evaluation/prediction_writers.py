"""Predictions in the forms that other projects read."""

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from xpronet.errors import InputError
from xpronet.evaluation.arrow_files import write_arrow
from xpronet.evaluation.prediction_files import Prediction
from xpronet.evaluation.prediction_forms import COMPANIONS, PREDICTION
from xpronet.files import new_file, write_json, write_json_lines, write_text

FormName = Literal["xpronet", "csv", "radeval", "rexrank", "r2gen", "vilmedic", "hf-dataset"]


def write_prediction_form(
    path: Path, predictions: Sequence[Prediction], form: FormName, *, overwrite: bool = False
) -> tuple[Path, ...]:
    """Write predictions with their references, and return the files.

    Args:
        path: the file, or the dataset's folder. R2Gen's name ends in res.csv, ViLMedic's in hyps.txt; the references go
            into gts.csv or refs.txt beside it.
        predictions: one a study. Forms without ids keep the order; forms of lines lose the line breaks of a report.
        form: of which project.
        overwrite: replace files that are there.

    Raises:
        InputError: a file is there and `overwrite` is false, or its name does not fit the form.
    """
    return _WRITERS[form](path, predictions, overwrite)


def _xpronet(path: Path, predictions: Sequence[Prediction], overwrite: bool) -> tuple[Path, ...]:
    write_json_lines(path, map(_row, predictions), overwrite=overwrite)
    return (path,)


def _csv(path: Path, predictions: Sequence[Prediction], overwrite: bool) -> tuple[Path, ...]:
    rows = [tuple(_row(one).values()) for one in predictions]
    _write_rows(path, [("id", "report", "reference"), *rows], overwrite)
    return (path,)


def _radeval(path: Path, predictions: Sequence[Prediction], overwrite: bool) -> tuple[Path, ...]:
    lists = {
        "references": [one.reference for one in predictions],
        "hypotheses": [one.report for one in predictions],
    }
    write_json(path, lists, overwrite=overwrite)
    return (path,)


def _rexrank(path: Path, predictions: Sequence[Prediction], overwrite: bool) -> tuple[Path, ...]:
    studies = {one.id: {"section_findings": one.reference, PREDICTION: one.report} for one in predictions}
    write_json(path, studies, overwrite=overwrite)
    return (path,)


def _r2gen(path: Path, predictions: Sequence[Prediction], overwrite: bool) -> tuple[Path, ...]:
    other = _beside(path, *COMPANIONS[0][:2])
    _write_rows(path, [(one.report,) for one in predictions], overwrite)
    _write_rows(other, [(one.reference,) for one in predictions], overwrite)
    return path, other


def _vilmedic(path: Path, predictions: Sequence[Prediction], overwrite: bool) -> tuple[Path, ...]:
    other = _beside(path, *COMPANIONS[2][:2])
    for file, texts in ((path, [one.report for one in predictions]), (other, [one.reference for one in predictions])):
        write_text(file, "".join(f"{' '.join(text.split())}\n" for text in texts), overwrite=overwrite)
    return path, other


def _dataset(path: Path, predictions: Sequence[Prediction], overwrite: bool) -> tuple[Path, ...]:
    write_arrow(path, [_row(one) for one in predictions], overwrite=overwrite)
    return (path,)


_WRITERS: Mapping[str, Callable[[Path, Sequence[Prediction], bool], tuple[Path, ...]]] = {
    "xpronet": _xpronet,
    "csv": _csv,
    "radeval": _radeval,
    "rexrank": _rexrank,
    "r2gen": _r2gen,
    "vilmedic": _vilmedic,
    "hf-dataset": _dataset,
}


def _row(one: Prediction) -> dict[str, str]:
    return {"id": one.id, "report": one.report, "reference": one.reference}


def _beside(path: Path, ours: str, theirs: str) -> Path:
    if not path.name.endswith(ours):
        raise InputError(f"{path}: reports of this form are in a file whose name ends in {ours}; name it so")
    return path.with_name(path.name.removesuffix(ours) + theirs)


def _write_rows(path: Path, rows: Sequence[tuple[str, ...]], overwrite: bool) -> None:
    with new_file(path, overwrite=overwrite) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows(rows)
