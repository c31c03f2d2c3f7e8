"""A study and its views, as a corpus folder stores them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """One image of a study."""

    path: str
    """Where the image is, relative to the corpus folder, with forward slashes."""
    position: str | None = None
    """DICOM's view position in capitals (PA, AP, LATERAL, LL, ...), None where unknown."""
    width: int
    """Columns of the stored image, in pixels."""
    height: int
    """Rows of the stored image, in pixels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Study:
    """One examination of one patient: its views and the report on all of them."""

    id: str
    """Unique in the corpus."""
    split: str
    """One of train, val, test."""
    views: tuple[View, ...]
    """In reading order, frontal first where known; empty in a corpus of texts."""
    report: str
    """The text to learn, as its author wrote it; the vocabulary cleans it."""
    sections: Mapping[str, str] = field(default_factory=dict)
    """All report sections that the source has, by lower-case name (findings, impression, indication, ...)."""
    patient: str | None = None
    """Who was examined, where the source says; all studies of a patient belong into one split."""
    source: str = ""
    """The file or record that the study was read from."""
