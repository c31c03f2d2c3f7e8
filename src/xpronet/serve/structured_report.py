"""A draft report as a DICOM structured report: an Enhanced SR, partial, preliminary and unverified.

Research use. The document itself says that it is a draft by software and no diagnosis.
"""

import hashlib
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from xpronet import __version__
from xpronet.errors import InputError
from xpronet.files import new_file
from xpronet.generation.report import FindingScore, Report
from xpronet.images.dicom_study import (
    ELEMENTS,
    UIDS,
    DicomImage,
    check_same_study,
    is_control,
    is_uid,
    read_dicom_image,
)

NOTICE = "Research use: draft by software, not a diagnosis"
MANUFACTURER = "XProNet"
SCHEME = "99XPRONET"
"""Coding scheme of the concepts that no public scheme has; designators that begin with 99 are private."""
SERIES_NUMBER = 9001
"""Far from the numbers that modalities use."""
TEMPLATE = "2000"
"""Basic Diagnostic Imaging Report, of DICOM part 16."""
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


@dataclass(frozen=True, kw_only=True)
class ImageReference:
    """How a structured report refers to an image."""

    sop_class_uid: str
    sop_instance_uid: str
    series_uid: str
    study_uid: str


def check_structured_report(sources: Sequence[bytes | Path]) -> None:
    """Make sure before long work that a structured report can refer to a study's images.

    Raises:
        InputError: an image is damaged or lacks its identifiers, or they are of several studies or patients.
    """
    _references(_read_study(sources))


def structured_report(
    report: Report, sources: Sequence[bytes | Path], *, model_name: str, checkpoint_hash: str
) -> bytes:
    """Return a draft report as a DICOM file (Enhanced SR Storage, explicit little endian, UTF-8).

    Patient and study are those of the DICOM images; values that do not keep to their representation are left empty,
    never cut. Without a DICOM image the patient is unnamed, the study new, and no image is referenced. The document
    names images that are not DICOM. Identifiers of series and document are new every time.

    Args:
        report: the draft with its findings.
        sources: all images of the study, as files or bytes.
        model_name: name of the run.
        checkpoint_hash: the checkpoint's fingerprint.

    Raises:
        InputError: highdicom is not installed, an image is damaged or lacks its identifiers, or the images are of
            several studies or patients.
    """
    try:
        from highdicom import UID
        from highdicom.coding_schemes import CodingSchemeIdentificationItem
        from highdicom.sr import EnhancedSR
    except ModuleNotFoundError as error:
        raise InputError(
            f"a DICOM structured report needs {error.name} of the extra [dicom]: pip install 'xpronet[dicom]'"
        ) from None
    model_name = one_line(model_name, 64) or "unnamed"
    images = _read_study(sources)
    references = _references(images)
    # The library requires evidence: without DICOM images a placeholder is used, and its reference removed.
    placeholder = ImageReference(
        sop_class_uid=SECONDARY_CAPTURE, sop_instance_uid=UID(), series_uid=UID(), study_uid=UID()
    )
    content = [
        *_observer(model_name, checkpoint_hash),
        *_report_sections(report),
        *_image_section(references, [number for number, image in enumerate(images, 1) if image is None], len(images)),
    ]
    document = EnhancedSR(
        evidence=[_evidence(reference) for reference in references or [placeholder]],
        content=_root(content),
        series_instance_uid=UID(),
        series_number=SERIES_NUMBER,
        sop_instance_uid=UID(),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=model_name,
        device_serial_number=checkpoint_hash,
        software_versions=__version__,
        series_description=NOTICE,
        specific_character_set="ISO_IR 192",
        coding_schemes=[CodingSchemeIdentificationItem(designator=SCHEME, name="XProNet", version=__version__)],
    )
    document.CompletionFlagDescription = NOTICE
    if references:
        # Set here: the library would copy, and log, malformed values.
        for keyword, value in _identity(images).items():
            if value or keyword in document:
                setattr(document, keyword, value)
    else:
        del document.CurrentRequestedProcedureEvidenceSequence
    stream = io.BytesIO()
    document.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def write_structured_report(path: Path, content: bytes, *, overwrite: bool = False) -> None:
    """Write a structured report, whole or not at all.

    Raises:
        InputError: `path` exists and `overwrite` is false, or its folder cannot be written.
    """
    with new_file(path, overwrite=overwrite) as temporary:
        temporary.write_bytes(content)


def _read_study(sources: Sequence[bytes | Path]) -> list[DicomImage | None]:
    names = [f"image {number}" for number, _ in enumerate(sources, 1)]
    images = [
        read_dicom_image(source, name if isinstance(source, bytes) else str(source))
        for source, name in zip(sources, names, strict=True)
    ]
    check_same_study(images, names)
    return images


def _references(images: Sequence[DicomImage | None]) -> list[ImageReference]:
    """Return a reference to each DICOM image, once where it was given twice."""
    references = {}
    for image in images:
        if image is None:
            continue
        uids = [image.elements[keyword] for keyword in UIDS]
        if not all(map(is_uid, uids)):
            raise InputError(
                f"{image.name}: a DICOM image without valid identifiers (UIDs) cannot be referred to; export it again"
            )
        sop_class, instance, series, study = uids
        references[instance] = ImageReference(
            sop_class_uid=sop_class, sop_instance_uid=instance, series_uid=series, study_uid=study
        )
    return list(references.values())


def _identity(images: Sequence[DicomImage | None]) -> dict[str, str]:
    """Return patient and study by keyword: what the images agree on; a name may be spelt in several ways."""
    found = [image for image in images if image is not None]
    identity = {}
    for keyword in ELEMENTS:
        values = list(dict.fromkeys(value for image in found if (value := image.valid(keyword))))
        agreed = len(values) == 1 or keyword == "PatientName"
        if keyword not in UIDS:
            identity[keyword] = values[0] if values and agreed else ""
    return identity


def _evidence(reference: ImageReference) -> Any:
    """Return what the library needs of an image, with patient and study left empty."""
    from pydicom import Dataset

    evidence = Dataset()
    evidence.SOPClassUID, evidence.SOPInstanceUID = reference.sop_class_uid, reference.sop_instance_uid
    evidence.SeriesInstanceUID, evidence.StudyInstanceUID = reference.series_uid, reference.study_uid
    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID"):
        setattr(evidence, keyword, "")
    evidence.StudyDate = evidence.StudyTime = evidence.ReferringPhysicianName = ""
    return evidence


def one_line(text: str, longest: int) -> str:
    """Return text for a short DICOM value: no control characters, no backslash (it separates values), not too long."""
    plain = "".join(" " if is_control(character) else character for character in text.replace("\\", "/"))
    return " ".join(plain.split())[:longest].strip()


def paragraphs(text: str) -> list[str]:
    """Return the paragraphs of a text for DICOM: without control characters, lines separated by CR LF."""
    lines = ["".join(c for c in line if c == "\t" or not is_control(c)).rstrip() for line in text.splitlines()]
    blocks = "\n".join(lines).split("\n\n")
    return [block.strip("\n").replace("\n", "\r\n") for block in blocks if block.strip()]


def _root(items: Sequence[Any]) -> Any:
    """Return the root of the document's tree."""
    from highdicom.sr import ContainerContentItem, ContentSequence
    from pydicom.sr.codedict import codes

    root = ContainerContentItem(
        name=codes.LN.DiagnosticImagingReport, is_content_continuous=False, template_id=TEMPLATE
    )
    root.ContentSequence = ContentSequence(items)
    return root


def _report_sections(report: Report) -> list[Any]:
    """Return the sections with notice and warnings, the text, and the findings."""
    from pydicom.sr.codedict import codes

    warnings = replace(report, view_names=tuple(f"Image {number}" for number, _ in enumerate(report.gate, 1))).warnings
    comments = [_text(codes.DCM.Comment, text) for text in (NOTICE, *warnings)]
    texts = [_text(codes.DCM.Finding, paragraph) for paragraph in paragraphs(report.text)]
    sections = [
        _section(codes.DCM.Summary, comments),
        _section(codes.DCM.Findings, texts or [_text(codes.DCM.Finding, "No text was written.")]),
    ]
    if report.findings:
        scores = [_score(finding) for finding in report.findings]
        sections.append(_section(_concept("findings", "Findings predicted by software"), scores))
    return sections


def _image_section(references: Sequence[ImageReference], without: Sequence[int], count: int) -> list[Any]:
    """Return the section that names the images; none where there is no image.

    Args:
        references: to the DICOM images.
        without: numbers of the images that are not DICOM, from 1.
        count: all images that the report is about.
    """
    from highdicom.sr import ImageContentItem
    from pydicom.sr.codedict import codes

    items: list[Any] = [
        ImageContentItem(
            name=codes.DCM.SourceImage,
            referenced_sop_class_uid=reference.sop_class_uid,
            referenced_sop_instance_uid=reference.sop_instance_uid,
            relationship_type="CONTAINS",
        )
        for reference in references
    ]
    if without:
        verb = "has" if len(without) == 1 else "have"
        noun = "image" if len(without) == 1 else "images"
        numbers = ", ".join(map(str, without))
        text = f"{len(without)} of {count} images {verb} no DICOM reference: {noun} {numbers} of the study as given"
        items.append(_text(codes.DCM.Comment, text))
    return [_section(_concept("images", "Images the report is about"), items)] if items else []


def _observer(model_name: str, checkpoint_hash: str) -> Any:
    """Return the device observer: the same checkpoint is the same device."""
    from highdicom.sr import DeviceObserverIdentifyingAttributes, ObserverContext
    from pydicom.sr.codedict import codes

    # A UID made of a UUID, as DICOM part 5, annex B.2 has them; the UUID is a hash.
    number = int.from_bytes(hashlib.sha256(f"xpronet {checkpoint_hash}".encode()).digest()[:16], "big")
    return ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=DeviceObserverIdentifyingAttributes(
            uid=f"2.25.{number}",
            name=f"{MANUFACTURER} {__version__}",
            manufacturer_name=MANUFACTURER,
            model_name=model_name,
            serial_number=checkpoint_hash,
        ),
    )


def _section(name: Any, items: Sequence[Any]) -> Any:
    from highdicom.sr import ContainerContentItem, ContentSequence

    section = ContainerContentItem(name=name, is_content_continuous=False, relationship_type="CONTAINS")
    section.ContentSequence = ContentSequence(items)
    return section


def _text(name: Any, text: str) -> Any:
    from highdicom.sr import TextContentItem

    return TextContentItem(name=name, value=text, relationship_type="CONTAINS")


def _score(finding: FindingScore) -> Any:
    """Return a finding's probability, with its threshold and whether it counts as present."""
    from highdicom.sr import CodeContentItem, ContentSequence, NumContentItem
    from pydicom.sr.codedict import codes

    # A code value has 16 characters at most; the fourteen names differ in their first twelve.
    code = re.sub(r"[^a-z]", "", finding.name.lower())[:12]
    probability = NumContentItem(
        name=_concept(f"{code}-p", f"Probability of {finding.name}"),
        value=round(finding.probability, 4),
        unit=codes.UCUM.NoUnits,
        relationship_type="CONTAINS",
    )
    probability.ContentSequence = ContentSequence(
        [
            NumContentItem(
                name=_concept("threshold", "Threshold of the probability"),
                value=round(finding.threshold, 4),
                unit=codes.UCUM.NoUnits,
                relationship_type="HAS PROPERTIES",
            ),
            CodeContentItem(
                name=_concept("present", "Counts as present"),
                value=codes.SCT.Yes if finding.present else codes.SCT.No,
                relationship_type="HAS PROPERTIES",
            ),
        ]
    )
    return probability


def _concept(value: str, meaning: str) -> Any:
    from highdicom.sr import CodedConcept

    return CodedConcept(value=value, scheme_designator=SCHEME, meaning=meaning)
