"""Which column of somebody's table holds ids, generated reports and references: by name, and said aloud."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from xpronet.errors import InputError

ID_NAMES = ("id", "study_id", "studyid", "study", "uid", "case_id", "sample_id", "image_id", "dicom_id", "filename")
REPORT_NAMES = (
    *("report", "model_prediction", "prediction", "predictions", "predicted", "predicted_report", "pred"),
    *("generated", "generated_report", "generated_text", "generation", "hypothesis", "hypotheses", "hyp", "hyps"),
    *("candidate", "output", "model_output", "response"),
)
REFERENCE_NAMES = (
    *("reference", "references", "reference_report", "ref", "refs", "ground_truth", "ground_truth_report"),
    *("groundtruth", "ground_truths", "gt", "gts", "gold", "target", "target_report", "truth", "original_report"),
)
"""Names that other projects give these columns; case, spaces and hyphens do not count."""


@dataclass(frozen=True, kw_only=True)
class FileSettings:
    """How a file of predictions is read, where its names do not tell."""

    references: Path | None = None
    """File with the references, where the predictions have none: by id, or one a line in the same order."""
    id_column: str | None = None
    """Column or key with the studies' ids."""
    report_column: str | None = None
    """Column or key with the generated reports."""
    reference_column: str | None = None
    """Column or key with the references."""


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Which column of a table is taken for what."""

    id: str | None
    """Of the ids; None where there is none, and studies are numbered."""
    report: str
    """Of the generated reports."""
    reference: str | None
    """Of the references; None where they come from elsewhere."""

    def clause(self) -> str:
        """Say what is taken for what."""
        parts = [
            "studies numbered, as there is no id" if self.id is None else f"id from {self.id!r}",
            f"report from {self.report!r}",
        ]
        return ", ".join([*parts, *([] if self.reference is None else [f"reference from {self.reference!r}"])])

    @property
    def exact(self) -> bool:
        """Whether they are this project's own names, so that nothing was guessed."""
        return self.id == "id" and self.report == "report" and self.reference in (None, "reference")


def find_columns(path: Path, names: Sequence[str], settings: FileSettings) -> Columns:
    """Find the columns of predictions among a table's names.

    Raises:
        InputError: a column that was asked for is not there, none can hold the reports, or several can.
    """
    reference = _chosen(path, names, settings.reference_column, REFERENCE_NAMES, "reference", "references")
    others = [name for name in names if name != reference]
    study = _chosen(path, others, settings.id_column, ID_NAMES, "id", "ids", first=True)
    left = [name for name in others if name != study]
    # With both of them there, these are the names that this project itself writes.
    preferred = settings.report_column or ("report" if {"id", "report", "reference"} <= set(names) else None)
    report = _chosen(path, left, preferred, REPORT_NAMES, "report", "generated reports")
    if report is None:
        raise InputError(
            f"{path}: no column is named like one of generated reports; it has {_listed(names)}: name one with "
            "--report-column"
        )
    return Columns(id=study, report=report, reference=reference)


def reference_columns(path: Path, names: Sequence[str], settings: FileSettings) -> tuple[str | None, str]:
    """Find the columns of ids and texts in a table that holds references alone.

    Raises:
        InputError: none can hold the references, or several can.
    """
    study = _chosen(path, names, settings.id_column, ID_NAMES, "id", "ids", first=True)
    left = [name for name in names if name != study]
    text = _chosen(path, left, settings.reference_column, REFERENCE_NAMES, "reference", "references")
    text = text or _chosen(path, left, None, REPORT_NAMES, "reference", "references")
    text = text or (left[0] if len(left) == 1 else None)
    if text is None:
        raise InputError(
            f"{path}: no column is named like one of references; it has {_listed(names)}: name one with "
            "--reference-column"
        )
    return study, text


def is_known(name: str) -> bool:
    """Return whether a cell can be the name of a column that is looked for."""
    return _plain(name) in {*ID_NAMES, *REPORT_NAMES, *REFERENCE_NAMES}


def renamed(row: Mapping[str, object], columns: Columns) -> dict[str, object]:
    """Return a row under the names id, report and reference, with what else it has."""
    taken = {"id": columns.id, "report": columns.report, "reference": columns.reference}
    others = {name: value for name, value in row.items() if name not in (*taken, *taken.values())}
    return others | {name: row[column] for name, column in taken.items() if column is not None and column in row}


def _chosen(
    path: Path,
    names: Sequence[str],
    asked: str | None,
    known: Sequence[str],
    option: str,
    meaning: str,
    *,
    first: bool = False,
) -> str | None:
    """Return the name asked for, else the one name that is known; the first of several where that does not matter."""
    if asked is not None:
        found = next((name for name in names if _plain(name) == _plain(asked)), None)
        if found is None:
            raise InputError(f"{path}: has no column {asked!r} for the {meaning}; it has {_listed(names)}")
        return found
    plain = {_plain(name): name for name in reversed(names)}
    candidates = [plain[name] for name in known if name in plain]
    if len(candidates) > 1 and not first:
        raise InputError(
            f"{path}: columns {' and '.join(map(repr, candidates[:2]))} may both hold the {meaning}; name one with "
            f"--{option}-column"
        )
    return candidates[0] if candidates else None


def _plain(name: str) -> str:
    return name.strip().lower().replace(" ", "_").replace("-", "_")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names[:8]) or "none"
