"""A report's PDF in a DICOM object, for archives and viewers that show no structured reports."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from xpronet import __version__
from xpronet.dicom_output.described_model import MANUFACTURER, DescribedModel
from xpronet.dicom_output.edited_text import EditedText
from xpronet.dicom_output.identifiers import derived_uid, seal, stamp
from xpronet.dicom_output.report_content import NOTICE
from xpronet.dicom_output.report_pdf import report_pdf
from xpronet.dicom_output.source_images import SourceImage, SourceStudy, read_sources
from xpronet.dicom_output.structured_report import check_highdicom, set_identity
from xpronet.generation.report import Report

STORAGE = "1.2.840.10008.5.1.4.1.1.104.1"
"""Encapsulated PDF Storage."""
SERIES_NUMBER = 9003
KIND = "encapsulated PDF"


def encapsulated_pdf(
    report: Report,
    sources: Sequence[bytes | Path],
    *,
    model: DescribedModel,
    edited: EditedText | None = None,
    written: datetime | None = None,
    anyway: bool = False,
) -> bytes:
    """Return a report as a PDF in a DICOM file (Encapsulated PDF Storage).

    Identifiers and dates are made as in a structured report, so that the same report is the same object.

    Args:
        report: the draft, with its images.
        sources: all images of the study, as files or bytes.
        model: what wrote the draft.
        edited: the text as a person left it, instead of the draft.
        written: date and time of the content; by default the study's.
        anyway: take images whose headers name another body part than the chest.

    Raises:
        InputError: an extra is not installed, or an image is damaged, lacks its identifiers, is of another body part or
            of another study or patient.
    """
    check_highdicom()
    from pydicom import Dataset
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import UID, ExplicitVRLittleEndian

    study = read_sources(sources, anyway=anyway)
    document = Dataset()
    document.file_meta = FileMetaDataset()
    document.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    document.file_meta.MediaStorageSOPClassUID = document.SOPClassUID = UID(STORAGE)
    document.SpecificCharacterSet = "ISO_IR 192"
    for keyword in study.identity:
        setattr(document, keyword, "")
    _describe(document, study, model)
    content = report_pdf(report, model=model, edited=edited)
    document.EncapsulatedDocumentLength = len(content)
    document.EncapsulatedDocument = content + b"\0" * (len(content) % 2)
    document.SourceInstanceSequence = [_instance(image) for image in study.references]
    if not study.references:
        del document.SourceInstanceSequence
    set_identity(document, study)
    stamp(document, (edited.at if edited is not None else None) or study.moment(written))
    return seal(document)


def _describe(document: Any, study: SourceStudy, model: DescribedModel) -> None:
    """Say which series and device the document is from, and what it holds."""
    from highdicom.sr import CodedConcept

    document.StudyInstanceUID = study.uid
    document.SeriesInstanceUID = derived_uid(
        "series", KIND, study.uid, *study.fingerprints, model.fingerprint, __version__
    )
    document.Modality, document.SeriesNumber, document.InstanceNumber = "DOC", SERIES_NUMBER, 1
    document.SeriesDescription = document.DocumentTitle = NOTICE
    document.Manufacturer, document.ManufacturerModelName = MANUFACTURER, model.name
    document.DeviceSerialNumber, document.SoftwareVersions = model.fingerprint, __version__
    document.ConversionType = "WSD"
    document.ContentDate = document.ContentTime = document.AcquisitionDateTime = ""
    document.BurnedInAnnotation, document.RecognizableVisualFeatures = "NO", "NO"
    document.VerificationFlag = "UNVERIFIED"
    document.ConceptNameCodeSequence = [
        CodedConcept(value="18748-4", scheme_designator="LN", meaning="Diagnostic Imaging Report")
    ]
    document.MIMETypeOfEncapsulatedDocument = "application/pdf"


def _instance(image: SourceImage) -> Any:
    from pydicom import Dataset

    reference = Dataset()
    reference.ReferencedSOPClassUID = image.reference.SOPClassUID
    reference.ReferencedSOPInstanceUID = image.reference.SOPInstanceUID
    return reference
