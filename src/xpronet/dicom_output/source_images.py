"""The images that a DICOM object is about: how it refers to them, and whose they are."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from xpronet.dicom_output.identifiers import derived_uid
from xpronet.errors import InputError
from xpronet.images.dicom import read_header, refusing_damage
from xpronet.images.dicom_study import (
    PATIENT_AND_STUDY,
    UIDS,
    DicomImage,
    check_body_parts,
    check_same_study,
    is_uid,
    read_dicom_image,
)

DISPLAY = (
    "Modality",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "RescaleSlope",
    "RescaleIntercept",
    "RescaleType",
    "ModalityLUTSequence",
    "WindowCenter",
    "WindowWidth",
    "VOILUTFunction",
    "VOILUTSequence",
)
"""Elements that say how an image is shown and how large it is."""


@dataclass(frozen=True, kw_only=True)
class SourceImage:
    """A DICOM image as documents refer to it."""

    header: DicomImage
    """Its patient, study and identifiers, as far as they are valid."""
    reference: Any
    """A pydicom data set of its identifiers and `DISPLAY`, with patient and study left empty."""
    frame: int | None
    """Which frame of several the report is about, from 1; None of an image with one."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return int(self.reference.Rows), int(self.reference.Columns)


@dataclass(frozen=True, kw_only=True)
class SourceStudy:
    """All images of a study, DICOM or not."""

    images: tuple[SourceImage | None, ...]
    """In order; None where an image is not DICOM."""
    fingerprints: tuple[str, ...]
    """What tells each image from others: the SOP instance UID, or the SHA-256 of the file where it is not DICOM."""
    identity: dict[str, str]
    """Patient and study by keyword: what the images agree on, never cut, empty where it is unknown or malformed."""

    @property
    def references(self) -> list[SourceImage]:
        """The DICOM images, each once."""
        by_uid = {image.reference.SOPInstanceUID: image for image in self.images if image is not None}
        return list(by_uid.values())

    @property
    def without_reference(self) -> list[int]:
        """Numbers of the images that are not DICOM, from 1."""
        return [number for number, image in enumerate(self.images, 1) if image is None]

    @property
    def uid(self) -> str:
        """The study's UID; without a DICOM image one that follows from the images."""
        references = self.references
        return str(references[0].reference.StudyInstanceUID) if references else derived_uid("study", *self.fingerprints)

    def moment(self, given: datetime | None = None) -> datetime:
        """Return when a document's content is from: the time given, the study's, or else now."""
        if given is not None or not self.identity["StudyDate"]:
            return given or datetime.now()
        clock = self.identity["StudyTime"].partition(".")[0]
        return datetime.strptime(self.identity["StudyDate"] + clock.ljust(6, "0"), "%Y%m%d%H%M%S")


def read_sources(sources: Sequence[bytes | Path], *, frame: int | None = None, anyway: bool = False) -> SourceStudy:
    """Read the headers of a study's images.

    Args:
        sources: all images of the study, as files or bytes.
        frame: which frame of DICOM files that hold several the report is about, from 1.
        anyway: take images whose headers name another body part than the chest.

    Raises:
        InputError: an image is damaged, lacks its identifiers or is of another body part, or they are of several
            studies or patients.
    """
    names = [str(source) if isinstance(source, Path) else f"image {number}" for number, source in enumerate(sources, 1)]
    headers = [read_dicom_image(source, name) for source, name in zip(sources, names, strict=True)]
    check_same_study(headers, names)
    check_body_parts(headers, names, anyway=anyway)
    images = tuple(
        None if header is None else _source_image(source, header, frame)
        for source, header in zip(sources, headers, strict=True)
    )
    return SourceStudy(
        images=images,
        fingerprints=tuple(
            image.header.elements["SOPInstanceUID"] if image is not None else _hash(source)
            for image, source in zip(images, sources, strict=True)
        ),
        identity=_identity([header for header in headers if header is not None]),
    )


def _source_image(source: bytes | Path, header: DicomImage, frame: int | None) -> SourceImage:
    from pydicom import Dataset

    if not all(is_uid(header.elements[keyword]) for keyword in UIDS):
        raise InputError(
            f"{header.name}: a DICOM image without valid identifiers (UIDs) cannot be referred to; export it again"
        )
    reference = Dataset()
    for keyword in UIDS:
        setattr(reference, keyword, header.elements[keyword])
    for keyword in PATIENT_AND_STUDY:
        # The libraries ask for these; documents get them later, checked.
        setattr(reference, keyword, "")
    elements: Any = read_header(source, header.name)
    with refusing_damage(header.name):
        for keyword in DISPLAY:
            if keyword in elements and elements[keyword].value is not None:
                reference[keyword] = elements[keyword]
        several = int(reference.get("NumberOfFrames") or 1) > 1
    return SourceImage(header=header, reference=reference, frame=(frame or 1) if several else None)


def _identity(found: Sequence[DicomImage]) -> dict[str, str]:
    """Return what images agree on; a name may be spelt in several ways."""
    identity = {}
    for keyword in PATIENT_AND_STUDY:
        values = list(dict.fromkeys(value for image in found if (value := image.valid(keyword))))
        agreed = len(values) == 1 or keyword == "PatientName"
        identity[keyword] = values[0] if values and agreed else ""
    return identity


def _hash(source: bytes | Path) -> str:
    content = source if isinstance(source, bytes) else source.read_bytes()
    return hashlib.sha256(content).hexdigest()
