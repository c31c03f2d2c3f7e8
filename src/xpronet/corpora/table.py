"""Corpora from a user's own table (CSV, JSON lines, or R2Gen's annotation.json) and a folder of images."""

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from xpronet.corpora.build import BuildSettings, BuildSummary, build_studies
from xpronet.corpora.source import SourceCorpus, SourceStudy
from xpronet.csv_files import read_rows
from xpronet.data.study import SPLITS
from xpronet.errors import InputError
from xpronet.files import read_json, read_json_lines
from xpronet.progress import Tracker, silent
from xpronet.text.sections import is_blank, is_null

ID_COLUMNS = ("id", "study_id")
REPORT_COLUMNS = ("report", "text", "findings")
IMAGE_COLUMNS = ("image", "images", "image_path")
POSITION_COLUMNS = ("view", "position")
PATIENT_COLUMNS = ("patient", "patient_id")
SECTION_COLUMNS = ("findings", "impression", "indication", "history", "comparison", "technique")
LONGEST_LIST = 100_000
"""Characters of a cell that is parsed as a Python list; a study's images need a few hundred."""
UNSEPARATED = re.compile(r"""['"]\s+['"]""")
SPLIT_NAMES = {**{name: name for name in SPLITS}, "validate": "val", "validation": "val", "valid": "val", "dev": "val"}

TableForm = Literal["csv", "jsonl", "annotation"]


def read_table(path: Path, form: TableForm, *, texts_only: bool = False) -> list[SourceStudy]:
    """Return the table's studies in its order; in CSV and JSON lines, rows with one id are views of one study.

    Args:
        path: the table.
        form: what kind of table it is.
        texts_only: ignore the image columns.

    Raises:
        InputError: the table is missing, malformed or empty; the message names the line.
    """
    studies: dict[str, SourceStudy] = {}
    columns: dict[str, None] = {}
    for row, where in _rows(path, form):
        columns.update(dict.fromkeys(row))
        study = _study(row, where, texts_only=texts_only)
        first = studies.setdefault(study.id, study)
        if first is not study:
            _join(first, study, by_row=form != "annotation")
    for wanted, what in ((REPORT_COLUMNS, "report"), *(() if texts_only else ((IMAGE_COLUMNS, "image"),))):
        if studies and not any(name in columns for name in wanted):
            raise InputError(f"{path}: no column of {what}s ({', '.join(wanted)}); it has {', '.join(columns)}")
    for study in studies.values():
        study.where = study.where.replace(str(path), path.name, 1)
    return list(studies.values())


def _rows(path: Path, form: TableForm) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield each row with lower-case column names, and its file and line."""
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
                    f"{where}: its split is {record['split']!r} but it is listed under {split!r}; make them agree"
                )
            yield ({**record, "split": split} if isinstance(record, dict) else record), where


def _study(row: Mapping[str, Any], where: str, *, texts_only: bool) -> SourceStudy:
    split = _text(row, ("split",), where)
    if split and split.lower() not in SPLIT_NAMES:
        raise InputError(f"{where}: split {split!r} is none of {', '.join(SPLITS)}")
    study_id = _text(row, ID_COLUMNS, where)
    if not study_id:
        named = any(column in row for column in ID_COLUMNS)
        has = "its cell is empty" if named else f"the columns are {', '.join(row) or 'none'}"
        raise InputError(f"{where}: no id; a column named id or study_id is needed, filled in every row; {has}")
    sections = {name: str(row[name]).strip() for name in SECTION_COLUMNS if isinstance(row.get(name), str)}
    return SourceStudy(
        id=study_id,
        where=where,
        report=_text(row, REPORT_COLUMNS, where, keep_null=True),
        split=SPLIT_NAMES[split.lower()] if split else None,
        patient=_text(row, PATIENT_COLUMNS, where) or None,
        sections={name: text for name, text in sections.items() if not is_blank(text)},
        images=[] if texts_only else _images(row, where),
    )


def _text(row: Mapping[str, Any], columns: Sequence[str], where: str, *, keep_null: bool = False) -> str:
    """Return the first of the columns that the table has, stripped; empty where it has none, or a null such as "nan".

    A report keeps its null, so that the message can name it.
    """
    column = next((column for column in columns if column in row), None)
    value = None if column is None else row[column]
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InputError(f"{where}: {column} is not text")
    text = str(value).strip()
    return "" if is_null(text) and not keep_null else text


def _list(row: Mapping[str, Any], columns: Sequence[str], where: str) -> list[str]:
    """Return the values of a cell that holds one, several separated by semicolons, or a list as JSON or Python has it.

    Raises:
        InputError: it looks like a list but is none, or holds something else than texts.
    """
    value = next((row[column] for column in columns if column in row), None)
    if isinstance(value, str) and value.lstrip().startswith(("[", "(")):
        value = _parse_list(value.strip(), where)
    if isinstance(value, str):
        value = value.split(";")
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(part, str) or part is None for part in value):
        raise InputError(f"{where}: {columns[0]} must be text or a list of texts")
    parts = [(part or "").strip() for part in value]
    return ["" if is_null(part) else part for part in parts]


def _parse_list(text: str, where: str) -> Any:
    """Return the list that a cell spells as JSON ("a.png") or Python ('a.png') does; a file name may open so, too."""
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        pass
    # Python joins texts without a comma between them, which is how numpy prints an array.
    if len(text) <= LONGEST_LIST and not UNSEPARATED.search(text):
        try:
            value = ast.literal_eval(text)
            return list(value) if isinstance(value, tuple) else value
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            pass
    if text.endswith(("]", ")")):
        raise InputError(f"{where}: {text[:40]!r} begins like a list but is none; write a.png;b.png")
    return text


def _images(row: Mapping[str, Any], where: str) -> list[tuple[str, str | None]]:
    """Return the paths of a row's images, with their view positions."""
    paths = [path.replace("\\", "/") for path in _list(row, IMAGE_COLUMNS, where) if path]
    # A position without a letter ("?") says nothing.
    named = [position.upper() for position in _list(row, POSITION_COLUMNS, where)]
    positions = [position if any(map(str.isalpha, position)) else None for position in named]
    if not any(positions):
        return [(path, None) for path in paths]
    if len(positions) != len(paths):
        raise InputError(f"{where}: {len(positions)} view positions for {len(paths)} images; give one for each")
    return list(zip(paths, positions, strict=True))


def _join(first: SourceStudy, row: SourceStudy, *, by_row: bool) -> None:
    """Add a row's views to the study of the same id, or mark the study where the rows contradict each other."""
    new = [image for image in row.images if image[0] not in {path for path, _ in first.images}]
    agrees = (
        (is_null(row.report) or row.report == first.report)
        and row.split == first.split
        and row.patient in (None, first.patient)
    )
    if not by_row or not agrees or not new:
        first.problem = "a repeated id"
        return
    first.images.extend(new)


@dataclass(frozen=True, kw_only=True)
class TableSettings:
    """Which table becomes a corpus."""

    table: Path
    """The file."""
    form: TableForm
    """What kind of file it is."""
    images: Path | None
    """The folder that image paths start from; None makes a corpus of texts."""
    name: str
    """What the corpus is called."""
    licence: str = "unknown"
    """The terms under which its images and texts may be used."""

    def __post_init__(self) -> None:
        if self.form not in get_args(TableForm):
            raise InputError(f"table.form = {self.form!r}: choose one of {', '.join(get_args(TableForm))}")
        if self.images is not None and not self.images.is_dir():
            raise InputError(f"{self.images}: no such folder of images")


def make_table(
    out: Path,
    settings: TableSettings,
    build: BuildSettings,
    *,
    overwrite: bool = False,
    track: Tracker = silent,
) -> BuildSummary:
    """Write a corpus folder from a table and a folder of images; see `build_studies`.

    Raises:
        InputError: the table is malformed, too many studies are unusable, or `out` exists without `overwrite`.
    """
    studies = read_table(settings.table, settings.form, texts_only=settings.images is None)
    source = SourceCorpus(name=settings.name, studies=studies, images=settings.images, licence=settings.licence)
    return build_studies(
        out,
        source,
        build,
        where=str(settings.table),
        made={"command": "prepare table", "table": settings.table.name, "form": settings.form},
        overwrite=overwrite,
        track=track,
    )
