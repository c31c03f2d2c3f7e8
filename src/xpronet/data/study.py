"""A study and its views, as a corpus folder stores them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape

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
    """The file or record that this study was read from."""

    def _repr_html_(self) -> str:
        """Return the views' names and the report, for a notebook; a study does not know where its corpus lies."""
        views = ", ".join(f"{escape(view.path)} ({escape(view.position or 'view unknown')})" for view in self.views)
        return (
            f"<p><strong>Study {escape(self.id)}</strong> ({self.split}): {views or 'no views'}</p>"
            f"<p>{escape(self.report)}</p>"
        )
