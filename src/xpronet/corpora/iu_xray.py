"""Corpora from the Indiana University chest X-ray collection, as Open-i or Kaggle hands it out."""

import os
import re
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from xpronet.corpora.archives import is_archive, unpack
from xpronet.corpora.build import MISSING, BuildSummary, Lost, ReleaseSettings, count_views, write_release
from xpronet.corpora.iu_reports import IuReport, picture_name, read_iu_reports, read_projections
from xpronet.corpora.staging import Draft, draw_splits
from xpronet.corpora.table import read_drafts
from xpronet.errors import InputError
from xpronet.files import confined
from xpronet.progress import Tracker, silent
from xpronet.text.sections import MissingChoice, TextChoice, chosen_text

NAME = "IU X-Ray"
LICENCE = "CC BY-NC-ND 4.0 (Open-i, Indiana University)"
PUBLISHED_STUDIES = {"train": 2069, "val": 296, "test": 590}
"""R2Gen's split, which the field's tables use."""
ANNOTATED_STUDY = re.compile(r"^CXR(\d{1,9})_")
ANNOTATED_PICTURE = re.compile(r"^[^/]+/(\d{1,3})\.png$")
COPIES = {
    ".dcm.png": "the Kaggle copy",
    ".dcm": "DICOM",
    ".dicom": "DICOM",
    ".jpg": "JPEG files",
    ".jpeg": "JPEG files",
}


@dataclass(frozen=True, kw_only=True)
class IuSettings:
    """Which copy of the collection becomes a corpus, and how."""

    reports: Path
    """Open-i's archive of XML reports, a folder of them, or Kaggle's indiana_reports.csv."""
    images: Path | None
    """An archive or folder of Open-i's PNG, Kaggle's or DICOM images; None makes a corpus of texts."""
    split: str
    """"r2gen:FILE" takes studies, split and images from an annotation.json; "seed:N" draws a split by patient."""
    text: TextChoice = "findings"
    """The sections that are learned."""
    missing: MissingChoice = "drop"
    """What a report does that lacks a section asked for."""
    projections: Path | None = None
    """A CSV of `filename` and `projection`: which images are frontal, which lateral."""

    def __post_init__(self) -> None:
        kind, _, value = self.split.partition(":")
        if kind not in ("r2gen", "seed") or not value or (kind == "seed" and not value.isdecimal()):
            raise InputError(f"split {self.split!r}: give r2gen:annotation.json or seed:N")

    @property
    def annotation(self) -> Path | None:
        """The annotation file of the split, None where the split is drawn."""
        kind, _, value = self.split.partition(":")
        return Path(value) if kind == "r2gen" else None


class Reference(NamedTuple):
    """An image that a study names."""

    name: str
    """See `picture_name`."""
    path: str | None
    """Its path in R2Gen's own copy, where an annotation file names it."""


@dataclass(frozen=True, kw_only=True)
class IuPrepared:
    """What became of the collection."""

    corpus: BuildSummary
    """Counts of studies and images."""
    compared: int
    """Studies whose findings were compared with the annotation file's report."""
    differing: Sequence[str]
    """Ids of those that differ in more than white space."""
    unused: int
    """The collection's images that were found and that no study of the corpus names."""
    views: Counter[str]
    """Images by what is known of them: frontal, lateral, unknown."""


def make_iu_xray(
    out: Path, settings: IuSettings, release: ReleaseSettings, *, overwrite: bool = False, track: Tracker = silent
) -> IuPrepared:
    """Write a corpus folder from the collection's reports and images.

    An archive of images is unpacked beside `out` first (only those needed), and removed when the corpus is done.

    Args:
        out: the corpus folder.
        settings: which studies and texts.
        release: what is made of images; its `images` is replaced by where they are found.
        overwrite: replace what is at `out`.
        track: told of files unpacked and images made.

    Raises:
        InputError: a file is malformed or hostile, more is missing than tolerated, or `out` exists.
    """
    if out.is_dir() and any(out.iterdir()) and not overwrite:
        raise InputError(f"{out}: already exists; choose another name or add --overwrite")
    reports, refused = read_iu_reports(settings.reports)
    lost = [Lost(study="", file=name, reason=reason) for name, reason in refused]
    drafts, references, dropped = _drafts(reports, settings)
    differing, compared = [], 0
    if settings.annotation is not None:
        compared = len(drafts)
        differing = [
            draft.id for draft in drafts if _report(draft.id, reports).sections.get("findings") != draft.report
        ]
    for draft in drafts:
        draft.report, draft.problem = chosen_text(draft.sections, settings.text, settings.missing)
        dropped[draft.problem or ""] += 1
    del dropped[""]
    drafts = [draft for draft in drafts if draft.problem is None]
    if settings.annotation is None:
        draw_splits(drafts, int(settings.split.partition(":")[2]), str(settings.reports))
    unused = 0
    unpacked = out.absolute().with_name(f".{out.absolute().name}.unpacked")
    images = settings.images
    if images is not None:
        if is_archive(images) and not images.is_dir():
            needed = {reference.name for draft in drafts for reference in references[draft.id]}
            unpack(
                images,
                unpacked,
                lambda path: picture_name(path.rpartition("/")[2]) in needed,
                total=len(needed),
                track=track,
            )
            images = unpacked
        found = find_pictures(images)
        lost += _place_pictures(drafts, references, images, found, {**_captioned(reports), **_positions(settings)})
        unused = len(found.keys() - {reference.name for draft in drafts for reference in references[draft.id]})
    table = projections_table(settings)
    prepared = write_release(
        out,
        drafts,
        ReleaseSettings(**{**vars(release), "images": images}),
        name=NAME,
        licence=LICENCE,
        made={
            "command": "prepare iu-xray",
            "reports": settings.reports.name,
            "images": None if settings.images is None else settings.images.name,
            "split": settings.split if settings.annotation is None else f"r2gen:{settings.annotation.name}",
            "text": settings.text,
            "missing": settings.missing,
            "projections": None if settings.images is None or table is None else table.name,
        },
        dropped=dropped,
        lost=lost,
        overwrite=overwrite,
        track=track,
    )
    shutil.rmtree(unpacked, ignore_errors=True)
    return IuPrepared(corpus=prepared, compared=compared, differing=differing, unused=unused, views=count_views(drafts))


def annotated_picture(path: str, reports: Mapping[str, IuReport]) -> str | None:
    """Return the name of the image that an annotation file calls `path`, None where the reports have none such.

    R2Gen renamed the images of a study to 0.png, 1.png; its numbers count the images in the order of the XML.

    Raises:
        InputError: the path is none of R2Gen's.
    """
    number = ANNOTATED_PICTURE.match(path)
    if number is None:
        raise InputError(f"image {path[:80]!r}: R2Gen's annotation.json has paths such as CXR1_1_IM-0001/0.png")
    pictures = _report(path, reports).pictures
    return pictures[int(number[1])] if int(number[1]) < len(pictures) else None


def _report(annotated_id: str, reports: Mapping[str, IuReport]) -> IuReport:
    number = ANNOTATED_STUDY.match(annotated_id)
    report = reports.get(f"CXR{int(number[1])}") if number else None
    if report is None:
        raise InputError(
            f"study {annotated_id[:80]!r} of the annotation file is not among the reports; give all of them"
        )
    return report


def _drafts(
    reports: Mapping[str, IuReport], settings: IuSettings
) -> tuple[list[Draft], dict[str, list[Reference]], Counter[str]]:
    """Return the studies, the images of each, and how many of the collection are no study, by reason."""
    if settings.annotation is not None:
        return _annotated(reports, settings.annotation, settings.images)
    chosen = [report for report in reports.values() if report.pictures or settings.images is None]
    drafts = [
        Draft(
            id=report.id,
            where=report.where,
            report="",
            split=None,
            patient=report.id,
            sections=report.sections,
        )
        for report in chosen
    ]
    references = {report.id: [Reference(name, None) for name in report.pictures] for report in chosen}
    return drafts, references, Counter({"no image in the collection": len(reports) - len(chosen)})


def _annotated(
    reports: Mapping[str, IuReport], annotation: Path, images: Path | None
) -> tuple[list[Draft], dict[str, list[Reference]], Counter[str]]:
    drafts = read_drafts(annotation, "annotation")
    references: dict[str, list[Reference]] = {}
    for draft in drafts:
        report = _report(draft.id, reports)
        references[draft.id] = []
        for path, _ in draft.pictures:
            confined(images or annotation.parent, path)
            references[draft.id].append(Reference(annotated_picture(path, reports) or path, path))
        draft.report = " ".join(draft.report.split())
        draft.patient, draft.where, draft.sections, draft.pictures = report.id, report.where, report.sections, []
    outside = len(reports) - len({draft.patient for draft in drafts})
    return drafts, references, Counter({"no place in R2Gen's split": outside})


def _captioned(reports: Mapping[str, IuReport]) -> dict[str, str]:
    return {report.pictures[0]: report.position for report in reports.values() if report.position is not None}


def _positions(settings: IuSettings) -> dict[str, str]:
    table = projections_table(settings)
    return {} if table is None else read_projections(table)


def projections_table(settings: IuSettings) -> Path | None:
    """Return the table that marks views: the one given, else Kaggle's where it lies with the reports."""
    if settings.projections is not None:
        return settings.projections
    folder = settings.reports if settings.reports.is_dir() else settings.reports.parent
    beside = folder / "indiana_projections.csv"
    return beside if beside.is_file() else None


def _place_pictures(
    drafts: Sequence[Draft],
    references: Mapping[str, Sequence[Reference]],
    images: Path,
    found: Mapping[str, str],
    positions: Mapping[str, str],
) -> list[Lost]:
    """Give the drafts the images that are under `images`; return those that are not."""
    lost = []
    for draft in drafts:
        for reference in references[draft.id]:
            own = reference.path is not None and (images / reference.path).is_file()
            path = reference.path if own else found.get(reference.name)
            if path is None:
                lost.append(Lost(study=draft.id, file=reference.name, reason=MISSING))
            else:
                draft.pictures.append((path, positions.get(reference.name)))
    return lost


def find_pictures(images: Path) -> dict[str, str]:
    """Return the path under `images` of each of the collection's images, by name; subfolders are looked through.

    Raises:
        InputError: the folder is missing, holds two files of one image, or mixes copies, whose contrast differs.
    """
    if not images.is_dir():
        raise InputError(f"{images}: neither a folder of images nor an archive (.tgz, .tar, .zip)")
    found: dict[str, str] = {}
    copies: dict[str, str] = {}
    for folder, subfolders, files in os.walk(images):
        subfolders.sort()
        for file in sorted(files):
            name = picture_name(file)
            if name is None:
                continue
            path = Path(folder, file).relative_to(images).as_posix()
            copy = next(
                (copy for suffix, copy in COPIES.items() if file.lower().endswith(suffix)), "Open-i's PNG files"
            )
            copies.setdefault(copy, path)
            if name in found:
                raise InputError(f"{images}: {found[name]} and {path} are the same image; keep one")
            found[name] = path
    if len(copies) > 1:
        mixed = " and ".join(f"{copy} ({path})" for copy, path in copies.items())
        raise InputError(f"{images}: holds {mixed}, whose contrast differs; give a folder with one of them")
    return found
