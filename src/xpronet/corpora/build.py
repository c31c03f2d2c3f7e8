"""From the studies of a release to a corpus folder; what is missing or damaged is listed, up to a limit."""

import hashlib
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from xpronet.corpora.image_cache import STANDARD, LowRange, PictureForm, Unreadable, make_cache
from xpronet.corpora.staging import Draft, straddling
from xpronet.data.corpus import IMAGES_FOLDER, write_corpus
from xpronet.data.study import SPLITS, Study, View
from xpronet.errors import InputError
from xpronet.files import new_folder, write_json_lines
from xpronet.images.dicom import read_view_position
from xpronet.images.read import read_header
from xpronet.progress import Tracker, silent

FRONTAL = ("PA", "AP", "FRONTAL")
LATERAL = ("LL", "RL", "LLD", "RLD", "L", "LAT")
"""View positions that are read after the frontal ones, beside everything that begins with LATERAL."""

Places = Mapping[str, Sequence[str]]
"""Where each study's images lie in the corpus, by study id."""


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
    """Return how many images are frontal, lateral or unknown."""
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
    """Return the folder beside a corpus where its images wait until all are done."""
    return out.absolute().with_name(f".{out.absolute().name}.pictures")


def waiting_pictures(out: Path) -> str:
    """Return what a user must know of the images that wait beside `out`, as the end of a message; often nothing."""
    kept = kept_pictures(out)
    count = sum(path.suffix == ".png" for path in kept.iterdir()) if kept.is_dir() else 0
    return f" ({count:,} images made so far wait in {kept.name} for the next try)" if count else ""


def clear_waiting(out: Path) -> None:
    """Remove what a stopped try left beside `out`: the corpus is whole, or needs no images."""
    shutil.rmtree(kept_pictures(out), ignore_errors=True)


def cache_pictures(
    drafts: Sequence[Draft],
    images: Path,
    out: Path,
    form: PictureForm,
    track: Tracker,
    warn: Callable[[LowRange], object],
) -> list[Unreadable]:
    """Make the grey images of all studies beside `out`; return those that cannot be read, warn of dark ones.

    What is made stays there until `place_pictures` moves it, so that the next try goes on where this one stopped. The
    names there stand for source, size and depth: another choice of studies finds its own images and no other's.
    """
    kept = kept_pictures(out)
    sources = dict.fromkeys(images / path for draft in drafts for path, _ in draft.pictures)
    return make_cache([(source, _kept(kept, source, form)) for source in sources], form, track=track, warn=warn)


def place_pictures(drafts: Sequence[Draft], images: Path, out: Path, folder: Path, form: PictureForm) -> Places:
    """Move the images that `cache_pictures` made into the corpus `folder`, and return where they lie."""
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
    """Return the study of a draft whose images are in place."""
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
        return None  # the image is refused, with the reason, when it is cached


LEFT_OUT_FILE = "left_out.jsonl"
"""In a corpus folder: which images and files of the release are not in it, and why."""

Finish = Callable[[Path, Sequence[str]], None]
"""What else is written into the new folder, told the ids of its studies."""


@dataclass(frozen=True, kw_only=True)
class ReleaseSettings:
    """What is made of a release's images."""

    images: Path | None
    """The folder that image paths start from; None makes a corpus of texts."""
    pictures: PictureForm = STANDARD
    """Size and depth of the stored images."""
    tolerate: int = 0
    """How many images and files may be missing or damaged."""
    without_picture: Literal["keep", "drop"] = "keep"
    """What becomes of a study none of whose images is there: its text stays, or it is left out."""

    def __post_init__(self) -> None:
        if self.tolerate < 0:
            raise InputError(f"tolerate = {self.tolerate}: give the number of images that may be missing")


@dataclass(frozen=True, kw_only=True)
class Lost:
    """An image or file of the release that is not in the corpus."""

    study: str
    """Whose it is; empty for a file that belongs to none."""
    file: str
    """Its name in the release."""
    reason: str
    """Why, in one line."""


@dataclass(frozen=True, kw_only=True)
class BuildSummary:
    """What became of a release."""

    studies: Mapping[str, int]
    """Studies in each split."""
    pictures: Mapping[str, int]
    """Images in each split."""
    dropped: Mapping[str, int]
    """Studies of the release that are not in the corpus, by reason."""
    lost: Sequence[Lost]
    """Images and files that are missing or damaged."""
    pictureless: int
    """Studies in the corpus without any image."""
    straddling: Sequence[str]
    """Patients whom the split puts on more than one side; scores on them are too good."""
    low_range: Sequence[str] = ()
    """A warning for each image that uses little of its grey range."""

    def lost_by_reason(self) -> Counter[str]:
        """Return how many are lost for each reason, without the names."""
        return Counter("missing" if lost.reason == MISSING else "damaged" for lost in self.lost)


MISSING = "missing"
"""The reason of an image that the release names and the folder does not hold."""


def write_release(
    out: Path,
    drafts: Sequence[Draft],
    settings: ReleaseSettings,
    *,
    name: str,
    licence: str,
    made: Mapping[str, Any],
    dropped: Counter[str],
    lost: list[Lost],
    overwrite: bool = False,
    track: Tracker = silent,
    finish: Finish | None = None,
) -> BuildSummary:
    """Write the corpus folder of a release, whole or not at all.

    Images that cannot be read join `lost`; a study keeps the others.

    Args:
        out: the corpus folder.
        drafts: the studies, each with a split and with the images that are there.
        settings: what is made of the images.
        name: of the corpus.
        licence: of its texts and images.
        made: the command and its settings, for corpus.json.
        dropped: studies that the reader left out, by reason.
        lost: images and files that the reader missed.
        overwrite: replace what is at `out`.
        track: told of each image.
        finish: writes more into the folder before it is moved into place.

    Raises:
        InputError: more is lost than tolerated, no study is left, or `out` exists without `overwrite`.
    """
    lost, dropped = list(lost), Counter(dropped)
    low_range: list[LowRange] = []
    with new_folder(out, overwrite=overwrite) as folder:
        named = len(lost) + sum(len(draft.pictures) for draft in drafts)
        _check_tolerance(lost, named, settings, out)
        places: Places = {draft.id: () for draft in drafts}
        if settings.images is not None:
            order_views(drafts, settings.images)
            lost += _cached(drafts, settings.images, out, settings.pictures, track, low_range.append)
            _check_tolerance(lost, named, settings, out)
            if settings.without_picture == "drop":
                kept = [draft for draft in drafts if draft.pictures]
                dropped["no image that can be read"] += len(drafts) - len(kept)
                drafts = kept
            places = place_pictures(drafts, settings.images, out, folder, settings.pictures)
        if not drafts:
            raise InputError(f"{out}: no study is left ({explain_dropped(dropped)}); nothing is written")
        counts = write_corpus(
            folder,
            (finished_study(draft, places[draft.id], folder) for draft in drafts),
            name=name,
            licence=licence,
            made={
                **made,
                **({"short_side": None} if settings.images is None else asdict(settings.pictures)),
                "without_picture": settings.without_picture,
                "dropped": dict(+dropped),
                "lost": len(lost),
            },
        )
        write_json_lines(folder / LEFT_OUT_FILE, map(asdict, lost))
        if finish is not None:
            finish(folder, [draft.id for draft in drafts])
    clear_waiting(out)
    return BuildSummary(
        studies={split: counts[split] for split in SPLITS},
        pictures={split: sum(len(d.pictures) for d in drafts if d.split == split) for split in SPLITS},
        dropped=+dropped,
        lost=lost,
        pictureless=sum(not draft.pictures for draft in drafts),
        straddling=straddling([(draft.patient, draft.split) for draft in drafts]),
        low_range=[image.warning for image in low_range],
    )


def explain_dropped(dropped: Mapping[str, int]) -> str:
    """Return the reasons as one phrase: "530 with no findings, 104 with no image"."""
    return ", ".join(f"{count:,} with {reason}" for reason, count in dropped.items() if count) or "none was given"


def _cached(
    drafts: Sequence[Draft],
    images: Path,
    out: Path,
    form: PictureForm,
    track: Tracker,
    warn: Callable[[LowRange], object],
) -> list[Lost]:
    """Make the images, take those that cannot be read off their studies, and return them."""
    unreadable = cache_pictures(drafts, images, out, form, track, warn)
    reasons = {picture.path: picture.reason.replace(f"{images}/", "", 1) for picture in unreadable}
    lost = []
    for draft in drafts if reasons else ():
        for path, _ in draft.pictures:
            if images / path in reasons:
                lost.append(Lost(study=draft.id, file=path, reason=reasons[images / path]))
        draft.pictures = [picture for picture in draft.pictures if images / picture[0] not in reasons]
    return lost


def _check_tolerance(lost: Sequence[Lost], named: int, settings: ReleaseSettings, out: Path) -> None:
    if len(lost) <= settings.tolerate:
        return
    missing = [item.file for item in lost if item.reason == MISSING]
    damaged = [item.reason for item in lost if item.reason != MISSING]
    parts = [f"{len(missing):,} missing (first {missing[0]})"] if missing else []
    parts += [f"{len(damaged):,} damaged (first {damaged[0]})"] if damaged else []
    raise InputError(
        f"{settings.images or 'the reports'}: {len(lost):,} of {named:,} files of the release cannot be used: "
        f"{'; '.join(parts)}; complete them, or go on without with --tolerate {len(lost)}{waiting_pictures(out)}"
    )
