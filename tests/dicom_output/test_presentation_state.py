"""Presentation states and encapsulated PDFs: boxes that cover the regions, read by dcmtk and dicom3tools."""

import io
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_structured_report import IMAGES, MODEL, REPORT, dicom, read

from xpronet.dicom_output.encapsulated_pdf import encapsulated_pdf
from xpronet.dicom_output.finding_regions import pixel_box, strongest_cells
from xpronet.dicom_output.presentation_state import presentation_state
from xpronet.errors import InputError
from xpronet.generation.report import Report
from xpronet.images import transforms
from xpronet.images.transforms import ImageSettings

VIEWED = replace(REPORT, images=np.zeros((2, 64, 64), np.uint8))


def state(*sources: bytes | Path, report: Report = REPORT) -> bytes:
    return presentation_state(report, sources, model=MODEL, images=IMAGES)


def pdf(*sources: bytes, report: Report = VIEWED) -> bytes:
    return encapsulated_pdf(report, sources, model=MODEL)


def test_strongest_cells_are_the_peak_and_what_touches_it() -> None:
    regions = np.array([[[0.2, 0.9, 1.0], [0.0, 0.4, 0.5], [0.8, 0.0, 0.0]]])
    assert strongest_cells(regions)[0].tolist() == [[False, True, True], [False, False, True], [False] * 3]
    assert not strongest_cells(-regions).any()


@given(
    height=st.integers(40, 90),
    width=st.integers(40, 90),
    test=st.sampled_from(["crop", "squash", "pad"]),
    row=st.integers(0, 6),
    column=st.integers(0, 6),
)
@settings(max_examples=40, deadline=None)
def test_a_box_covers_every_pixel_that_its_cell_saw(height: int, width: int, test: str, row: int, column: int) -> None:
    images = ImageSettings(size=56, short_side=64, test=test)  # type: ignore[arg-type]
    cells = np.zeros((7, 7), bool)
    cells[row, column] = True
    box = pixel_box(cells, (height, width), images)
    outside = np.full((height, width), 255, np.uint8)
    if box is not None:
        outside[box.top : box.bottom, box.left : box.right] = 0
        assert 0 <= box.left < box.right <= width
        assert 0 <= box.top < box.bottom <= height
    seen = transforms.test_view(outside, images)[row * 8 : row * 8 + 8, column * 8 : column * 8 + 8]
    # Resizing mixes neighbours: of the cell's middle nothing may come from outside the box.
    assert not seen[3:5, 3:5].any()


def test_a_state_draws_a_named_box_on_the_image_of_the_region(checked: Callable[..., str]) -> None:
    content = state(dicom(1), dicom(2, Rows=900, Columns=800))
    document = read(content)
    present = [finding.name for finding in REPORT.findings if finding.present and finding.name != "No Finding"]
    assert [one.TextObjectSequence[0].UnformattedTextValue for one in document.GraphicAnnotationSequence] == present
    for annotation in document.GraphicAnnotationSequence:
        assert annotation.ReferencedImageSequence[0].ReferencedSOPInstanceUID == "1.2.3.4.1"
        points = np.array(annotation.GraphicObjectSequence[0].GraphicData).reshape(-1, 2)
        (left, top), (right, bottom) = points.min(0), points.max(0)
        # Columns 569 to 743 and rows 132 to 218 are the region's, counted from 1.
        assert left <= 569 < 743 <= right
        assert top <= 132 < 218 <= bottom
    corners = [area.DisplayedAreaBottomRightHandCorner for area in document.DisplayedAreaSelectionSequence]
    assert corners == [[1400, 700], [800, 900]]
    assert state(dicom(1), dicom(2, Rows=900, Columns=800)) == content
    assert "Error" not in checked("dciodvfy", content=content)


def test_dcmtk_shows_the_boxes_and_the_same_greys(shared: Path, tmp_path: Path) -> None:
    if shutil.which("dcmp2pgm") is None:
        pytest.skip("dcmp2pgm is not installed (Debian: dcmtk)")
    image = shared / "data" / "dicom" / "RG1_UNCI.dcm"
    (tmp_path / "state.dcm").write_bytes(state(image))
    with_state = ["dcmp2pgm", "-v", "-p", str(tmp_path / "state.dcm"), str(image), str(tmp_path / "with.pgm")]
    shown = subprocess.run(with_state, capture_output=True, text=True, timeout=60, check=True)
    subprocess.run(["dcmp2pgm", str(image), str(tmp_path / "without.pgm")], timeout=60, check=True)
    assert (tmp_path / "with.pgm").read_bytes() == (tmp_path / "without.pgm").read_bytes()
    boxes = re.findall(r"coordinates: ([\d\\, ]+)", shown.stdout + shown.stderr)
    drawn = read((tmp_path / "state.dcm").read_bytes()).GraphicAnnotationSequence
    assert len(boxes) == len(drawn) > 0
    for box, annotation in zip(boxes, drawn, strict=True):
        assert [float(number) for number in re.findall(r"\d+", box)] == annotation.GraphicObjectSequence[0].GraphicData


def test_a_study_without_a_grey_dicom_image_has_no_state() -> None:
    with pytest.raises(InputError, match="no image is a grey DICOM image"):
        state(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(InputError, match="MONOCHROME1 and MONOCHROME2"):
        state(dicom(1), dicom(2, PhotometricInterpretation="MONOCHROME1"))


def test_a_state_without_a_region_has_no_empty_sequence(checked: Callable[..., str]) -> None:
    content = state(dicom(1), report=replace(REPORT, findings=()))
    assert "GraphicAnnotationSequence" not in read(content)
    assert "Error" not in checked("dciodvfy", content=content)


def test_a_pdf_is_about_the_same_study_and_its_repeat_the_same(checked: Callable[..., str]) -> None:
    content = pdf(dicom(1), dicom(2))
    document = read(content)
    assert (document.PatientName, document.StudyInstanceUID) == ("Müller^Jürgen", "1.2.3")
    assert document.EncapsulatedDocument[: document.EncapsulatedDocumentLength].startswith(b"%PDF")
    assert pdf(dicom(1), dicom(2)) == content
    assert "Error" not in checked("dciodvfy", content=content)


def test_a_long_report_takes_more_pages() -> None:
    def pages(report: Report) -> int:
        return io.BytesIO(read(pdf(dicom(), report=report)).EncapsulatedDocument).getvalue().count(b"/Type /Page ")

    assert pages(VIEWED) == 1
    assert 1 < pages(replace(VIEWED, text="line\n" * 60)) < pages(replace(VIEWED, text="line\n" * 200))
