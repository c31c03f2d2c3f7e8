"""Corpora from a table of a user's own and a folder of pictures."""

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xpronet.data.cache import Unreadable, make_cache
from xpronet.data.corpus import IMAGES_FOLDER, write_corpus
from xpronet.data.dicom import read_view_position
from xpronet.data.images import picture_size
from xpronet.data.records import SPLITS, Study, View
from xpronet.data.table_rows import FORMS, Draft, Form, read_drafts
from xpronet.errors import InputError
from xpronet.files import confined, new_folder
from xpronet.progress import Tracker, silent

VALIDATION_SHARE, TEST_SHARE = 0.1, 0.2
"""Of the patients, where the table has no split; the rest is for training, as in the field's split of IU X-Ray."""
FRONTAL = ("PA", "AP", "FRONTAL")
LATERAL = ("LL", "RL", "LLD", "RLD", "L", "LAT")
"""View positions that are read after the frontal ones, beside everything that begins with LATERAL."""

Places = Mapping[str, Sequence[str]]
"""Where each study's pictures lie in the corpus, by study id."""


@dataclass(frozen=True, kw_only=True)
class TableSettings:
    """Which table becomes a corpus, and how."""

    table: Path
    """The file."""
    form: Form
    """What kind of file it is."""
    images: Path | None
    """The folder that picture paths start from; None makes a corpus of texts."""
    short_side: int = 256
    """Short side of the cached pictures, in pixels; smaller ones keep their size."""
    name: str
    """What the corpus is called."""
    licence: str = "unknown"
    """The terms under which its pictures and texts may be used."""
    seed: int = 0
    """Draws the split where the table has none."""
    tolerate: int = 0
    """How many unusable studies may be left out."""

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise InputError(f"table.form = {self.form!r}: choose csv, jsonl or annotation")
        if self.short_side < 32:
            raise InputError(f"short_side = {self.short_side}: at least 32 pixels are needed")
        if self.tolerate < 0:
            raise InputError(f"tolerate = {self.tolerate}: give the number of studies that may be left out")
        if self.images is not None and not self.images.is_dir():
            raise InputError(f"{self.images}: no such folder of pictures")


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What became of a table."""

    studies: Mapping[str, int]
    """Studies in each split."""
    left_out: Mapping[str, Sequence[str]]
    """Ids of the studies left out, by reason."""
    straddling: Sequence[str]
    """Patients whom the table's own split puts on more than one side; scores on them are too good."""


def make_table(out: Path, settings: TableSettings, *, overwrite: bool = False, track: Tracker = silent) -> Prepared:
    """Write a corpus folder from a table and a folder of pictures.

    A study is left out as a whole where it has no report, no view, an id or picture that stands twice, or a picture
    that is missing or cannot be read; nothing is written if more are left out than `settings.tolerate`.

    Raises:
        InputError: the table is malformed, too many studies are unusable, or `out` exists without `overwrite`.
    """
    with new_folder(out, overwrite=overwrite) as folder:
        drafts = read_drafts(settings.table, settings.form, texts_only=settings.images is None)
        _mark_unusable(drafts, settings.images)
        left_out = _left_out(drafts, settings, [])
        _draw_splits([draft for draft in drafts if draft.problem is None], settings)
        places: Places = {draft.id: () for draft in drafts}
        if settings.images is not None:
            usable = [draft for draft in drafts if draft.problem is None]
            _order_views(usable, settings.images)
            places = _places(usable)
            unreadable = _cache(usable, places, settings.images, folder, settings.short_side, track)
            left_out = _left_out(drafts, settings, unreadable)
        usable = [draft for draft in drafts if draft.problem is None]
        if not usable:
            raise InputError(f"{settings.table}: no usable study; {_explanation(left_out)}")
        counts = write_corpus(
            folder,
            (_study(draft, places[draft.id], folder, settings.table) for draft in usable),
            name=settings.name,
            licence=settings.licence,
            made={
                "command": "prepare table",
                "table": settings.table.name,
                "form": settings.form,
                "short_side": None if settings.images is None else settings.short_side,
                "seed": settings.seed,
                "left_out": {reason: len(ids) for reason, ids in left_out.items()},
            },
        )
    return Prepared(
        studies={split: counts[split] for split in SPLITS}, left_out=left_out, straddling=_straddling(usable)
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
            draft.problem = "no picture named"
        elif len({path for path, _ in draft.pictures}) < len(draft.pictures):
            draft.problem = "a picture that stands twice"
        elif not all(confined(images, path).is_file() for path, _ in draft.pictures):
            draft.problem = "a picture that is missing"


def _left_out(
    drafts: Sequence[Draft], settings: TableSettings, unreadable: Sequence[Unreadable]
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
            f"mend them, or leave them out with --tolerate {count}"
        )
    return left_out


def _explanation(left_out: Mapping[str, Sequence[str]]) -> str:
    return ", ".join(f"{len(ids)} with {reason} (first {', '.join(ids[:3])})" for reason, ids in left_out.items())


def _draw_splits(drafts: Sequence[Draft], settings: TableSettings) -> None:
    """Give every study a split where the table has none; all studies of a patient get the same one."""
    if not drafts or drafts[0].split is not None:
        return
    owners = sorted({_owner(draft) for draft in drafts})
    if len(owners) < len(SPLITS):
        raise InputError(f"{settings.table}: too few studies to draw a split from; add a column named split")
    shuffled = [owners[place] for place in np.random.default_rng(settings.seed).permutation(len(owners))]
    test = max(1, round(TEST_SHARE * len(owners)))
    validation = max(1, round(VALIDATION_SHARE * len(owners)))
    splits = dict.fromkeys(shuffled, "train")
    splits |= dict.fromkeys(shuffled[:test], "test")
    splits |= dict.fromkeys(shuffled[test : test + validation], "val")
    for draft in drafts:
        draft.split = splits[_owner(draft)]


def _owner(draft: Draft) -> tuple[str, str]:
    return ("study", draft.id) if draft.patient is None else ("patient", draft.patient)


def _straddling(drafts: Sequence[Draft]) -> list[str]:
    splits: dict[str, set[str | None]] = {}
    for draft in drafts:
        if draft.patient is not None:
            splits.setdefault(draft.patient, set()).add(draft.split)
    return sorted(patient for patient, sides in splits.items() if len(sides) > 1)


def _order_views(drafts: Sequence[Draft], images: Path) -> None:
    """Put frontal views first, asking DICOM headers where the table does not name a view's position."""
    for draft in drafts:
        known = [(path, position or _header_position(images / path)) for path, position in draft.pictures]
        draft.pictures = sorted(known, key=lambda picture: _reading_rank(picture[1]))


def _header_position(path: Path) -> str | None:
    try:
        return read_view_position(path)
    except InputError:
        return None  # the picture is refused, with the reason, when it is cached


def _reading_rank(position: str | None) -> int:
    if position is None:
        return 1
    if position.startswith(FRONTAL):
        return 0
    return 2 if position in LATERAL or position.startswith("LATERAL") else 1


def _places(drafts: Sequence[Draft]) -> Places:
    """Return corpus paths that are readable, safe on every file system and distinct."""
    names = {draft.id: re.sub(r"[^A-Za-z0-9_-]+", "_", draft.id)[:64] for draft in drafts}
    uses = Counter(name.lower() for name in names.values())
    places = {}
    for draft in drafts:
        name = names[draft.id]
        if name != draft.id or uses[name.lower()] > 1:
            name += "-" + hashlib.sha256(draft.id.encode()).hexdigest()[:8]
        places[draft.id] = [f"{IMAGES_FOLDER}/{name}-{view}.png" for view in range(1, len(draft.pictures) + 1)]
    return places


def _cache(
    drafts: Sequence[Draft], places: Places, images: Path, folder: Path, short_side: int, track: Tracker
) -> list[Unreadable]:
    sources = {draft.id: [images / path for path, _ in draft.pictures] for draft in drafts}
    pairs = [
        (source, folder / place)
        for draft in drafts
        for source, place in zip(sources[draft.id], places[draft.id], strict=True)
    ]
    unreadable = make_cache(pairs, short_side=short_side, track=track)
    bad = {picture.path for picture in unreadable}
    for draft in drafts:
        if bad.intersection(sources[draft.id]):
            draft.problem = "a picture that cannot be read"
    for draft in drafts:
        if draft.problem is not None:
            for place in places[draft.id]:
                (folder / place).unlink(missing_ok=True)
    return unreadable


def _study(draft: Draft, places: Sequence[str], folder: Path, table: Path) -> Study:
    assert draft.split is not None
    views = []
    for place, (_, position) in zip(places, draft.pictures, strict=True):
        width, height = picture_size(folder / place)
        views.append(View(path=place, position=position, width=width, height=height))
    return Study(
        id=draft.id,
        split=draft.split,
        views=tuple(views),
        report=draft.report,
        sections=draft.sections,
        patient=draft.patient,
        source=draft.where.replace(str(table), table.name, 1),
    )
