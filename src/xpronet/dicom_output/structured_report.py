"""A report as a DICOM structured report: a Comprehensive 3D SR of template 1500, preliminary and unverified.

Research use. The document itself says that it is a draft by software and no diagnosis.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from xpronet import __version__
from xpronet.dicom_output.described_model import MANUFACTURER, DescribedModel
from xpronet.dicom_output.edited_text import EditedText
from xpronet.dicom_output.finding_codes import coding_schemes
from xpronet.dicom_output.finding_regions import finding_regions
from xpronet.dicom_output.identifiers import PENDING, derived_uid, seal, stamp
from xpronet.dicom_output.report_content import NOTICE, report_content
from xpronet.dicom_output.source_images import SourceStudy, read_sources
from xpronet.errors import InputError
from xpronet.generation.report import Report
from xpronet.images.transforms import ImageSettings

SERIES_NUMBER = 9001
"""Far from the numbers that modalities use."""
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
KIND = "structured report"


def structured_report(
    report: Report,
    sources: Sequence[bytes | Path],
    *,
    model: DescribedModel,
    images: ImageSettings,
    edited: EditedText | None = None,
    written: datetime | None = None,
    frame: int | None = None,
    anyway: bool = False,
) -> bytes:
    """Return a report as a DICOM file (Comprehensive 3D SR Storage, explicit little endian, UTF-8).

    Patient and study are those of the DICOM images; values that do not keep to their representation are left empty,
    never cut. Without a DICOM image the patient is unnamed, the study one that follows from the images, and no image is
    referenced. The document names images that are not DICOM.

    The same report about the same images is the same document, byte for byte, in the same series: identifiers follow
    from study, images, model and content, and the content has the study's date. Only where a study has no date, as
    without DICOM images, the date is the moment of writing, unless `written` gives one.

    Args:
        report: the draft with its findings; with their regions, where it was generated with evidence.
        sources: all images of the study, as files or bytes.
        model: what wrote the draft.
        images: how the network saw the images, which says where a region lies.
        edited: the text as a person left it: the document names the person and has the draft as predecessor.
        written: date and time of the content; by default the study's.
        frame: which frame of DICOM files that hold several the report is about, from 1.
        anyway: take images whose headers name another body part than the chest.

    Raises:
        InputError: highdicom is not installed, an image is damaged, lacks its identifiers or is of another body part,
            or the images are of several studies or patients.
    """
    check_highdicom()
    study = read_sources(sources, frame=frame, anyway=anyway)
    draft_moment = study.moment(written)
    draft = _document(report, study, model=model, images=images, edited=None, moment=draft_moment)
    content = seal(draft)
    if edited is None:
        return content
    moment = edited.at or draft_moment
    document = _document(report, study, model=model, images=images, edited=edited, moment=moment, predecessor=draft)
    return seal(document)


def check_structured_report(sources: Sequence[bytes | Path], *, anyway: bool = False) -> None:
    """Make sure before long work that DICOM objects about a study can be written.

    Raises:
        InputError: highdicom is not installed, an image is damaged, lacks its identifiers or is of another body part,
            or the images are of several studies or patients.
    """
    check_highdicom()
    read_sources(sources, anyway=anyway)


def check_highdicom() -> None:
    """Make sure that DICOM objects can be made.

    Raises:
        InputError: the extra is not installed.
    """
    try:
        import highdicom  # noqa: F401
    except ModuleNotFoundError as error:
        raise InputError(
            f"DICOM objects about a report need {error.name} of the extra [dicom]: pip install 'xpronet[dicom]'"
        ) from None


def _document(
    report: Report,
    study: SourceStudy,
    *,
    model: DescribedModel,
    images: ImageSettings,
    edited: EditedText | None,
    moment: datetime,
    predecessor: Any = None,
) -> Any:
    """Return the document, its own identifier still pending."""
    from highdicom.sr import Comprehensive3DSR

    references = study.references
    sizes = [None if image is None else image.size for image in study.images]
    series_uid = derived_uid("series", KIND, study.uid, *study.fingerprints, model.fingerprint, __version__)
    root = report_content(
        report, study, finding_regions(report, sizes, images), model=model, series_uid=series_uid, edited=edited
    )
    document = Comprehensive3DSR(
        # The library requires evidence: without DICOM images a placeholder is used, and its reference removed.
        evidence=[image.reference for image in references] or [_placeholder(study.uid)],
        content=root,
        series_instance_uid=series_uid,
        series_number=SERIES_NUMBER,
        sop_instance_uid=PENDING,
        instance_number=1 if predecessor is None else 2,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=model.name,
        device_serial_number=model.fingerprint,
        software_versions=__version__,
        series_description=NOTICE,
        previous_versions=None if predecessor is None else [predecessor],
        specific_character_set="ISO_IR 192",
        coding_schemes=coding_schemes(),
    )
    document.CompletionFlagDescription = NOTICE
    if not references:
        del document.CurrentRequestedProcedureEvidenceSequence
    set_identity(document, study)
    stamp(document, moment)
    return document


def set_identity(document: Any, study: SourceStudy) -> None:
    """Give a document the patient and study of its images; the libraries would copy, and log, malformed values."""
    for keyword, value in study.identity.items():
        if value or keyword in document:
            setattr(document, keyword, value)


def _placeholder(study_uid: str) -> Any:
    from pydicom import Dataset

    placeholder = Dataset()
    placeholder.SOPClassUID, placeholder.StudyInstanceUID = SECONDARY_CAPTURE, study_uid
    placeholder.SOPInstanceUID, placeholder.SeriesInstanceUID = derived_uid("no image"), derived_uid("no series")
    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID"):
        setattr(placeholder, keyword, "")
    placeholder.StudyDate = placeholder.StudyTime = placeholder.ReferringPhysicianName = ""
    return placeholder
