"""From studies as their source has them to a corpus folder; what cannot be used is listed, up to a limit."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from xpronet.corpora.dataset_card import write_dataset_card
from xpronet.corpora.image_cache import (
    DEFAULT_FORMAT,
    ImageFormat,
    LowRangeImage,
    clear_staging,
    describe_staged,
    place_images,
    stage_images,
)
from xpronet.corpora.source import (
    SourceCorpus,
    SourceStudy,
    describe_unusable,
    draw_splits,
    in_several_splits,
    mark_unusable,
    order_views,
)
from xpronet.data.corpus import write_corpus
from xpronet.data.study import SPLITS, Study, View
from xpronet.errors import InputError
from xpronet.files import new_folder, write_json_lines
from xpronet.images.read import read_header
from xpronet.progress import Tracker, silent

LEFT_OUT_FILE = "left_out.jsonl"
"""In a corpus folder: which images, files and studies of the source are not in it, and why."""
MISSING = "missing"
"""The reason of an image that the source names and the folder does not hold."""

WriteExtras = Callable[[Path, Sequence[str]], None]
"""Writes more into the new folder, given the ids of its studies."""


@dataclass(frozen=True, kw_only=True)
class BuildSettings:
    """How a source becomes a corpus folder."""

    image_format: ImageFormat = DEFAULT_FORMAT
    """Size and depth of the stored images."""
    tolerate: int = 0
    """How many files of a release, or studies of a table, may be unusable."""
    without_images: Literal["keep", "drop"] = "keep"
    """What becomes of a release's study none of whose images is there: its text stays, or it is left out."""
    seed: int = 0
    """Draws the split where the source has none."""

    def __post_init__(self) -> None:
        if self.tolerate < 0:
            raise InputError(f"tolerate = {self.tolerate}: give the number of files or studies that may be left out")


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """An image, file or study of the source that is not in the corpus."""

    study: str
    """The study's id; empty for a file that belongs to none."""
    file: str
    """Its name in the source."""
    reason: str
    """Why, in one line."""


@dataclass(frozen=True, kw_only=True)
class BuildSummary:
    """What became of a source."""

    studies: Mapping[str, int]
    """Studies in each split."""
    images: Mapping[str, int]
    """Images in each split."""
    dropped: Mapping[str, int]
    """Studies of the source that are not in the corpus, by reason."""
    left_out: Sequence[LeftOut]
    """What cannot be used: of a release, missing and damaged files; of other sources, whole studies."""
    without_images: int
    """Studies in the corpus without any image."""
    in_several_splits: Sequence[str]
    """Patients whose studies are in more than one split; scores on them are too good."""
    low_range: Sequence[str] = ()
    """A warning for each image that uses little of its grey range."""

    def files_by_reason(self) -> Counter[str]:
        """Return how many files of a release are missing and how many damaged."""
        return Counter(MISSING if item.reason == MISSING else "damaged" for item in self.left_out)


def build_release(
    out: Path,
    source: SourceCorpus,
    settings: BuildSettings,
    *,
    made: Mapping[str, Any],
    dropped: Counter[str],
    left_out: Sequence[LeftOut],
    overwrite: bool = False,
    track: Tracker = silent,
    write_extras: WriteExtras | None = None,
) -> BuildSummary:
    """Write the corpus folder of an owner's release, whole or not at all.

    Images that cannot be read are left out; their study keeps the others.

    Args:
        out: the corpus folder.
        source: the studies, each with a split and with the images that are there.
        settings: what is made of the images.
        made: the command and its settings, for corpus.json.
        dropped: studies that the reader left out, by reason.
        left_out: images and files that the reader found missing or damaged.
        overwrite: replace what is at `out`.
        track: shows progress.
        write_extras: writes more into the folder before it is moved into place.

    Raises:
        InputError: more files are unusable than tolerated, no study is left, or `out` exists without `overwrite`.
    """
    studies, left_out, dropped = list(source.studies), list(left_out), Counter(dropped)
    low_range: list[LowRangeImage] = []
    with new_folder(out, overwrite=overwrite) as folder:
        num_files = len(left_out) + sum(len(study.images) for study in studies)
        _check_files(left_out, num_files, source, settings, out)
        paths: Mapping[str, Sequence[str]] = {}
        if source.images is not None:
            order_views(studies, source.images)
            left_out += _remove_unreadable(studies, source.images, out, settings, track, low_range)
            _check_files(left_out, num_files, source, settings, out)
            if settings.without_images == "drop":
                complete = [study for study in studies if study.images]
                dropped["no image that can be read"] += len(studies) - len(complete)
                studies = complete
            paths = place_images(studies, source.images, out, folder, settings.image_format)
        if not studies:
            raise InputError(f"{out}: no study is left ({describe_dropped(dropped)}); nothing is written")
        made = {
            **made,
            **_format_record(source, settings),
            "without_images": settings.without_images,
            "dropped": dict(+dropped),
            "lost": len(left_out),
        }
        summary = _write(folder, studies, paths, source, made, dropped, left_out, low_range)
        if write_extras is not None:
            write_extras(folder, [study.id for study in studies])
    clear_staging(out)
    return summary


def build_studies(
    out: Path,
    source: SourceCorpus,
    settings: BuildSettings,
    *,
    where: str,
    made: Mapping[str, Any],
    overwrite: bool = False,
    track: Tracker = silent,
) -> BuildSummary:
    """Write the corpus folder of a user's own studies, whole or not at all.

    A study is left out as a whole where it has no report, no image, an id or image that is there twice, or an image
    that is missing or cannot be read.

    Args:
        out: the corpus folder.
        source: the studies.
        settings: what is made of them.
        where: what messages call the source.
        made: the command and its settings, for corpus.json.
        overwrite: replace what is at `out`.
        track: shows progress.

    Raises:
        InputError: more studies are unusable than tolerated, some lack a split, or `out` exists without `overwrite`.
    """
    studies = list(source.studies)
    low_range: list[LowRangeImage] = []
    _check_splits(studies, where)
    with new_folder(out, overwrite=overwrite) as folder:
        mark_unusable(studies, source.images)
        _check_studies(studies, settings, where)
        usable = [study for study in studies if study.problem is None]
        if usable and usable[0].split is None:
            draw_splits(usable, settings.seed, where)
        paths: Mapping[str, Sequence[str]] = {}
        if source.images is not None:
            order_views(usable, source.images)
            unreadable = stage_images(usable, source.images, out, settings.image_format, track, low_range.append)
            reasons = {image.path: image.reason for image in unreadable}
            for study in usable:
                bad = [reasons[source.images / path] for path, _ in study.images if source.images / path in reasons]
                if bad:
                    study.problem, study.detail = "an image that cannot be read", bad[0]
            _check_studies(studies, settings, where, staged=describe_staged(out))
            usable = [study for study in usable if study.problem is None]
            paths = place_images(usable, source.images, out, folder, settings.image_format)
        if not usable:
            raise InputError(f"{where}: no usable study; {describe_unusable(studies)}")
        dropped = Counter(study.problem for study in studies if study.problem is not None)
        made = {**made, **_format_record(source, settings), "seed": settings.seed, "left_out": dict(dropped)}
        left_out = [
            LeftOut(study=study.id, file=study.detail, reason=study.problem)
            for study in studies
            if study.problem is not None
        ]
        summary = _write(folder, usable, paths, source, made, dropped, left_out, low_range)
    clear_staging(out)
    return summary


def describe_dropped(dropped: Mapping[str, int]) -> str:
    """Return the reasons as one phrase: "530 with no findings, 104 with no image"."""
    return ", ".join(f"{count:,} with {reason}" for reason, count in dropped.items() if count) or "none was given"


def _write(
    folder: Path,
    studies: Sequence[SourceStudy],
    paths: Mapping[str, Sequence[str]],
    source: SourceCorpus,
    made: Mapping[str, Any],
    dropped: Counter[str],
    left_out: Sequence[LeftOut],
    low_range: Sequence[LowRangeImage],
) -> BuildSummary:
    """Write the files of a corpus whose images are in place."""
    records = (_study(study, paths.get(study.id, ()), folder) for study in studies)
    counts = write_corpus(folder, records, name=source.name, licence=source.licence, made=made)
    write_json_lines(folder / LEFT_OUT_FILE, map(asdict, left_out))
    write_dataset_card(folder)
    return BuildSummary(
        studies={split: counts[split] for split in SPLITS},
        images={split: sum(len(paths.get(s.id, ())) for s in studies if s.split == split) for split in SPLITS},
        dropped=+dropped,
        left_out=left_out,
        without_images=sum(not paths.get(study.id) for study in studies),
        in_several_splits=in_several_splits((study.patient, study.split) for study in studies),
        low_range=[image.warning for image in low_range],
    )


def _study(study: SourceStudy, paths: Sequence[str], folder: Path) -> Study:
    assert study.split is not None, "drawn where the source has none"
    views = []
    for path, (_, position) in zip(paths, study.images if paths else (), strict=True):
        width, height, _ = read_header(folder / path)
        views.append(View(path=path, position=position, width=width, height=height))
    return Study(
        id=study.id,
        split=study.split,
        views=tuple(views),
        report=study.report,
        sections=study.sections,
        patient=study.patient,
        source=study.where,
    )


def _format_record(source: SourceCorpus, settings: BuildSettings) -> dict[str, Any]:
    return {"short_side": None} if source.images is None else asdict(settings.image_format)


def _remove_unreadable(
    studies: Sequence[SourceStudy],
    images: Path,
    out: Path,
    settings: BuildSettings,
    track: Tracker,
    low_range: list[LowRangeImage],
) -> list[LeftOut]:
    """Convert the images; remove those that cannot be read from their studies, and return them."""
    unreadable = stage_images(studies, images, out, settings.image_format, track, low_range.append)
    reasons = {image.path: image.reason.replace(f"{images}/", "", 1) for image in unreadable}
    left_out = []
    for study in studies if reasons else ():
        for path, _ in study.images:
            if images / path in reasons:
                left_out.append(LeftOut(study=study.id, file=path, reason=reasons[images / path]))
        study.images = [image for image in study.images if images / image[0] not in reasons]
    return left_out


def _check_files(
    left_out: Sequence[LeftOut], num_files: int, source: SourceCorpus, settings: BuildSettings, out: Path
) -> None:
    if len(left_out) <= settings.tolerate:
        return
    missing = [item.file for item in left_out if item.reason == MISSING]
    damaged = [item.reason for item in left_out if item.reason != MISSING]
    parts = [f"{len(missing):,} missing (first {missing[0]})"] if missing else []
    parts += [f"{len(damaged):,} damaged (first {damaged[0]})"] if damaged else []
    raise InputError(
        f"{source.images or 'the reports'}: {len(left_out):,} of {num_files:,} files of the release cannot be used: "
        f"{'; '.join(parts)}; complete them, or leave them out with --tolerate {len(left_out)}{describe_staged(out)}"
    )


def _check_splits(studies: Sequence[SourceStudy], where: str) -> None:
    if not studies:
        raise InputError(f"{where}: no studies")
    wrong = next((study for study in studies if study.split not in (None, *SPLITS)), None)
    if wrong is not None:
        raise InputError(f"{wrong.where}: split {wrong.split!r} is none of {', '.join(SPLITS)}")
    without = [study for study in studies if study.split is None]
    if without and len(without) < len(studies):
        raise InputError(f"{without[0].where}: no split, while other studies have one; give all of them one, or none")


def _check_studies(studies: Sequence[SourceStudy], settings: BuildSettings, where: str, staged: str = "") -> None:
    count = sum(study.problem is not None for study in studies)
    if count > settings.tolerate:
        raise InputError(
            f"{where}: {count} of {len(studies)} studies cannot be used: {describe_unusable(studies)}; "
            f"mend them, or leave them out with --tolerate {count}{staged}"
        )
