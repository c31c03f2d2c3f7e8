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
from xpronet.corpora.build import MISSING, BuildSummary, Finish, Lost, ReleaseSettings, write_release
from xpronet.corpora.staging import Draft
from xpronet.corpora.table import SPLIT_NAMES
from xpronet.csv_files import read_rows
from xpronet.errors import InputError
from xpronet.progress import Tracker, silent
from xpronet.text.sections import MissingChoice, TextChoice, chosen_text, read_sections

NAME = "MIMIC-CXR"
LICENCE = "PhysioNet Credentialed Health Data License 1.5.0: no sharing, no attempt to identify anybody"
PUBLISHED_PICTURES = {"train": 270_790, "val": 2_130, "test": 3_858}
"""R2Gen's images, each with its study's findings, which the field's tables use."""
NUMBER = re.compile(r"\d{1,12}")
DICOM_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
REPORT_FILE = re.compile(r"s(\d{1,12})\.txt", re.IGNORECASE)
PICTURE_SUFFIXES = (".jpg", ".jpeg", ".dcm", ".png")
UNREADABLE_REPORT = "no report that can be read"


@dataclass(frozen=True, kw_only=True)
class MimicSettings:
    """Which files become a corpus, and how."""

    root: Path
    """The folder that holds `files/` and the tables."""
    reports: Path | None = None
    """A folder or archive; by default mimic-cxr-reports or mimic-cxr-reports.zip in the root, or the root."""
    unit: Literal["study", "image"] = "study"
    """What a study of the corpus is: an examination with all its views, or (as published) each image by itself."""
    text: TextChoice = "findings"
    """The sections that are learned."""
    missing: MissingChoice = "drop"
    """What a report does that lacks a section asked for."""
    unheaded: Literal["take", "drop"] = "take"
    """Whether findings that stand without a heading count as findings."""
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
    release: ReleaseSettings,
    *,
    overwrite: bool = False,
    track: Tracker = silent,
    finish: Finish | None = None,
) -> MimicPrepared:
    """Write a corpus folder from the official files: their split, their view positions, our sections.

    Args:
        out: the corpus folder.
        settings: which texts, and what a study is.
        release: what is made of images; without `images` the corpus has texts only.
        overwrite: replace what is at `out`.
        track: told of reports read and images made.
        finish: see `write_release`.

    Raises:
        InputError: a table is malformed, more is missing than tolerated, or `out` exists.
    """
    if out.is_dir() and any(out.iterdir()) and not overwrite:
        raise InputError(f"{out}: already exists; choose another name or add --overwrite")
    studies = _studies(settings.root)
    dropped: Counter[str] = Counter()
    lost: list[Lost] = []
    if settings.labels is not None:
        labelled = {row["study_id"].removeprefix("s") for row, _ in read_rows(settings.labels, ("study_id",))}
        unlabelled = [draft_id for draft_id in studies if draft_id.removeprefix("s") not in labelled]
        dropped["no row in the label table"] = len(unlabelled)
        for draft_id in unlabelled:
            del studies[draft_id]
    unheaded = _read_texts(studies, settings, lost, dropped, track)
    drafts = [draft for draft in studies.values() if draft.problem is None]
    if release.images is None:
        for draft in drafts:
            draft.pictures = []
    else:
        for draft in track(drafts, "Find images", len(drafts)):
            lost += _find_pictures(draft, release.images)
    if settings.unit == "image":
        drafts = [single for draft in drafts for single in _singles(draft)]
    prepared = write_release(
        out,
        drafts,
        release,
        name=NAME,
        licence=LICENCE,
        made={
            "command": "prepare mimic-cxr",
            "unit": settings.unit,
            "text": settings.text,
            "missing": settings.missing,
            "unheaded": settings.unheaded,
            "labels": None if settings.labels is None else settings.labels.name,
        },
        dropped=dropped,
        lost=lost,
        overwrite=overwrite,
        track=track,
        finish=finish,
    )
    return MimicPrepared(corpus=prepared, unheaded=unheaded)


def _studies(root: Path) -> dict[str, Draft]:
    """Return the studies of the official split with their images' ids and view positions."""
    positions = {
        row["dicom_id"]: sys.intern(row["viewposition"].strip().upper())
        for row, _ in read_rows(find_table(root, "metadata"), ("dicom_id", "viewposition"))
    }
    studies: dict[str, Draft] = {}
    for row, where in read_rows(find_table(root, "split"), ("dicom_id", "study_id", "subject_id", "split")):
        study, subject, dicom = row["study_id"].strip(), row["subject_id"].strip(), row["dicom_id"].strip()
        if not (NUMBER.fullmatch(study) and NUMBER.fullmatch(subject) and DICOM_ID.fullmatch(dicom)):
            raise InputError(f"{where}: not the numbers of a study and a subject and the name of an image")
        split = SPLIT_NAMES.get(row["split"].strip().lower())
        if split is None:
            raise InputError(f"{where}: split {row['split'][:40]!r} is none of train, validate, test")
        draft = studies.get(f"s{study}")
        if draft is None:
            draft = studies[f"s{study}"] = Draft(
                id=f"s{study}",
                where=f"p{subject[:2]}/p{subject}/s{study}",
                report="",
                split=split,
                patient=f"p{subject}",
                sections={},
            )
        if (draft.split, draft.patient) != (split, f"p{subject}"):
            raise InputError(f"{where}: study {study} has two splits or two subjects; fetch the table again")
        draft.pictures.append((dicom, positions.get(row["dicom_id"]) or None))
    return studies


def _read_texts(
    studies: Mapping[str, Draft], settings: MimicSettings, lost: list[Lost], dropped: Counter[str], track: Tracker
) -> int:
    """Give the studies their sections and texts or a problem; return how many findings had no heading."""
    unheaded = 0
    for draft in studies.values():
        draft.problem = UNREADABLE_REPORT
    reports = _reports(settings)
    contents = _archived(reports, studies) if is_archive(reports) and not reports.is_dir() else _filed(reports, studies)
    for draft, content in track(contents, "Read reports", len(studies)):
        try:
            report = read_sections(content.decode("utf-8"))
        except UnicodeDecodeError:
            lost.append(Lost(study=draft.id, file=f"{draft.where}.txt", reason="not UTF-8 text"))
            continue
        sections = report.sections
        if report.unheaded and settings.unheaded == "drop":
            del sections["findings"]
        draft.sections = sections
        draft.report, draft.problem = chosen_text(sections, settings.text, settings.missing)
        unheaded += report.unheaded and settings.unheaded == "take" and draft.problem is None
    damaged = {item.study for item in lost}
    for draft in studies.values():
        if draft.problem is not None:
            dropped[draft.problem] += 1
        if draft.problem == UNREADABLE_REPORT and draft.id not in damaged:
            lost.append(Lost(study=draft.id, file=f"{draft.where}.txt", reason=MISSING))
    return unheaded


def _reports(settings: MimicSettings) -> Path:
    """Return the folder or archive of reports."""
    root = settings.root
    choices = (root / "mimic-cxr-reports", root / "mimic-cxr-reports.zip", root)
    reports = settings.reports or next(path for path in choices if path.exists())
    if not reports.exists():
        raise InputError(f"{reports}: no such folder or archive of reports")
    return reports


def _archived(archive: Path, studies: Mapping[str, Draft]) -> Iterator[tuple[Draft, bytes]]:
    seen: set[str] = set()
    for name, content in read_files(archive, ".txt"):
        found = REPORT_FILE.fullmatch(name.rpartition("/")[2])
        draft = studies.get(f"s{found[1]}") if found else None
        if draft is not None:
            if draft.id in seen:
                raise InputError(f"{archive}: two reports of study {draft.id}; keep one")
            seen.add(draft.id)
            yield draft, content


def _filed(folder: Path, studies: Mapping[str, Draft]) -> Iterator[tuple[Draft, bytes]]:
    base = folder / "files" if (folder / "files").is_dir() else folder
    for draft in studies.values():
        path = os.path.join(base, f"{draft.where}.txt")
        if not os.path.isfile(path):
            other = _in_any_case(os.path.dirname(path)).get(f"{draft.id}.txt")
            if other is None:
                continue
            path = os.path.join(os.path.dirname(path), other)
        if os.path.getsize(path) > TEXTS.file:
            raise InputError(f"{path}: more than the {TEXTS.file:,} bytes of any report; remove it")
        with open(path, "rb") as stream:
            yield draft, stream.read()


def _find_pictures(draft: Draft, images: Path) -> list[Lost]:
    """Replace the ids of a study's images by paths under `images`; take away and return those that are not there."""
    base = "files/" if (images / "files").is_dir() else ""
    files = _in_any_case(images / f"{base}{draft.where}")
    lost = []
    there = []
    for dicom, position in draft.pictures:
        file = next((files[name] for suffix in PICTURE_SUFFIXES if (name := f"{dicom.lower()}{suffix}") in files), None)
        if file is None:
            lost.append(Lost(study=draft.id, file=f"{draft.where}/{dicom}", reason=MISSING))
        else:
            there.append((f"{base}{draft.where}/{file}", position))
    draft.pictures = there
    return lost


def _in_any_case(folder: str | Path) -> dict[str, str]:
    """Return the names in a folder by their lower-case form; empty where there is no folder."""
    try:
        return {name.lower(): name for name in sorted(os.listdir(folder))}
    except (FileNotFoundError, NotADirectoryError):
        return {}


def _singles(draft: Draft) -> Sequence[Draft]:
    """Return a study as one study an image, named by the image."""
    return [
        Draft(
            id=os.path.splitext(path.rpartition("/")[2])[0],
            where=draft.where,
            report=draft.report,
            split=draft.split,
            patient=draft.patient,
            sections=draft.sections,
            pictures=[(path, position)],
        )
        for path, position in draft.pictures
    ]
