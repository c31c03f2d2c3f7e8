"""The forms in which projects keep their predictions, read into rows with id, report and reference."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xpronet.csv_files import read_cells, read_rows
from xpronet.errors import InputError
from xpronet.evaluation.arrow_files import is_dataset, read_arrow
from xpronet.evaluation.text_columns import FileSettings, find_columns, is_known, reference_columns, renamed
from xpronet.files import read_json, read_json_lines, read_text

Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Table:
    """Somebody's predictions as rows."""

    rows: Sequence[tuple[str, Row]]
    """Where each stands, and what it has of id, report, reference and more."""
    read_as: str
    """What the file was taken for, and which of its parts for what."""
    guessed: bool = True
    """Whether that is more than the file itself says."""


PREDICTION = "model_prediction"
"""ReXrank's key of the generated report."""
RADEVAL = (("references", "hypotheses"), ("refs", "hyps"))
"""RadEval's keys of the two lists."""
COMPANIONS = (
    ("res.csv", "gts.csv", "R2Gen result tables"),
    ("_hyps.txt", "_refs.txt", "ViLMedic text files"),
    ("hyps.txt", "refs.txt", "ViLMedic text files"),
    ("model_predictions.tok", "ground_truth.tok", "RadEval text files"),
)
"""How two files that belong together end, and who writes them."""
LINES = (".txt", ".tok")
"""Endings of files with a report on each line."""
TABLES = (".csv", ".csv.gz", ".tsv")
"""Endings of tables; one with other separators than commas is refused with a line that says so."""


def read_table(path: Path, settings: FileSettings | None = None) -> Table:
    """Read a file of predictions, or a dataset's folder, in whichever form it is.

    Args:
        path: JSON lines, JSON, CSV (.csv, .csv.gz), lines of text (.txt, .tok), or a Hugging Face dataset on disk.
        settings: names of columns, and the file of references.

    Raises:
        InputError: the file is missing or malformed, its form is none of these, or which of its parts hold the reports
            cannot be told.
    """
    settings = settings or FileSettings()
    suffix = path.suffix.lower()
    if is_dataset(path):
        rows, told = read_arrow(path)
        return _named(path, _numbered(rows, "row"), settings, told)
    if suffix in LINES:
        return _with_companion(path, _lines(path), settings, "text file, a report on each line")
    if path.name.lower().endswith(TABLES):
        return _csv(path, settings)
    value = _json(path)
    if isinstance(value, dict):
        return _json_object(path, value, settings)
    rows = []
    for number, row in enumerate(value, 1):
        if not isinstance(row, dict):
            raise InputError(f"{path}, prediction {number}: a {type(row).__name__}; write an object with id and report")
        rows.append(row)
    return _named(path, _numbered(rows, "prediction"), settings, "JSON")


def read_references(path: Path, settings: FileSettings) -> list[tuple[str | None, str]]:
    """Return ids and texts of a file that holds references; no ids where it has none.

    Raises:
        InputError: the file is missing or malformed, or which of its columns holds the texts cannot be told.
    """
    if path.suffix.lower() in LINES:
        return [(None, text) for text in _lines(path)]
    if is_dataset(path):
        rows, _ = read_arrow(path)
    elif path.name.lower().endswith(TABLES):
        if _is_bare(path):
            return [(None, cells[0]) for cells, _ in read_cells(path)]
        rows = [dict(row) for row, _ in read_rows(path)]
    else:
        value = _json(path)
        if isinstance(value, dict):
            return [(str(name), text) for name, text in value.items() if isinstance(text, str)]
        rows = [row for row in value if isinstance(row, dict)]
    if not rows:
        raise InputError(f"{path}: no references in it")
    study, text = reference_columns(path, list(rows[0]), settings)
    return [(None if study is None else str(row.get(study)), str(row.get(text) or "")) for row in rows]


def _json(path: Path) -> Any:
    """Return the value of a .json file, or the values on the lines of any other."""
    if path.suffix.lower() != ".json":
        return read_json_lines(path)
    text = read_text(path).lstrip()
    # Some give JSON lines this ending, too.
    return read_json_lines(path) if text.startswith("{") and _is_lines(text) else read_json(path)


def _is_lines(text: str) -> bool:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return len(lines) > 1 and all(line.startswith("{") and line.endswith("}") for line in lines[:2])


def _json_object(path: Path, value: dict[str, Any], settings: FileSettings) -> Table:
    """Read the forms that are one JSON object: RadEval's two lists, or ReXrank's object for each study."""
    for theirs, ours in RADEVAL:
        if isinstance(value.get(ours), list) and isinstance(value.get(theirs), list):
            reports, references = value[ours], value[theirs]
            _check_counts(path, len(reports), path, len(references))
            rows = [{"report": one, "reference": other} for one, other in zip(reports, references, strict=True)]
            told = f"RadEval JSON; studies numbered, report from {ours!r}, reference from {theirs!r}"
            return Table(rows=_numbered(rows, "report"), read_as=told)
    if value and all(isinstance(each, dict) and PREDICTION in each for each in value.values()):
        studies = [{"id": name, "report": each[PREDICTION], **_sections(each)} for name, each in value.items()]
        told = f"ReXrank JSON; id from its keys, report from {PREDICTION!r}, reference from findings and impression"
        return _with_references(Table(rows=_numbered(studies, "study"), read_as=told), path, settings)
    if "report" in value:
        return _named(path, _numbered([value], "prediction"), settings, "JSON")
    if value and all(isinstance(each, str) for each in value.values()):
        pairs = [{"id": name, "report": text} for name, text in value.items()]
        told = "JSON object; id from its keys, report from its values"
        return _with_references(Table(rows=_numbered(pairs, "study"), read_as=told), path, settings)
    raise InputError(
        f"{path}: one JSON object of none of the known forms; write a list of objects with id, report and reference"
    )


def _sections(study: Row) -> dict[str, str]:
    """Return a study's reference as ReXrank puts it together, without sections that are not there."""
    parts = []
    for title in ("findings", "impression"):
        text = study.get(f"section_{title}", study.get(title))
        if isinstance(text, str) and text.strip():
            parts.append(f"{title.capitalize()}: {text.strip()}")
    return {"reference": " ".join(parts)} if parts else {}


def _csv(path: Path, settings: FileSettings) -> Table:
    if _is_bare(path):
        reports = [cells[0] for cells, _ in read_cells(path)]
        return _with_companion(path, reports, settings, "CSV of one column without a name, a report in each row")
    rows = [(where.partition(", ")[2], row) for row, where in read_rows(path)]
    if not rows:
        raise InputError(f"{path}: no predictions in it; write them with `xpronet generate`")
    return _named(path, rows, settings, "CSV")


def _is_bare(path: Path) -> bool:
    """Return whether a CSV file has one column and no header, as R2Gen writes it."""
    cells, _ = next(iter(read_cells(path)), ([], ""))
    return len(cells) == 1 and not any(is_known(name) for name in re.split("[;\t|]", cells[0]))


def _named(path: Path, rows: Sequence[tuple[str, Row]], settings: FileSettings, told: str) -> Table:
    """Return rows under our names, from columns that are found by theirs."""
    if not rows:
        return Table(rows=(), read_as=told)
    columns = find_columns(path, list(dict.fromkeys(name for _, row in rows[:100] for name in row)), settings)
    table = Table(
        rows=[(where, renamed(row, columns)) for where, row in rows],
        read_as=f"{told}; {columns.clause()}",
        guessed=not columns.exact,
    )
    return _with_references(table, path, settings)


def _with_companion(path: Path, reports: Sequence[str], settings: FileSettings, told: str) -> Table:
    """Return reports without ids, with the references of the file that belongs to theirs, where there is one."""
    rows = _numbered([{"report": report} for report in reports], "line")
    table = Table(rows=rows, read_as=f"{told}; studies numbered, as there is no id")
    if settings.references is not None:
        return _with_references(table, path, settings)
    other, whose = _companion(path)
    if other is None:
        return table
    table = Table(rows=rows, read_as=f"{whose}; studies numbered, report from {path.name}, ")
    return _with_references(table, path, FileSettings(references=other, reference_column=settings.reference_column))


def _companion(path: Path) -> tuple[Path | None, str]:
    for ours, theirs, whose in COMPANIONS:
        if path.name.endswith(ours):
            same = path.with_name(path.name.removesuffix(ours) + theirs)
            # ViLMedic has names with a number that differs between the two.
            others = sorted(path.parent.glob(f"*{theirs}"))
            found = same if same.is_file() else others[0] if len(others) == 1 else None
            if found is not None:
                return found, whose
    return None, ""


def _with_references(table: Table, path: Path, settings: FileSettings) -> Table:
    """Return a table with the references of another file, by id where both have ids, else in their order."""
    if settings.references is None:
        return table
    found = read_references(settings.references, settings)
    name, told = settings.references.name, table.read_as.removesuffix(", ")
    ids = [study for study, _ in found if study is not None]
    if len(ids) == len(found) and all("id" in row for _, row in table.rows):
        twice = next((study for study, count in Counter(ids).items() if count > 1), None)
        if twice is not None:
            raise InputError(f"{settings.references}: id {twice!r} stands twice; keep one reference for each study")
        by_id = dict(zip(ids, (text for _, text in found), strict=True))
        rows = [
            (where, {**row, "reference": by_id[str(row["id"])]} if str(row["id"]) in by_id else row)
            for where, row in table.rows
        ]
        return Table(rows=rows, read_as=f"{told}, reference from {name} by id", guessed=table.guessed)
    _check_counts(path, len(table.rows), settings.references, len(found))
    paired = [(where, {**row, "reference": text}) for (where, row), (_, text) in zip(table.rows, found, strict=True)]
    return Table(rows=paired, read_as=f"{told}, reference from {name} in the same order")


def _check_counts(path: Path, reports: int, other: Path, references: int) -> None:
    if reports != references:
        raise InputError(f"{path}: {reports} reports, and {references} references in {other.name}; give one for each")


def _lines(path: Path) -> list[str]:
    """Return the lines of a text file; an empty one is an empty report."""
    lines = read_text(path).split("\n")
    return [line.strip() for line in (lines[:-1] if lines and not lines[-1].strip() else lines)]


def _numbered(rows: Iterable[Row], noun: str) -> list[tuple[str, Row]]:
    return [(f"{noun} {number}", row) for number, row in enumerate(rows, 1)]
