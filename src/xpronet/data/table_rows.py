"""The rows of a user's table: CSV, JSON lines, or an annotation.json as R2Gen reads it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from xpronet.data.csv_rows import read_rows
from xpronet.data.drafts import Draft
from xpronet.data.records import SPLITS
from xpronet.errors import InputError
from xpronet.files import read_json, read_json_lines

ID_COLUMNS = ("id", "study_id")
REPORT_COLUMNS = ("report", "text", "findings")
IMAGE_COLUMNS = ("image", "images", "image_path")
POSITION_COLUMNS = ("view", "position")
PATIENT_COLUMNS = ("patient", "patient_id")
SECTION_COLUMNS = ("findings", "impression", "indication", "history", "comparison", "technique")
SPLIT_NAMES = {**{name: name for name in SPLITS}, "validate": "val", "validation": "val", "valid": "val", "dev": "val"}

Form = Literal["csv", "jsonl", "annotation"]
FORMS = ("csv", "jsonl", "annotation")


def read_drafts(path: Path, form: Form, *, texts_only: bool = False) -> list[Draft]:
    """Return the table's studies in its order; in CSV and JSON lines, rows with one id are views of one study.

    Args:
        path: the table.
        form: what kind of table it is.
        texts_only: pass over the picture columns.

    Raises:
        InputError: the table is missing, malformed or empty; the message names the line.
    """
    drafts: dict[str, Draft] = {}
    for row, where in _rows(path, form):
        draft = _draft(row, where, texts_only=texts_only)
        first = drafts.setdefault(draft.id, draft)
        if first is not draft:
            _join(first, draft, by_row=form != "annotation")
    if not drafts:
        raise InputError(f"{path}: no studies")
    without = [draft for draft in drafts.values() if draft.split is None]
    if without and len(without) < len(drafts):
        raise InputError(f"{without[0].where}: no split, while other rows have one; fill the column or leave it out")
    return list(drafts.values())


def _rows(path: Path, form: Form) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield each row with lower-case column names, and where it stands."""
    if form == "csv":
        yield from read_rows(path)
        return
    if form == "jsonl":
        records = [(record, f"{path}, record {number}") for number, record in enumerate(read_json_lines(path), 1)]
    else:
        records = list(_annotation_records(path))
    for record, where in records:
        if not isinstance(record, dict):
            raise InputError(f"{where}: not a JSON object; each study is one")
        # NaN (which differs from itself) is how pandas writes an empty cell.
        yield {str(key).strip().lower(): None if value != value else value for key, value in record.items()}, where


def _annotation_records(path: Path) -> Iterator[tuple[Any, str]]:
    annotation = read_json(path)
    if not isinstance(annotation, dict) or not annotation or not all(isinstance(v, list) for v in annotation.values()):
        raise InputError(
            f'{path}: not an annotation file; it looks like {{"train": [...], "val": [...], "test": [...]}}'
        )
    for split, records in annotation.items():
        for number, record in enumerate(records, 1):
            where = f"{path}, {split} {number}"
            if isinstance(record, dict) and record.get("split", split) != split:
                raise InputError(
                    f"{where}: its split is {record['split']!r} but it stands under {split!r}; make them one"
                )
            yield ({**record, "split": split} if isinstance(record, dict) else record), where


def _draft(row: Mapping[str, Any], where: str, *, texts_only: bool) -> Draft:
    split = _text(row, ("split",), where)
    if split and split.lower() not in SPLIT_NAMES:
        raise InputError(f"{where}: split {split!r} is none of {', '.join(SPLITS)}")
    study_id = _text(row, ID_COLUMNS, where)
    if not study_id:
        raise InputError(f"{where}: no id; a column named id or study_id is needed, filled in every row")
    pictures = [] if texts_only else _pictures(row, where)
    sections = {name: str(row[name]).strip() for name in SECTION_COLUMNS if isinstance(row.get(name), str)}
    return Draft(
        id=study_id,
        where=where,
        report=_text(row, REPORT_COLUMNS, where),
        split=SPLIT_NAMES[split.lower()] if split else None,
        patient=_text(row, PATIENT_COLUMNS, where) or None,
        sections={name: text for name, text in sections.items() if text},
        pictures=pictures,
    )


def _text(row: Mapping[str, Any], columns: Sequence[str], where: str) -> str:
    """Return the first of the columns that the table has, stripped; empty where it has none of them."""
    for column in columns:
        if column in row:
            value = row[column]
            if value is None:
                return ""
            if isinstance(value, bool) or not isinstance(value, str | int):
                raise InputError(f"{where}: {column} is not text")
            return str(value).strip()
    return ""


def _list(row: Mapping[str, Any], columns: Sequence[str], where: str) -> list[str]:
    """Return the values of a cell that holds one, several separated by semicolons, or a JSON list."""
    value = next((row[column] for column in columns if column in row), None)
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except json.JSONDecodeError:
            raise InputError(f"{where}: {value[:40]!r} begins like a JSON list but is none") from None
    if isinstance(value, str):
        value = value.split(";")
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(part, str) or part is None for part in value):
        raise InputError(f"{where}: {columns[0]} must be text or a list of texts")
    return [(part or "").strip() for part in value]


def _pictures(row: Mapping[str, Any], where: str) -> list[tuple[str, str | None]]:
    paths = [path.replace("\\", "/") for path in _list(row, IMAGE_COLUMNS, where) if path]
    # Positions without a letter ("?") are nobody's.
    named = [position.upper() for position in _list(row, POSITION_COLUMNS, where)]
    positions = [position if any(map(str.isalpha, position)) else None for position in named]
    if not any(positions):
        return [(path, None) for path in paths]
    if len(positions) != len(paths):
        raise InputError(f"{where}: {len(positions)} view positions for {len(paths)} pictures; give one for each")
    return list(zip(paths, positions, strict=True))


def _join(first: Draft, row: Draft, *, by_row: bool) -> None:
    """Add a row's views to the study of the same id, or mark the study where the two cannot be one."""
    new = [picture for picture in row.pictures if picture[0] not in {path for path, _ in first.pictures}]
    agrees = row.report in ("", first.report) and row.split == first.split and row.patient in (None, first.patient)
    if not by_row or not agrees or not new:
        first.problem = "an id that stands twice"
        return
    first.pictures.extend(new)
