"""Corpora from MIMIC-CXR and MIMIC-CXR-JPG, in the layout that PhysioNet hands out."""

import os
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from xpronet.corpora.archives import TEXTS, is_archive, read_files
from xpronet.corpora.build import MISSING, BuildSettings, BuildSummary, LeftOut, WriteExtras, build_release
from xpronet.corpora.source import SourceCorpus, SourceStudy
from xpronet.corpora.table import SPLIT_NAMES
from xpronet.csv_files import read_rows
from xpronet.errors import InputError
from xpronet.progress import Tracker, silent
from xpronet.text.sections import MissingChoice, TextChoice, chosen_text, read_sections

NAME = "MIMIC-CXR"
LICENCE = "PhysioNet Credentialed Health Data License 1.5.0: no sharing, no attempt to identify anybody"
PUBLISHED_IMAGES = {"train": 270_790, "val": 2_130, "test": 3_858}
"""R2Gen's images, each with its study's findings, which the field's tables use."""
NUMBER = re.compile(r"\d{1,12}")
DICOM_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
REPORT_FILE = re.compile(r"s(\d{1,12})\.txt", re.IGNORECASE)
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".dcm", ".png")
UNREADABLE_REPORT = "no report that can be read"


@dataclass(frozen=True, kw_only=True)
class MimicSettings:
    """Which files become a corpus, and how."""

    root: Path
    """The folder that holds `files/` and the tables."""
    reports: Path | None = None
    """A folder or archive; by default mimic-cxr-reports or mimic-cxr-reports.zip in the root, or the root."""
    images: Path | None
    """The folder that holds `files/`, the root as a rule; None makes a corpus of texts."""
    unit: Literal["study", "image"] = "study"
    """What a study of the corpus is: an examination with all its views, or (as published) each image by itself."""
    text: TextChoice = "findings"
    """The sections that are learned."""
    missing: MissingChoice = "drop"
    """What a report does that lacks a section asked for."""
    unheaded: Literal["take", "drop"] = "take"
    """Whether findings without a heading count as findings."""
    labels: Path | None = None
    """A label table; studies without a row there are left out. None asks for no labels."""


@dataclass(frozen=True, kw_only=True)
class MimicPrepared:
    """What became of the release."""

    corpus: BuildSummary
    """Counts of studies and images."""
    unheaded: int
    """Reports whose findings had no heading."""


def find_table(root: Path, name: str) -> Path:
    """Return the release's table of that name: "split", "metadata" or "chexpert".

    Raises:
        InputError: there is none, or several versions.
    """
    if not root.is_dir():
        raise InputError(f"{root}: no such folder")
    found = sorted(root.glob(f"mimic-cxr-*-{name}.csv.gz")) or sorted(root.glob(f"mimic-cxr-*-{name}.csv"))
    if len(found) != 1:
        raise InputError(f"{root}: {len(found)} tables mimic-cxr-*-{name}.csv.gz; one is needed (of MIMIC-CXR-JPG)")
    return found[0]


def make_mimic_cxr(
    out: Path,
    settings: MimicSettings,
    build: BuildSettings,
    *,
    overwrite: bool = False,
    track: Tracker = silent,
    write_extras: WriteExtras | None = None,
) -> MimicPrepared:
    """Write a corpus folder from the official files: their split, their view positions, our sections.

    Args:
        out: the corpus folder.
        settings: which texts, and what a study is.
        build: what is made of the images.
        overwrite: replace what is at `out`.
        track: shows progress.
        write_extras: see `build_release`.

    Raises:
        InputError: a table is malformed, more is missing than tolerated, or `out` exists.
    """
    if out.is_dir() and any(out.iterdir()) and not overwrite:
        raise InputError(f"{out}: already exists; choose another name or add --overwrite")
    by_id = _studies(settings.root)
    dropped: Counter[str] = Counter()
    left_out: list[LeftOut] = []
    if settings.labels is not None:
        labelled = {row["study_id"].removeprefix("s") for row, _ in read_rows(settings.labels, ("study_id",))}
        unlabelled = [study_id for study_id in by_id if study_id.removeprefix("s") not in labelled]
        dropped["no row in the label table"] = len(unlabelled)
        for study_id in unlabelled:
            del by_id[study_id]
    unheaded = _read_texts(by_id, settings, left_out, dropped, track)
    studies = [study for study in by_id.values() if study.problem is None]
    if settings.images is None:
        for study in studies:
            study.images = []
    else:
        for study in track(studies, "Find images", len(studies)):
            left_out += _find_images(study, settings.images)
    if settings.unit == "image":
        studies = [single for study in studies for single in _one_study_an_image(study)]
    prepared = build_release(
        out,
        SourceCorpus(name=NAME, studies=studies, images=settings.images, licence=LICENCE),
        build,
        made={
            "command": "prepare mimic-cxr",
            "unit": settings.unit,
            "text": settings.text,
            "missing": settings.missing,
            "unheaded": settings.unheaded,
            "labels": None if settings.labels is None else settings.labels.name,
        },
        dropped=dropped,
        left_out=left_out,
        overwrite=overwrite,
        track=track,
        write_extras=write_extras,
    )
    return MimicPrepared(corpus=prepared, unheaded=unheaded)


def _studies(root: Path) -> dict[str, SourceStudy]:
    """Return the studies of the official split with their images' ids and view positions."""
    positions = {
        row["dicom_id"]: sys.intern(row["viewposition"].strip().upper())
        for row, _ in read_rows(find_table(root, "metadata"), ("dicom_id", "viewposition"))
    }
    studies: dict[str, SourceStudy] = {}
    for row, where in read_rows(find_table(root, "split"), ("dicom_id", "study_id", "subject_id", "split")):
        number, subject, dicom = row["study_id"].strip(), row["subject_id"].strip(), row["dicom_id"].strip()
        if not (NUMBER.fullmatch(number) and NUMBER.fullmatch(subject) and DICOM_ID.fullmatch(dicom)):
            raise InputError(f"{where}: not the numbers of a study and a subject and the name of an image")
        split = SPLIT_NAMES.get(row["split"].strip().lower())
        if split is None:
            raise InputError(f"{where}: split {row['split'][:40]!r} is none of train, validate, test")
        study = studies.get(f"s{number}")
        if study is None:
            study = studies[f"s{number}"] = SourceStudy(
                id=f"s{number}",
                where=f"p{subject[:2]}/p{subject}/s{number}",
                report="",
                split=split,
                patient=f"p{subject}",
                sections={},
            )
        if (study.split, study.patient) != (split, f"p{subject}"):
            raise InputError(f"{where}: study {number} has two splits or two subjects; fetch the table again")
        study.images.append((dicom, positions.get(row["dicom_id"]) or None))
    return studies


def _read_texts(
    studies: Mapping[str, SourceStudy],
    settings: MimicSettings,
    left_out: list[LeftOut],
    dropped: Counter[str],
    track: Tracker,
) -> int:
    """Set the sections and text, or the problem, of each study; return how many findings had no heading."""
    unheaded = 0
    for study in studies.values():
        study.problem = UNREADABLE_REPORT
    reports = _reports(settings)
    contents = _archived(reports, studies) if is_archive(reports) and not reports.is_dir() else _filed(reports, studies)
    for study, content in track(contents, "Read reports", len(studies)):
        try:
            report = read_sections(content.decode("utf-8"))
        except UnicodeDecodeError:
            left_out.append(LeftOut(study=study.id, file=f"{study.where}.txt", reason="not UTF-8 text"))
            continue
        sections = report.sections
        if report.unheaded and settings.unheaded == "drop":
            del sections["findings"]
        study.sections = sections
        study.report, study.problem = chosen_text(sections, settings.text, settings.missing)
        unheaded += report.unheaded and settings.unheaded == "take" and study.problem is None
    damaged = {item.study for item in left_out}
    for study in studies.values():
        if study.problem is not None:
            dropped[study.problem] += 1
        if study.problem == UNREADABLE_REPORT and study.id not in damaged:
            left_out.append(LeftOut(study=study.id, file=f"{study.where}.txt", reason=MISSING))
    return unheaded


def _reports(settings: MimicSettings) -> Path:
    """Return the folder or archive of reports."""
    root = settings.root
    choices = (root / "mimic-cxr-reports", root / "mimic-cxr-reports.zip", root)
    reports = settings.reports or next(path for path in choices if path.exists())
    if not reports.exists():
        raise InputError(f"{reports}: no such folder or archive of reports")
    return reports


def _archived(archive: Path, studies: Mapping[str, SourceStudy]) -> Iterator[tuple[SourceStudy, bytes]]:
    seen: set[str] = set()
    for name, content in read_files(archive, ".txt"):
        found = REPORT_FILE.fullmatch(name.rpartition("/")[2])
        study = studies.get(f"s{found[1]}") if found else None
        if study is not None:
            if study.id in seen:
                raise InputError(f"{archive}: two reports of study {study.id}; keep one")
            seen.add(study.id)
            yield study, content


def _filed(folder: Path, studies: Mapping[str, SourceStudy]) -> Iterator[tuple[SourceStudy, bytes]]:
    base = folder / "files" if (folder / "files").is_dir() else folder
    for study in studies.values():
        path = os.path.join(base, f"{study.where}.txt")
        if not os.path.isfile(path):
            other = _in_any_case(os.path.dirname(path)).get(f"{study.id}.txt")
            if other is None:
                continue
            path = os.path.join(os.path.dirname(path), other)
        if os.path.getsize(path) > TEXTS.file:
            raise InputError(f"{path}: more than the {TEXTS.file:,} bytes of any report; remove it")
        with open(path, "rb") as stream:
            yield study, stream.read()


def _find_images(study: SourceStudy, images: Path) -> list[LeftOut]:
    """Replace the ids of a study's images by paths under `images`; remove and return those that are not there."""
    base = "files/" if (images / "files").is_dir() else ""
    files = _in_any_case(images / f"{base}{study.where}")
    left_out = []
    present = []
    for dicom, position in study.images:
        file = next((files[name] for suffix in IMAGE_SUFFIXES if (name := f"{dicom.lower()}{suffix}") in files), None)
        if file is None:
            left_out.append(LeftOut(study=study.id, file=f"{study.where}/{dicom}", reason=MISSING))
        else:
            present.append((f"{base}{study.where}/{file}", position))
    study.images = present
    return left_out


def _in_any_case(folder: str | Path) -> dict[str, str]:
    """Return the names in a folder by their lower-case form; empty where there is no folder."""
    try:
        return {name.lower(): name for name in sorted(os.listdir(folder))}
    except (FileNotFoundError, NotADirectoryError):
        return {}


def _one_study_an_image(study: SourceStudy) -> Sequence[SourceStudy]:
    """Return a study as one study an image, named by the image."""
    return [
        SourceStudy(
            id=os.path.splitext(path.rpartition("/")[2])[0],
            where=study.where,
            report=study.report,
            split=study.split,
            patient=study.patient,
            sections=study.sections,
            images=[(path, position)],
        )
        for path, position in study.images
    ]
