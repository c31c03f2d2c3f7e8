"""Corpora from a table of a user's own and a folder of pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from xpronet.data.assembly import (
    Places,
    cache_pictures,
    clear_waiting,
    finished_study,
    order_views,
    place_pictures,
    waiting_pictures,
)
from xpronet.data.cache import STANDARD, LowRange, PictureForm, Unreadable
from xpronet.data.corpus import write_corpus
from xpronet.data.drafts import Draft, draw_splits, straddling
from xpronet.data.records import SPLITS
from xpronet.data.table_rows import FORMS, Form, read_drafts
from xpronet.errors import InputError
from xpronet.files import confined, new_folder
from xpronet.progress import Tracker, silent


@dataclass(frozen=True, kw_only=True)
class TableSettings:
    """Which table becomes a corpus, and how."""

    table: Path
    """The file."""
    form: Form
    """What kind of file it is."""
    images: Path | None
    """The folder that picture paths start from; None makes a corpus of texts."""
    pictures: PictureForm = STANDARD
    """Size and depth of the stored pictures."""
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
    low_range: Sequence[str] = ()
    """A warning for each image that uses little of its grey range."""


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
                    draft.problem = "a picture that cannot be read"
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
    return Prepared(
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
            draft.problem = "no picture named"
        elif len({path for path, _ in draft.pictures}) < len(draft.pictures):
            draft.problem = "a picture that stands twice"
        elif not all(confined(images, path).is_file() for path, _ in draft.pictures):
            draft.problem = "a picture that is missing"


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
