"""What a corpus is built from: studies as their source has them, and readers that bring them in."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from xpronet.data.study import SPLITS
from xpronet.errors import InputError
from xpronet.files import confined
from xpronet.images.dicom import read_view_position
from xpronet.text.sections import is_blank

VALIDATION_SHARE, TEST_SHARE = 0.1, 0.2
"""Of the patients, where a split is drawn; the rest is for training, as in the field's split of IU X-Ray."""
FRONTAL = ("PA", "AP", "FRONTAL")
LATERAL = ("LL", "RL", "LLD", "RLD", "L", "LAT")
"""View positions that are read after the frontal ones, as is everything that begins with LATERAL."""

WEB_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


@dataclass(kw_only=True, slots=True)
class SourceStudy:
    """A study as its source has it, before its images are read."""

    id: str
    """As in the source; unique."""
    where: str
    """The file and line it was read from, for messages and for the corpus."""
    report: str
    """The text to learn; empty where the source has none."""
    split: str | None = None
    """One of train, val, test; None where the source does not say."""
    patient: str | None = None
    """Who was examined; None where the source does not say."""
    sections: Mapping[str, str] = field(default_factory=dict)
    """The report's sections by lower-case name."""
    images: list[tuple[str, str | None]] = field(default_factory=list)
    """Path under the folder of images, and view position in capitals (PA, AP, LATERAL ...) where the source says."""
    problem: str | None = None
    """Why the study cannot be used, as a noun: "no report"."""
    detail: str = ""
    """What the problem is about, such as the name of the missing image; often empty."""


@dataclass(frozen=True, kw_only=True)
class SourceCorpus:
    """What a reader brings in."""

    name: str
    """What the corpus is called."""
    studies: Iterable[SourceStudy]
    """The studies, in the order of the corpus; all with a split, or none."""
    images: Path | None
    """The folder that image paths start from; None makes a corpus of texts."""
    licence: str = "unknown"
    """The terms under which its images and texts may be used."""


@runtime_checkable
class CorpusReader(Protocol):
    """A function that reads a corpus of some other layout."""

    def __call__(self, **options: str) -> SourceCorpus:
        """Read the corpus.

        Args:
            options: the user's, by name (`--option name=value`); the reader declares those that it takes.

        Raises:
            InputError: a file or an option is wrong; one line that names it and the remedy.
        """
        ...


def draw_splits(studies: Sequence[SourceStudy], seed: int, where: str) -> None:
    """Give every study a split; all studies of a patient get the same one.

    Args:
        studies: splits that they have are replaced.
        seed: the same seed and the same patients give the same split, in whatever order they come.
        where: what the message calls the source.

    Raises:
        InputError: there are fewer patients than splits.
    """
    patients = sorted({_patient(study) for study in studies})
    if len(patients) < len(SPLITS):
        raise InputError(f"{where}: too few studies to draw a split from; give the split of each")
    shuffled = [patients[place] for place in np.random.default_rng(seed).permutation(len(patients))]
    test = max(1, round(TEST_SHARE * len(patients)))
    validation = max(1, round(VALIDATION_SHARE * len(patients)))
    splits = dict.fromkeys(shuffled, "train")
    splits |= dict.fromkeys(shuffled[:test], "test")
    splits |= dict.fromkeys(shuffled[test : test + validation], "val")
    for study in studies:
        study.split = splits[_patient(study)]


def in_several_splits(owners: Iterable[tuple[str | None, str | None]]) -> list[str]:
    """Return the owners (patients, say) that are in more than one split, from pairs of owner and split."""
    splits: dict[str, set[str | None]] = {}
    for owner, split in owners:
        if owner is not None:
            splits.setdefault(owner, set()).add(split)
    return sorted(owner for owner, found in splits.items() if len(found) > 1)


def mark_unusable(studies: Sequence[SourceStudy], images: Path | None) -> None:
    """Mark the studies that cannot be used, as far as the source and the file system show."""
    ids: set[str] = set()
    for study in studies:
        if study.problem is None:
            twice = study.id in ids
            study.problem, study.detail = ("a repeated id", "") if twice else _problem(study, images)
        ids.add(study.id)


def describe_unusable(studies: Sequence[SourceStudy]) -> str:
    """Return how many studies have which problem, and the first of each, as one phrase."""
    by_problem: dict[str, list[SourceStudy]] = {}
    for study in studies:
        if study.problem is not None:
            by_problem.setdefault(study.problem, []).append(study)
    parts = []
    for problem, found in by_problem.items():
        detail = f"; {found[0].where}: {found[0].detail}" if found[0].detail else ""
        parts.append(f"{len(found)} with {problem} (first {', '.join(study.id for study in found[:3])}{detail})")
    return ", ".join(parts)


def order_views(studies: Sequence[SourceStudy], images: Path) -> None:
    """Put frontal views first, asking DICOM headers where the source does not name a view's position."""
    for study in studies:
        known = [(path, position or _header_position(images / path)) for path, position in study.images]
        study.images = sorted(known, key=lambda image: reading_rank(image[1]))


def reading_rank(position: str | None) -> int:
    """Return 0 for frontal views, 2 for lateral ones, 1 for views of unknown position."""
    if position is None:
        return 1
    if position.startswith(FRONTAL):
        return 0
    return 2 if position in LATERAL or position.startswith("LATERAL") else 1


def count_views(studies: Sequence[SourceStudy]) -> Counter[str]:
    """Return how many images are frontal, lateral or of unknown position."""
    kinds = ("frontal", "unknown", "lateral")
    return Counter(kinds[reading_rank(position)] for study in studies for _, position in study.images)


def _problem(study: SourceStudy, images: Path | None) -> tuple[str | None, str]:
    """Return why a study cannot be used, and what the problem is about; make its image paths relative."""
    if is_blank(study.report):
        return "no report", repr(study.report) if study.report else ""
    if images is None:
        return None, ""
    if not study.images:
        return "no image named", ""
    address = next((path for path, _ in study.images if WEB_ADDRESS.match(path)), None)
    if address is not None:
        return "an image given as a web address, which is not downloaded", address
    study.images = [(_relative(images, path, study.where), position) for path, position in study.images]
    paths = [path for path, _ in study.images]
    if len(set(paths)) < len(paths):
        return "a repeated image", next(path for path in paths if paths.count(path) > 1)
    for path in paths:
        file = images / path
        if not file.is_file():
            if file.is_symlink():
                target = f"{file}, which leads to {os.readlink(file)}"
                return "an image that is a symbolic link to a file that is missing", target
            return "an image that is missing", str(file)
    return None, ""


def _relative(images: Path, path: str, where: str) -> str:
    """Return an image's path under `images`; links there are the user's own and are followed, paths that climb not."""
    for folder in (images.absolute(), images.resolve()) if Path(path).is_absolute() else ():
        if Path(os.path.normpath(path)).is_relative_to(folder):
            return Path(os.path.normpath(path)).relative_to(folder).as_posix()
    try:
        return confined(images, path, follow_links=True).relative_to(images).as_posix()
    except InputError:
        raise InputError(
            f"{where}: the image {path!r} leads out of {images}; give a path inside the folder of images, or another "
            "folder"
        ) from None


def _patient(study: SourceStudy) -> tuple[str, str]:
    return ("study", study.id) if study.patient is None else ("patient", study.patient)


def _header_position(path: Path) -> str | None:
    try:
        return read_view_position(path)
    except InputError:
        return None  # the image is refused, with the reason, when it is cached
