"""The content of a structured report: template 1500, Measurement Report, of DICOM part 16.

Two containers hold what the model says. Qualitative Evaluations has the notice, the text and, for each finding, whether
it is present; Imaging Measurements has the probabilities and the regions. A finding that is absent is never written as
a Finding by itself, where a reader of one item could take it for one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from xpronet.dicom_output.described_model import MANUFACTURER, DescribedModel
from xpronet.dicom_output.edited_text import EditedText
from xpronet.dicom_output.finding_codes import finding_concept, finding_sites
from xpronet.dicom_output.finding_regions import FindingRegion
from xpronet.dicom_output.identifiers import derived_uid
from xpronet.dicom_output.plain_text import one_line, paragraphs
from xpronet.dicom_output.source_images import SourceImage, SourceStudy
from xpronet.generation.report import FindingScore, Report

TEMPLATE = "1500"
NOTICE = "Research use: draft by software, not a diagnosis"
EDITED = "The text was edited after the software drafted it; the draft is the predecessor document"
EDITED_BY_NOBODY = f"{EDITED}. Who edited it was not said"
NO_TEXT = "No text was written."


def report_content(
    report: Report,
    study: SourceStudy,
    regions: Mapping[str, FindingRegion],
    *,
    model: DescribedModel,
    series_uid: str,
    edited: EditedText | None = None,
) -> Any:
    """Return the root of a report's content tree, as highdicom has it.

    Args:
        report: the draft with its findings.
        study: the images that it is about.
        regions: the strongest region of findings, on DICOM images.
        model: what wrote the draft.
        series_uid: of the series that the document will be in; what is tracked has its identifiers from it.
        edited: the text as a person left it, instead of the draft.
    """
    from highdicom.sr import CodeContentItem, CodedConcept, ContainerContentItem, ContentSequence
    from highdicom.sr import LanguageOfContentItemAndDescendants as Language
    from pydicom.sr.codedict import codes

    root = ContainerContentItem(name=codes.DCM.ImagingMeasurementReport, template_id=TEMPLATE)
    procedure = CodeContentItem(
        name=codes.DCM.ProcedureReported,
        # The template takes this from a list (context group 100) that has no plain radiographs.
        value=CodedConcept(value="363679005", scheme_designator="SCT", meaning="Imaging procedure"),
        relationship_type="HAS CONCEPT MOD",
    )
    english = CodedConcept(value="en", scheme_designator="RFC5646", meaning="English")
    root.ContentSequence = ContentSequence(
        [
            *Language(english),
            *_observers(model, edited),
            procedure,
            *_image_library(study.references),
            _measurements(report, study, regions, model, series_uid),
            _evaluations(report, study, edited),
        ]
    )
    return root


def numbered_views(report: Report) -> Report:
    """Return a report that calls its images by number: file names may name a patient."""
    return replace(
        report, view_names=tuple(f"Image {number}" for number, _ in enumerate(report.gate or report.texture, 1))
    )


def _observers(model: DescribedModel, edited: EditedText | None) -> list[Any]:
    """Return who observed: the person who edited the text, where there is one, and the model as a device."""
    from highdicom.sr import (
        DeviceObserverIdentifyingAttributes,
        ObserverContext,
        PersonObserverIdentifyingAttributes,
    )
    from pydicom.sr.codedict import codes

    device = DeviceObserverIdentifyingAttributes(
        uid=model.uid,
        name=model.name,
        manufacturer_name=MANUFACTURER,
        model_name=model.name,
        serial_number=model.fingerprint,
    )
    observers = [*ObserverContext(observer_type=codes.DCM.Device, observer_identifying_attributes=device)]
    if edited is not None and edited.person:
        person = PersonObserverIdentifyingAttributes(
            name=edited.person, organization_name=one_line(edited.organization, 64) or None
        )
        observers[:0] = ObserverContext(observer_type=codes.DCM.Person, observer_identifying_attributes=person)
    return observers


def _image_library(references: Sequence[SourceImage]) -> list[Any]:
    """Return the image library (template 1600) of the DICOM images; nothing where there is none."""
    from highdicom.sr import CodeContentItem, CodedConcept, ImageContentItem, NumContentItem
    from pydicom.sr.codedict import codes

    if not references:
        return []
    pixels = CodedConcept(value="{pixels}", scheme_designator="UCUM", meaning="Pixels")
    modalities = {
        "CR": codes.DCM.ComputedRadiography,
        "DX": codes.DCM.DigitalRadiography,
        "RG": codes.DCM.RadiographicImaging,
    }
    entries = []
    for image in references:
        entry = ImageContentItem(
            name=CodedConcept(value="260753009", scheme_designator="SCT", meaning="Source"),
            referenced_sop_class_uid=image.reference.SOPClassUID,
            referenced_sop_instance_uid=image.reference.SOPInstanceUID,
            referenced_frame_numbers=None if image.frame is None else [image.frame],
            relationship_type="CONTAINS",
        )
        height, width = image.size
        acquired: dict[str, Any] = {"relationship_type": "HAS ACQ CONTEXT"}
        modality = modalities.get(str(image.reference.get("Modality", "")), codes.DCM.OtherModality)
        _fill(
            entry,
            [
                CodeContentItem(name=codes.DCM.Modality, value=modality, **acquired),
                NumContentItem(name=codes.DCM.PixelDataRows, value=height, unit=pixels, **acquired),
                NumContentItem(name=codes.DCM.PixelDataColumns, value=width, unit=pixels, **acquired),
            ],
        )
        entries.append(entry)
    return [_container(codes.DCM.ImageLibrary, [_container(codes.DCM.ImageLibraryGroup, entries)])]


def _measurements(
    report: Report,
    study: SourceStudy,
    regions: Mapping[str, FindingRegion],
    model: DescribedModel,
    series_uid: str,
) -> Any:
    """Return the algorithm (template 4019) and a group for each finding: probability, threshold, strongest region."""
    from highdicom.sr import AlgorithmIdentification
    from pydicom.sr.codedict import codes

    algorithm = AlgorithmIdentification(
        name=model.name, version=model.version, parameters=[one_line(line, 1024) for line in model.parameters]
    )
    groups = [
        item for finding in report.findings for item in _group(finding, study, regions.get(finding.name), series_uid)
    ]
    return _container(codes.DCM.ImagingMeasurements, [*algorithm, *groups])


def _group(finding: FindingScore, study: SourceStudy, region: FindingRegion | None, series_uid: str) -> Any:
    """Return a finding's measurement group: template 1410 where it has a region, 1501 where it has none."""
    from highdicom.sr import (
        ImageRegion,
        MeasurementsAndQualitativeEvaluations,
        PlanarROIMeasurementsAndQualitativeEvaluations,
        SourceImageForRegion,
        TrackingIdentifier,
    )

    shared: dict[str, Any] = {
        "tracking_identifier": TrackingIdentifier(
            uid=derived_uid("finding", series_uid, finding.name), identifier=one_line(finding.name, 1024)
        ),
        "finding_type": finding_concept(finding.name) if finding.present else None,
        "finding_sites": finding_sites(finding.name),
        "measurements": [_probability(finding), _threshold(finding)],
    }
    image = None if region is None else study.images[region.view]
    if region is None or image is None:
        return MeasurementsAndQualitativeEvaluations(**shared)
    source = SourceImageForRegion(
        referenced_sop_class_uid=image.reference.SOPClassUID,
        referenced_sop_instance_uid=image.reference.SOPInstanceUID,
        referenced_frame_numbers=None if image.frame is None else [image.frame],
    )
    outline = ImageRegion(graphic_type="POLYLINE", graphic_data=_outline(region), source_image=source)
    return PlanarROIMeasurementsAndQualitativeEvaluations(referenced_region=outline, **shared)


def _outline(region: FindingRegion) -> Any:
    """Return the closed outline of a box: columns and rows, from 0 at the image's upper left corner."""
    import numpy as np

    box = region.box
    corners = [(box.left, box.top), (box.right, box.top), (box.right, box.bottom), (box.left, box.bottom)]
    return np.array([*corners, corners[0]], np.float64)


def _probability(finding: FindingScore) -> Any:
    """Return the probability, which names the finding itself: that it is measured does not say that it is present."""
    from highdicom.sr import CodeContentItem, Measurement
    from pydicom.sr.codedict import codes

    measured = Measurement(name=codes.DCM.Probability, value=round(finding.probability, 4), unit=codes.UCUM.NoUnits)
    of_what = CodeContentItem(
        name=codes.DCM.Finding, value=finding_concept(finding.name), relationship_type="HAS CONCEPT MOD"
    )
    _fill(measured[0], [of_what])
    return measured


def _threshold(finding: FindingScore) -> Any:
    from highdicom.sr import Measurement
    from pydicom.sr.codedict import codes

    return Measurement(name=codes.DCM.ThresholdValue, value=round(finding.threshold, 4), unit=codes.UCUM.NoUnits)


def _evaluations(report: Report, study: SourceStudy, edited: EditedText | None) -> Any:
    """Return notice, warnings, text, and whether each finding is present.

    What the report says of its own sentences is in the comments, as text. As codes, each claim's finding with its
    verdict, it belongs here, too: the template takes any code with any name.
    """
    from highdicom.sr import CodeContentItem, CodedConcept
    from pydicom.sr.codedict import codes

    text = report.text if edited is None else edited.text
    items: list[Any] = [_text(codes.DCM.Comment, line) for line in _comments(report, study, edited)]
    items += [_text(codes.DCM.Finding, paragraph) for paragraph in paragraphs(text) or [NO_TEXT]]
    for finding in report.findings:
        presence = codes.SCT.Present if finding.present else codes.SCT.Absent
        items.append(CodeContentItem(name=finding_concept(finding.name), value=presence, relationship_type="CONTAINS"))
    name = CodedConcept(value="C0034375", scheme_designator="UMLS", meaning="Qualitative Evaluations")
    return _container(name, items)


def _comments(report: Report, study: SourceStudy, edited: EditedText | None) -> list[str]:
    """Return what a reader must know first, a line each."""
    lines = [NOTICE]
    if edited is not None:
        lines.append(EDITED if edited.person else EDITED_BY_NOBODY)
    lines += numbered_views(report).warnings
    if edited is None:
        lines += report.doubts()
    without, count = study.without_reference, len(study.images)
    if without:
        verb, noun = ("has", "image") if len(without) == 1 else ("have", "images")
        numbers = ", ".join(map(str, without))
        lines.append(
            f"{len(without)} of {count} images {verb} no DICOM reference: {noun} {numbers} of the study as given"
        )
    return lines


def _container(name: Any, items: Sequence[Any]) -> Any:
    from highdicom.sr import ContainerContentItem

    container = ContainerContentItem(name=name, relationship_type="CONTAINS")
    _fill(container, items)
    return container


def _text(name: Any, text: str) -> Any:
    from highdicom.sr import TextContentItem

    return TextContentItem(name=name, value=text, relationship_type="CONTAINS")


def _fill(item: Any, children: Sequence[Any]) -> None:
    from highdicom.sr import ContentSequence

    item.ContentSequence = ContentSequence(children)
