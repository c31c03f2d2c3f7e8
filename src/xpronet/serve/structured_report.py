"""A draft report as a DICOM structured report: an Enhanced SR, partial, preliminary and unverified.

Research use. The document says of itself that software wrote it and that it is no diagnosis.
"""

import hashlib
import io
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from xpronet import __version__
from xpronet.errors import InputError
from xpronet.files import new_file
from xpronet.generation.report import FindingScore, Report
from xpronet.serve.dicom_films import Film, one_line, paragraphs, read_films

NOTICE = "Research use: draft by software, not a diagnosis"
MANUFACTURER = "XProNet"
SCHEME = "99XPRONET"
"""Coding scheme of the concepts that no public scheme has; designators that begin with 99 are private."""
SERIES_NUMBER = 9001
"""Far from the numbers that a modality gives."""
TEMPLATE = "2000"
"""Basic Diagnostic Imaging Report, of DICOM part 16."""
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def structured_report(
    report: Report, sources: Sequence[bytes | Path], *, model_name: str, checkpoint_hash: str
) -> bytes:
    """Return a draft report as a DICOM file (Enhanced SR Storage, explicit little endian, UTF-8).

    Patient and study come from the films; without a DICOM film the patient is unnamed, the study new, and no image
    is referenced. Identifiers of series and document are new every time.

    Args:
        report: what was written, with the findings.
        sources: the study's images, as files or bytes; those that are not DICOM have nothing to refer to.
        model_name: name of the run.
        checkpoint_hash: the checkpoint's fingerprint.

    Raises:
        InputError: highdicom is not installed, a film is damaged or lacks its identifiers, or the films are of several
            studies or patients.
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
    films = read_films(sources)
    # The library wants evidence: a study without films has some made up, and the reference to it removed.
    unseen = Film(kind=SECONDARY_CAPTURE, instance=UID(), series=UID(), study=UID(), identity={})
    document = EnhancedSR(
        evidence=[_evidence(film) for film in films or [unseen]],
        content=_content(report, films, model_name=model_name, checkpoint_hash=checkpoint_hash),
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
    if films:
        # Set here, cleaned: the library would copy, and log, values of the films that are not well-formed.
        for keyword, value in films[0].identity.items():
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


def _evidence(film: Film) -> Any:
    """Return what the library needs to know of a film, with patient and study left empty."""
    from pydicom import Dataset

    evidence = Dataset()
    evidence.SOPClassUID, evidence.SOPInstanceUID = film.kind, film.instance
    evidence.SeriesInstanceUID, evidence.StudyInstanceUID = film.series, film.study
    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID"):
        setattr(evidence, keyword, "")
    evidence.StudyDate = evidence.StudyTime = evidence.ReferringPhysicianName = ""
    return evidence


def _content(report: Report, films: Sequence[Film], *, model_name: str, checkpoint_hash: str) -> Any:
    """Return the document's tree: who wrote it, the notice, the text, the findings, the films."""
    from highdicom.sr import ContainerContentItem, ContentSequence, ImageContentItem
    from pydicom.sr.codedict import codes

    root = ContainerContentItem(
        name=codes.LN.DiagnosticImagingReport, is_content_continuous=False, template_id=TEMPLATE
    )
    items = [*_observer(model_name, checkpoint_hash)]
    warnings = replace(report, view_names=tuple(f"Image {number}" for number, _ in enumerate(report.gate, 1))).warnings
    items.append(_section(codes.DCM.Summary, [_text(codes.DCM.Comment, told) for told in (NOTICE, *warnings)]))
    texts = [_text(codes.DCM.Finding, paragraph) for paragraph in paragraphs(report.text)]
    items.append(_section(codes.DCM.Findings, texts or [_text(codes.DCM.Finding, "No text was written.")]))
    if report.findings:
        scores = [_score(finding) for finding in report.findings]
        items.append(_section(_concept("findings", "Findings predicted by software"), scores))
    if films:
        images = [
            ImageContentItem(
                name=codes.DCM.SourceImage,
                referenced_sop_class_uid=film.kind,
                referenced_sop_instance_uid=film.instance,
                relationship_type="CONTAINS",
            )
            for film in films
        ]
        items.append(_section(_concept("films", "Films the report is about"), images))
    root.ContentSequence = ContentSequence(items)
    return root


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
