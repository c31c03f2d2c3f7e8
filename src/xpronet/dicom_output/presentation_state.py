"""The regions of a report's findings as a DICOM Grayscale Softcopy Presentation State, which viewers draw on images."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from xpronet import __version__
from xpronet.dicom_output.described_model import MANUFACTURER, DescribedModel
from xpronet.dicom_output.finding_regions import FindingRegion, finding_regions
from xpronet.dicom_output.identifiers import PENDING, derived_uid, seal, stamp
from xpronet.dicom_output.report_content import NOTICE
from xpronet.dicom_output.source_images import SourceImage, SourceStudy, read_sources
from xpronet.dicom_output.structured_report import check_highdicom, set_identity
from xpronet.errors import InputError
from xpronet.generation.report import Report
from xpronet.images.dicom_study import other_body_part
from xpronet.images.transforms import ImageSettings

SERIES_NUMBER = 9002
KIND = "presentation state"
LABEL = "FINDING_REGIONS"
LAYER = "FINDINGS"


def presentation_state(
    report: Report,
    sources: Sequence[bytes | Path],
    *,
    model: DescribedModel,
    images: ImageSettings,
    written: datetime | None = None,
    frame: int | None = None,
    anyway: bool = False,
) -> bytes:
    """Return the strongest regions of the findings that count as present as a DICOM file, a named box for each.

    Grey levels are those of the images. Identifiers and dates are made as in a structured report, so that the same
    regions are the same object.

    Args:
        report: the draft, with the regions of its findings.
        sources: all images of the study, as files or bytes.
        model: what wrote the draft.
        images: how the network saw the images, which says where a region lies.
        written: date and time of the content; by default the study's.
        frame: which frame of DICOM files that hold several the report is about, from 1.
        anyway: take images whose headers name another body part than the chest.

    Raises:
        InputError: highdicom is not installed; no image is a grey DICOM image; images are damaged, lack their
            identifiers, are of another body part or of several studies or patients, or do not agree on what is white.
    """
    check_highdicom()
    from highdicom import PresentationLUTTransformation
    from highdicom.pr import GraphicLayer, GrayscaleSoftcopyPresentationState

    study = read_sources(sources, frame=frame, anyway=anyway)
    shown = _grey_images(study)
    sizes = [None if image is None or image not in shown else image.size for image in study.images]
    regions = finding_regions(report, sizes, images)
    series_uid = derived_uid("series", KIND, study.uid, *study.fingerprints, model.fingerprint, __version__)
    layer = GraphicLayer(LAYER, order=1, description=NOTICE)
    is_inverse = shown[0].reference.PhotometricInterpretation == "MONOCHROME1"
    state = GrayscaleSoftcopyPresentationState(
        referenced_images=_of_one_size(shown),
        series_instance_uid=series_uid,
        series_number=SERIES_NUMBER,
        sop_instance_uid=PENDING,
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=model.name,
        software_versions=__version__,
        device_serial_number=model.fingerprint,
        content_label=LABEL,
        content_description=NOTICE,
        graphic_layers=[layer],
        graphic_annotations=list(_annotations(study, regions, layer, series_uid)),
        presentation_lut_transformation=PresentationLUTTransformation(
            presentation_lut_shape="INVERSE" if is_inverse else "IDENTITY"
        ),
        series_description=NOTICE,
        specific_character_set="ISO_IR 192",
    )
    if not state.GraphicAnnotationSequence:
        # Nothing to draw: both modules are there only with annotations.
        del state.GraphicAnnotationSequence, state.GraphicLayerSequence
    state.DisplayedAreaSelectionSequence = [_displayed_area(image) for image in shown]
    set_identity(state, study)
    if any(other_body_part(image.header) for image in shown):
        state.Laterality = ""  # asked for unless the part is an unpaired one
    else:
        state.BodyPartExamined = "CHEST"
    stamp(state, study.moment(written))
    return seal(state)


def _grey_images(study: SourceStudy) -> list[SourceImage]:
    """Return the images that a grayscale presentation state can refer to: of one kind, black or white being highest."""
    grey = [image for image in study.references if int(image.reference.get("SamplesPerPixel") or 1) == 1]
    if not grey:
        raise InputError("no image is a grey DICOM image, so no presentation state can refer to one; give DICOM files")
    kinds = {str(image.reference.get("PhotometricInterpretation", "")) for image in grey}
    if len(kinds) > 1:
        raise InputError(
            f"the study mixes {' and '.join(sorted(kinds))} images, which one presentation state cannot show; report "
            "on them one by one"
        )
    return grey


def _annotations(
    study: SourceStudy, regions: Mapping[str, FindingRegion], layer: Any, series_uid: str
) -> Iterator[Any]:
    """Yield a named box for each region; the box runs through the outermost pixels of the region."""
    import numpy as np
    from highdicom.pr import GraphicAnnotation, GraphicObject, TextObject

    for region in regions.values():
        image = study.images[region.view]
        assert image is not None, "only DICOM images have a size"
        box = region.box
        # Pixels are counted from 1 here.
        left, top, right, bottom = box.left + 1, box.top + 1, box.right, box.bottom
        corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
        outline = GraphicObject(
            graphic_type="POLYLINE",
            graphic_data=np.array(corners, np.float64),
            units="PIXEL",
            tracking_id=region.finding,
            tracking_uid=derived_uid("region", series_uid, region.finding),
        )
        name = TextObject(
            text_value=region.finding, units="PIXEL", anchor_point=(float(left), float(top)), anchor_point_visible=False
        )
        yield GraphicAnnotation(
            referenced_images=[image.reference],
            referenced_frame_number=image.frame,
            graphic_layer=layer,
            graphic_objects=[outline],
            text_objects=[name],
        )


def _of_one_size(shown: Sequence[SourceImage]) -> list[Any]:
    """Return references that all have the first image's size.

    The library takes no others, and makes one displayed area of it, which is replaced by one for each image.
    """
    from copy import deepcopy

    references = [deepcopy(image.reference) for image in shown]
    for reference in references:
        reference.Rows, reference.Columns = references[0].Rows, references[0].Columns
    return references


def _displayed_area(image: SourceImage) -> Any:
    """Return that the whole image is shown, fitted to the screen; images of one study may differ in size."""
    from pydicom import Dataset

    height, width = image.size
    reference = Dataset()
    reference.ReferencedSOPClassUID = image.reference.SOPClassUID
    reference.ReferencedSOPInstanceUID = image.reference.SOPInstanceUID
    area = Dataset()
    area.ReferencedImageSequence = [reference]
    area.DisplayedAreaTopLeftHandCorner = [1, 1]
    area.DisplayedAreaBottomRightHandCorner = [width, height]
    area.PresentationSizeMode = "SCALE TO FIT"
    area.PresentationPixelAspectRatio = [1, 1]
    return area
