"""From the studies of a public release to a corpus folder; what is missing or damaged is listed, up to a limit."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from xpronet.data.assembly import (
    Places,
    cache_pictures,
    clear_waiting,
    finished_study,
    order_views,
    place_pictures,
    waiting_pictures,
)
from xpronet.data.cache import STANDARD, LowRange, PictureForm
from xpronet.data.corpus import write_corpus
from xpronet.data.drafts import Draft, straddling
from xpronet.data.records import SPLITS
from xpronet.errors import InputError
from xpronet.files import new_folder, write_json_lines
from xpronet.progress import Tracker, silent

LEFT_OUT_FILE = "left_out.jsonl"
"""In a corpus folder: which pictures and files of the release are not in it, and why."""

Finish = Callable[[Path, Sequence[str]], None]
"""What else is written into the new folder, told the ids of its studies."""


@dataclass(frozen=True, kw_only=True)
class ReleaseSettings:
    """What is made of a release's pictures."""

    images: Path | None
    """The folder that picture paths start from; None makes a corpus of texts."""
    pictures: PictureForm = STANDARD
    """Size and depth of the stored pictures."""
    tolerate: int = 0
    """How many pictures and files may be missing or damaged."""
    without_picture: Literal["keep", "drop"] = "keep"
    """What becomes of a study none of whose pictures is there: its text stays, or it is left out."""

    def __post_init__(self) -> None:
        if self.tolerate < 0:
            raise InputError(f"tolerate = {self.tolerate}: give the number of pictures that may be missing")


@dataclass(frozen=True, kw_only=True)
class Lost:
    """A picture or file of the release that is not in the corpus."""

    study: str
    """Whose it is; empty for a file that belongs to none."""
    file: str
    """Its name in the release."""
    reason: str
    """Why, in one line."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What became of a release."""

    studies: Mapping[str, int]
    """Studies in each split."""
    pictures: Mapping[str, int]
    """Pictures in each split."""
    dropped: Mapping[str, int]
    """Studies of the release that are not in the corpus, by reason."""
    lost: Sequence[Lost]
    """Pictures and files that are missing or damaged."""
    pictureless: int
    """Studies in the corpus without any picture."""
    straddling: Sequence[str]
    """Patients whom the split puts on more than one side; scores on them are too good."""
    low_range: Sequence[str] = ()
    """A warning for each image that uses little of its grey range."""

    def lost_by_reason(self) -> Counter[str]:
        """Return how many are lost for each reason, without the names."""
        return Counter("missing" if lost.reason == MISSING else "damaged" for lost in self.lost)


MISSING = "missing"
"""The reason of a picture that the release names and the folder does not hold."""


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
) -> Prepared:
    """Write the corpus folder of a release, whole or not at all.

    Pictures that cannot be read join `lost`; a study keeps the others.

    Args:
        out: the corpus folder.
        drafts: the studies, each with a split and with the pictures that are there.
        settings: what is made of the pictures.
        name: of the corpus.
        licence: of its texts and pictures.
        made: the command and its settings, for corpus.json.
        dropped: studies that the reader left out, by reason.
        lost: pictures and files that the reader missed.
        overwrite: replace what is at `out`.
        track: told of each picture.
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
                dropped["no picture that can be read"] += len(drafts) - len(kept)
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
    return Prepared(
        studies={split: counts[split] for split in SPLITS},
        pictures={split: sum(len(d.pictures) for d in drafts if d.split == split) for split in SPLITS},
        dropped=+dropped,
        lost=lost,
        pictureless=sum(not draft.pictures for draft in drafts),
        straddling=straddling([(draft.patient, draft.split) for draft in drafts]),
        low_range=[image.warning for image in low_range],
    )


def explain_dropped(dropped: Mapping[str, int]) -> str:
    """Return the reasons as one phrase: "530 with no findings, 104 with no picture"."""
    return ", ".join(f"{count:,} with {reason}" for reason, count in dropped.items() if count) or "none was given"


def _cached(
    drafts: Sequence[Draft],
    images: Path,
    out: Path,
    form: PictureForm,
    track: Tracker,
    warn: Callable[[LowRange], object],
) -> list[Lost]:
    """Make the pictures, take those that cannot be read off their studies, and return them."""
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
