"""Identifiers that follow from what they identify, so that the same report is the same DICOM object."""

import hashlib
import io
from datetime import datetime
from typing import Any

PENDING = "2.25.0"
"""Instance identifier of a document while its own is computed."""


def derived_uid(*parts: str) -> str:
    """Return a unique identifier that follows from texts: a UUID (DICOM part 5, annex B.2) that is a hash."""
    digest = hashlib.sha256("\n".join(("xpronet", *parts)).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"


def stamp(document: Any, moment: datetime) -> None:
    """Date an object where its kind has dates of content; nothing in it says when this computer made it."""
    for kind in ("Content", "PresentationCreation"):
        if f"{kind}Date" in document:
            setattr(document, f"{kind}Date", moment.strftime("%Y%m%d"))
            setattr(document, f"{kind}Time", moment.strftime("%H%M%S"))
    for keyword in ("InstanceCreationDate", "InstanceCreationTime", "SeriesDate", "SeriesTime"):
        if keyword in document:
            delattr(document, keyword)
    for equipment in document.get("ContributingEquipmentSequence", ()):
        equipment.ContributionDateTime = moment.strftime("%Y%m%d%H%M%S")


def seal(document: Any) -> bytes:
    """Give a complete document the instance identifier that follows from its content; return it as a DICOM file.

    Two documents with one identifier are thus the same to the byte, and any difference makes another identifier.
    """
    unnamed = hashlib.sha256(_file_of(document, PENDING)).hexdigest()
    return _file_of(document, derived_uid("instance", unnamed))


def _file_of(document: Any, uid: str) -> bytes:
    document.SOPInstanceUID = document.file_meta.MediaStorageSOPInstanceUID = uid
    stream = io.BytesIO()
    document.save_as(stream, enforce_file_format=True)
    return stream.getvalue()
