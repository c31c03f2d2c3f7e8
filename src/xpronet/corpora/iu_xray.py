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
from xpronet.corpora.build import MISSING, BuildSettings, BuildSummary, LeftOut, build_release
from xpronet.corpora.iu_reports import IuReport, image_name, read_iu_reports, read_projections
from xpronet.corpora.source import SourceCorpus, SourceStudy, count_views, draw_splits
from xpronet.corpora.table import read_table
from xpronet.errors import InputError
from xpronet.files import confined
from xpronet.progress import Tracker, silent
from xpronet.text.sections import MissingChoice, TextChoice, chosen_text

NAME = "IU X-Ray"
LICENCE = "CC BY-NC-ND 4.0 (Open-i, Indiana University)"
PUBLISHED_STUDIES = {"train": 2069, "val": 296, "test": 590}
"""R2Gen's split, which the field's tables use."""
ANNOTATED_STUDY = re.compile(r"^CXR(\d{1,9})_")
ANNOTATED_IMAGE = re.compile(r"^[^/]+/(\d{1,3})\.png$")
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
    """See `image_name`."""
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
    out: Path, settings: IuSettings, build: BuildSettings, *, overwrite: bool = False, track: Tracker = silent
) -> IuPrepared:
    """Write a corpus folder from the collection's reports and images.

    An archive of images is unpacked beside `out` first (only those needed), and removed when the corpus is done.

    Args:
        out: the corpus folder.
        settings: which studies and texts.
        build: what is made of them.
        overwrite: replace what is at `out`.
        track: shows progress.

    Raises:
        InputError: a file is malformed or hostile, more is missing than tolerated, or `out` exists.
    """
    if out.is_dir() and any(out.iterdir()) and not overwrite:
        raise InputError(f"{out}: already exists; choose another name or add --overwrite")
    reports, refused = read_iu_reports(settings.reports)
    left_out = [LeftOut(study="", file=name, reason=reason) for name, reason in refused]
    studies, references, dropped = _studies(reports, settings)
    differing, compared = [], 0
    if settings.annotation is not None:
        compared = len(studies)
        differing = [
            study.id for study in studies if _report(study.id, reports).sections.get("findings") != study.report
        ]
    for study in studies:
        study.report, study.problem = chosen_text(study.sections, settings.text, settings.missing)
        if study.problem is not None:
            dropped[study.problem] += 1
    studies = [study for study in studies if study.problem is None]
    if settings.annotation is None:
        draw_splits(studies, int(settings.split.partition(":")[2]), str(settings.reports))
    unused = 0
    unpacked = out.absolute().with_name(f".{out.absolute().name}.unpacked")
    images = settings.images
    if images is not None:
        if is_archive(images) and not images.is_dir():
            needed = {reference.name for study in studies for reference in references[study.id]}
            unpack(
                images,
                unpacked,
                lambda path: image_name(path.rpartition("/")[2]) in needed,
                total=len(needed),
                track=track,
            )
            images = unpacked
        found = find_images(images)
        left_out += _assign_images(studies, references, images, found, {**_captioned(reports), **_positions(settings)})
        unused = len(found.keys() - {reference.name for study in studies for reference in references[study.id]})
    table = projections_table(settings)
    prepared = build_release(
        out,
        SourceCorpus(name=NAME, studies=studies, images=images, licence=LICENCE),
        build,
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
        left_out=left_out,
        overwrite=overwrite,
        track=track,
    )
    shutil.rmtree(unpacked, ignore_errors=True)
    return IuPrepared(
        corpus=prepared, compared=compared, differing=differing, unused=unused, views=count_views(studies)
    )


def annotated_image(path: str, reports: Mapping[str, IuReport]) -> str | None:
    """Return the name of the image that an annotation file calls `path`, None where the reports have none such.

    R2Gen renamed the images of a study to 0.png, 1.png; its numbers count the images in the order of the XML.

    Raises:
        InputError: the path is none of R2Gen's.
    """
    number = ANNOTATED_IMAGE.match(path)
    if number is None:
        raise InputError(f"image {path[:80]!r}: R2Gen's annotation.json has paths such as CXR1_1_IM-0001/0.png")
    images = _report(path, reports).images
    return images[int(number[1])] if int(number[1]) < len(images) else None


def _report(annotated_id: str, reports: Mapping[str, IuReport]) -> IuReport:
    number = ANNOTATED_STUDY.match(annotated_id)
    report = reports.get(f"CXR{int(number[1])}") if number else None
    if report is None:
        raise InputError(
            f"study {annotated_id[:80]!r} of the annotation file is not among the reports; give all of them"
        )
    return report


def _studies(
    reports: Mapping[str, IuReport], settings: IuSettings
) -> tuple[list[SourceStudy], dict[str, list[Reference]], Counter[str]]:
    """Return the studies, the images of each, and how many of the collection are no study, by reason."""
    if settings.annotation is not None:
        return _annotated(reports, settings.annotation, settings.images)
    chosen = [report for report in reports.values() if report.images or settings.images is None]
    studies = [
        SourceStudy(id=report.id, where=report.where, report="", patient=report.id, sections=report.sections)
        for report in chosen
    ]
    references = {report.id: [Reference(name, None) for name in report.images] for report in chosen}
    return studies, references, Counter({"no image in the collection": len(reports) - len(chosen)})


def _annotated(
    reports: Mapping[str, IuReport], annotation: Path, images: Path | None
) -> tuple[list[SourceStudy], dict[str, list[Reference]], Counter[str]]:
    studies = read_table(annotation, "annotation")
    references: dict[str, list[Reference]] = {}
    for study in studies:
        report = _report(study.id, reports)
        references[study.id] = []
        for path, _ in study.images:
            confined(images or annotation.parent, path, follow_links=True)
            references[study.id].append(Reference(annotated_image(path, reports) or path, path))
        study.report = " ".join(study.report.split())
        study.patient, study.where, study.sections, study.images = report.id, report.where, report.sections, []
    outside = len(reports) - len({study.patient for study in studies})
    return studies, references, Counter({"no place in R2Gen's split": outside})


def _captioned(reports: Mapping[str, IuReport]) -> dict[str, str]:
    return {report.images[0]: report.position for report in reports.values() if report.position is not None}


def _positions(settings: IuSettings) -> dict[str, str]:
    table = projections_table(settings)
    return {} if table is None else read_projections(table)


def projections_table(settings: IuSettings) -> Path | None:
    """Return the table of view positions: the one given, else Kaggle's beside the reports."""
    if settings.projections is not None:
        return settings.projections
    folder = settings.reports if settings.reports.is_dir() else settings.reports.parent
    beside = folder / "indiana_projections.csv"
    return beside if beside.is_file() else None


def _assign_images(
    studies: Sequence[SourceStudy],
    references: Mapping[str, Sequence[Reference]],
    images: Path,
    found: Mapping[str, str],
    positions: Mapping[str, str],
) -> list[LeftOut]:
    """Add the images that are under `images` to the studies; return those that are not there."""
    left_out = []
    for study in studies:
        for reference in references[study.id]:
            own = reference.path is not None and (images / reference.path).is_file()
            path = reference.path if own else found.get(reference.name)
            if path is None:
                left_out.append(LeftOut(study=study.id, file=reference.name, reason=MISSING))
            else:
                study.images.append((path, positions.get(reference.name)))
    return left_out


def find_images(images: Path) -> dict[str, str]:
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
            name = image_name(file)
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
