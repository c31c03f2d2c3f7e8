"""Corpora from a user's own table (CSV, JSON lines, or R2Gen's annotation.json) and a folder of images."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from xpronet.corpora.build import (
    Places,
    cache_pictures,
    clear_waiting,
    finished_study,
    order_views,
    place_pictures,
    waiting_pictures,
)
from xpronet.corpora.image_cache import STANDARD, LowRange, PictureForm, Unreadable
from xpronet.corpora.staging import Draft, draw_splits, straddling
from xpronet.csv_files import read_rows
from xpronet.data.corpus import write_corpus
from xpronet.data.study import SPLITS
from xpronet.errors import InputError
from xpronet.files import confined, new_folder, read_json, read_json_lines
from xpronet.progress import Tracker, silent

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
        texts_only: pass over the image columns.

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
        raise InputError(f"{where}: {len(positions)} view positions for {len(paths)} images; give one for each")
    return list(zip(paths, positions, strict=True))


def _join(first: Draft, row: Draft, *, by_row: bool) -> None:
    """Add a row's views to the study of the same id, or mark the study where the two cannot be one."""
    new = [picture for picture in row.pictures if picture[0] not in {path for path, _ in first.pictures}]
    agrees = row.report in ("", first.report) and row.split == first.split and row.patient in (None, first.patient)
    if not by_row or not agrees or not new:
        first.problem = "an id that stands twice"
        return
    first.pictures.extend(new)


@dataclass(frozen=True, kw_only=True)
class TableSettings:
    """Which table becomes a corpus, and how."""

    table: Path
    """The file."""
    form: Form
    """What kind of file it is."""
    images: Path | None
    """The folder that image paths start from; None makes a corpus of texts."""
    pictures: PictureForm = STANDARD
    """Size and depth of the stored images."""
    name: str
    """What the corpus is called."""
    licence: str = "unknown"
    """The terms under which its images and texts may be used."""
    seed: int = 0
    """Draws the split where the table has none."""
    tolerate: int = 0
    """How many unusable studies may be left out."""

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise InputError(f"table.form = {self.form!r}: choose csv, jsonl or annotation")
        if self.tolerate < 0:
            raise InputError(f"tolerate = {self.tolerate}: give the number of studies that may be left out")
        if self.images is not None and not self.images.is_dir():
            raise InputError(f"{self.images}: no such folder of images")


@dataclass(frozen=True, kw_only=True)
class TableSummary:
    """What became of a table."""

    studies: Mapping[str, int]
    """Studies in each split."""
    left_out: Mapping[str, Sequence[str]]
    """Ids of the studies left out, by reason."""
    straddling: Sequence[str]
    """Patients whom the table's own split puts on more than one side; scores on them are too good."""
    low_range: Sequence[str] = ()
    """A warning for each image that uses little of its grey range."""


def make_table(out: Path, settings: TableSettings, *, overwrite: bool = False, track: Tracker = silent) -> TableSummary:
    """Write a corpus folder from a table and a folder of images.

    A study is left out as a whole where it has no report, no view, an id or image that stands twice, or an image
    that is missing or cannot be read; nothing is written if more are left out than `settings.tolerate`.

    Raises:
        InputError: the table is malformed, too many studies are unusable, or `out` exists without `overwrite`.
    """
    with new_folder(out, overwrite=overwrite) as folder:
        drafts = read_drafts(settings.table, settings.form, texts_only=settings.images is None)
        _mark_unusable(drafts, settings.images)
        left_out = _left_out(drafts, settings, [], "")
        usable = [draft for draft in drafts if draft.problem is None]
        if usable and usable[0].split is None:
            draw_splits(usable, settings.seed, str(settings.table))
        places: Places = {draft.id: () for draft in drafts}
        low_range: list[LowRange] = []
        if settings.images is not None:
            order_views(usable, settings.images)
            unreadable = cache_pictures(usable, settings.images, out, settings.pictures, track, low_range.append)
            bad = {picture.path for picture in unreadable}
            for draft in usable:
                if any(settings.images / path in bad for path, _ in draft.pictures):
                    draft.problem = "an image that cannot be read"
            left_out = _left_out(drafts, settings, unreadable, waiting_pictures(out))
            usable = [draft for draft in usable if draft.problem is None]
            places = place_pictures(usable, settings.images, out, folder, settings.pictures)
        if not usable:
            raise InputError(f"{settings.table}: no usable study; {_explanation(left_out)}")
        for draft in usable:
            draft.where = draft.where.replace(str(settings.table), settings.table.name, 1)
        counts = write_corpus(
            folder,
            (finished_study(draft, places[draft.id], folder) for draft in usable),
            name=settings.name,
            licence=settings.licence,
            made={
                "command": "prepare table",
                "table": settings.table.name,
                "form": settings.form,
                **({"short_side": None} if settings.images is None else asdict(settings.pictures)),
                "seed": settings.seed,
                "left_out": {reason: len(ids) for reason, ids in left_out.items()},
            },
        )
    clear_waiting(out)
    return TableSummary(
        studies={split: counts[split] for split in SPLITS},
        left_out=left_out,
        straddling=straddling([(draft.patient, draft.split) for draft in usable]),
        low_range=[image.warning for image in low_range],
    )


def _mark_unusable(drafts: Sequence[Draft], images: Path | None) -> None:
    """Note the studies that cannot be used, as far as the table and the file system tell."""
    for draft in drafts:
        if draft.problem is not None:
            continue
        if not draft.report:
            draft.problem = "no report"
        elif images is None:
            continue
        elif not draft.pictures:
            draft.problem = "no image named"
        elif len({path for path, _ in draft.pictures}) < len(draft.pictures):
            draft.problem = "an image that stands twice"
        elif not all(confined(images, path).is_file() for path, _ in draft.pictures):
            draft.problem = "an image that is missing"


def _left_out(
    drafts: Sequence[Draft], settings: TableSettings, unreadable: Sequence[Unreadable], waiting: str
) -> dict[str, list[str]]:
    """Return the ids left out by reason, unless they are too many."""
    left_out: dict[str, list[str]] = {}
    for draft in drafts:
        if draft.problem is not None:
            left_out.setdefault(draft.problem, []).append(draft.id)
    count = sum(len(ids) for ids in left_out.values())
    if count > settings.tolerate:
        example = f"; {unreadable[0].reason}" if unreadable else ""
        raise InputError(
            f"{settings.table}: {count} of {len(drafts)} studies cannot be used: {_explanation(left_out)}{example}; "
            f"mend them, or leave them out with --tolerate {count}{waiting}"
        )
    return left_out


def _explanation(left_out: Mapping[str, Sequence[str]]) -> str:
    return ", ".join(f"{len(ids)} with {reason} (first {', '.join(ids[:3])})" for reason, ids in left_out.items())
