"""A report's text as a person left it."""

from dataclasses import dataclass
from datetime import datetime

from xpronet.errors import InputError
from xpronet.images.dicom_study import is_person_name


@dataclass(frozen=True, kw_only=True)
class EditedText:
    """A text that replaces a draft, and who wrote it."""

    text: str
    """The whole text."""
    person: str = ""
    """Who edited it, as DICOM writes names (Family^Given); empty where nobody gave a name."""
    organization: str = ""
    """Where that person works."""
    at: datetime | None = None
    """When; by default the document is dated as the draft is."""

    def __post_init__(self) -> None:
        if self.person and not is_person_name(self.person):
            raise InputError(
                "the name of the person who edited the text is no DICOM name: write Family^Given, at most 64 characters"
            )
