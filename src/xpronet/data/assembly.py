"""What all preparers share: pictures into the corpus folder, drafts into studies."""

import hashlib
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from xpronet.data.cache import LowRange, PictureForm, Unreadable, make_cache
from xpronet.data.corpus import IMAGES_FOLDER
from xpronet.data.dicom import read_view_position
from xpronet.data.drafts import Draft
from xpronet.data.images import read_header
from xpronet.data.records import Study, View
from xpronet.errors import InputError
from xpronet.progress import Tracker

FRONTAL = ("PA", "AP", "FRONTAL")
LATERAL = ("LL", "RL", "LLD", "RLD", "L", "LAT")
"""View positions that are read after the frontal ones, beside everything that begins with LATERAL."""

Places = Mapping[str, Sequence[str]]
"""Where each study's pictures lie in the corpus, by study id."""


def order_views(drafts: Sequence[Draft], images: Path) -> None:
    """Put frontal views first, asking DICOM headers where the source does not name a view's position."""
    for draft in drafts:
        known = [(path, position or _header_position(images / path)) for path, position in draft.pictures]
        draft.pictures = sorted(known, key=lambda picture: reading_rank(picture[1]))


def reading_rank(position: str | None) -> int:
    """Return 0 for frontal views, 2 for lateral ones, 1 for what nobody knows."""
    if position is None:
        return 1
    if position.startswith(FRONTAL):
        return 0
    return 2 if position in LATERAL or position.startswith("LATERAL") else 1


def count_views(drafts: Sequence[Draft]) -> Counter[str]:
    """Return how many pictures are frontal, lateral or unknown."""
    kinds = ("frontal", "unknown", "lateral")
    return Counter(kinds[reading_rank(position)] for draft in drafts for _, position in draft.pictures)


def name_places(drafts: Sequence[Draft]) -> Places:
    """Return corpus paths that are readable, safe on every file system and distinct."""
    names = {draft.id: re.sub(r"[^A-Za-z0-9_-]+", "_", draft.id)[:64] for draft in drafts}
    uses = Counter(name.lower() for name in names.values())
    places = {}
    for draft in drafts:
        name = names[draft.id]
        if name != draft.id or uses[name.lower()] > 1:
            name += "-" + hashlib.sha256(os.fsencode(draft.id)).hexdigest()[:8]
        places[draft.id] = [f"{IMAGES_FOLDER}/{name}-{view}.png" for view in range(1, len(draft.pictures) + 1)]
    return places


def kept_pictures(out: Path) -> Path:
    """Return the folder beside a corpus where its pictures wait until all are done."""
    return out.absolute().with_name(f".{out.absolute().name}.pictures")


def waiting_pictures(out: Path) -> str:
    """Return what a user must know of the pictures that wait beside `out`, as the end of a message; often nothing."""
    kept = kept_pictures(out)
    count = sum(path.suffix == ".png" for path in kept.iterdir()) if kept.is_dir() else 0
    return f" ({count:,} pictures made so far wait in {kept.name} for the next try)" if count else ""


def clear_waiting(out: Path) -> None:
    """Remove what a stopped try left beside `out`: the corpus is whole, or needs no pictures."""
    shutil.rmtree(kept_pictures(out), ignore_errors=True)


def cache_pictures(
    drafts: Sequence[Draft],
    images: Path,
    out: Path,
    form: PictureForm,
    track: Tracker,
    warn: Callable[[LowRange], object],
) -> list[Unreadable]:
    """Make the grey pictures of all studies beside `out`; return those that cannot be read, warn of dark ones.

    What is made stays there until `place_pictures` moves it, so that the next try goes on where this one stopped. The
    names there stand for source, size and depth: another choice of studies finds its own pictures and no other's.
    """
    kept = kept_pictures(out)
    sources = dict.fromkeys(images / path for draft in drafts for path, _ in draft.pictures)
    return make_cache([(source, _kept(kept, source, form)) for source in sources], form, track=track, warn=warn)


def place_pictures(drafts: Sequence[Draft], images: Path, out: Path, folder: Path, form: PictureForm) -> Places:
    """Move the pictures that `cache_pictures` made into the corpus `folder`, and return where they lie."""
    places = name_places(drafts)
    kept = kept_pictures(out)
    (folder / IMAGES_FOLDER).mkdir(exist_ok=True)
    uses = Counter(path for draft in drafts for path, _ in draft.pictures)
    for draft in drafts:
        for place, (path, _) in zip(places[draft.id], draft.pictures, strict=True):
            source = _kept(kept, images / path, form)
            uses[path] -= 1
            if uses[path]:
                shutil.copyfile(source, folder / place)
            else:
                os.replace(source, folder / place)
    return places


def finished_study(draft: Draft, places: Sequence[str], folder: Path) -> Study:
    """Return the study of a draft whose pictures are in place."""
    assert draft.split is not None
    views = []
    for place, (_, position) in zip(places, draft.pictures, strict=True):
        width, height, _ = read_header(folder / place)
        views.append(View(path=place, position=position, width=width, height=height))
    return Study(
        id=draft.id,
        split=draft.split,
        views=tuple(views),
        report=draft.report,
        sections=draft.sections,
        patient=draft.patient,
        source=draft.where,
    )


def _kept(kept: Path, source: Path, form: PictureForm) -> Path:
    name = hashlib.sha256(os.fsencode(f"{form.short_side} {form.depth} {source.absolute()}")).hexdigest()
    return kept / f"{name}.png"


def _header_position(path: Path) -> str | None:
    try:
        return read_view_position(path)
    except InputError:
        return None  # the picture is refused, with the reason, when it is cached
