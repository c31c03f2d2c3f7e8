"""Films for a reader: values in full depth with the header's windows, sides, spacing."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from xpronet.images.film import Film, FilmHeader, read_film, read_film_header

pydicom = pytest.importorskip("pydicom")

STORED = np.random.default_rng(0).integers(0, 4096, (24, 32)).astype(np.uint16)


def dicom(**elements: Any) -> bytes:
    """A film of 12 bits of an invented patient."""
    image = pydicom.Dataset()
    image.SOPClassUID, image.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1", pydicom.uid.generate_uid()
    image.PatientName, image.PatientID, image.StudyDate = "Invented^Ida", "P-1", "20260102"
    image.PhotometricInterpretation, image.SamplesPerPixel = "MONOCHROME2", 1
    image.Rows, image.Columns = STORED.shape
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 12, 11, 0
    image.PixelData = STORED.tobytes()
    for keyword, value in elements.items():
        setattr(image, keyword, value)
    image.file_meta = pydicom.dataset.FileMetaDataset()
    image.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    stream = io.BytesIO()
    image.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def read(**elements: Any) -> Film:
    return read_film(dicom(**elements), "film", max_pixels=10_000)


def header(**elements: Any) -> FilmHeader:
    found = read_film_header(dicom(**elements), "film")
    assert found is not None
    return found


@settings(deadline=None, max_examples=40)
@given(
    kind=st.sampled_from(["MONOCHROME1", "MONOCHROME2"]),
    shape=st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
    centre=st.integers(-500, 5000),
    width=st.integers(2, 6000),
    slope=st.sampled_from([0.5, 1.0, 2.0]),
    intercept=st.integers(-1000, 1000),
)
def test_the_first_window_makes_the_grey_of_the_network(
    kind: str, shape: str, centre: int, width: int, slope: float, intercept: int
):
    film = read(
        PhotometricInterpretation=kind,
        VOILUTFunction=shape,
        WindowCenter=centre,
        WindowWidth=width,
        RescaleSlope=slope,
        RescaleIntercept=intercept,
    )
    values = film.values
    assert np.array_equal(values.values, STORED)
    levels = values.windows[0].spread(STORED.ravel() * values.slope + values.intercept)
    levels = 1 - levels if values.inverted else levels
    assert np.array_equal(np.rint(levels * 65535).astype(np.uint16), film.grey.ravel())


def test_every_window_of_the_header_is_offered_by_its_name():
    film = read(WindowCenter=[2000, 1000], WindowWidth=[4000, 500], WindowCenterWidthExplanation=["NORMAL", "HARDER"])
    assert [(window.name, window.centre, window.width) for window in film.values.windows] == [
        ("NORMAL", 2000, 4000),
        ("HARDER", 1000, 500),
    ]


def test_without_a_window_the_range_of_the_values_is_one_and_padding_is_no_part_of_it():
    film = read(PixelPaddingValue=int(STORED.max()), RescaleSlope=2, RescaleIntercept=-100, RescaleType="US")
    [window] = film.values.windows
    brightest = STORED.max()
    inside = STORED[brightest != STORED] * 2.0 - 100
    assert window.centre - window.width / 2 == inside.min()
    assert window.centre + window.width / 2 == inside.max()
    assert film.values.units == "US"
    assert film.values.padding == (brightest, brightest)


def test_where_a_table_makes_the_grey_it_is_sent_as_it_is():
    table = pydicom.Dataset()
    table.LUTDescriptor, table.LUTData = [4096, 0, 16], np.linspace(0, 65535, 4096).astype("<u2").tobytes()
    table["LUTData"].VR = "OW"
    film = read(VOILUTSequence=[table])
    assert film.values.values is film.grey
    assert (film.values.windows[0].centre, film.values.windows[0].width) == (32767.5, 65535)


def test_signed_values_stay_signed():
    film = read(PixelData=(STORED.astype(np.int16) - 2048).tobytes(), PixelRepresentation=1, BitsStored=12)
    assert film.values.values.dtype == np.int16
    assert int(film.values.values.min()) < 0


def test_other_files_have_no_header_and_their_own_depth():
    stream = io.BytesIO()
    Image.fromarray(STORED * 16).save(stream, "PNG")
    film = read_film(stream.getvalue(), "film", max_pixels=10_000)
    assert film.header is None
    assert np.array_equal(film.values.values, STORED * 16)
    assert (film.values.windows[0].centre, film.values.windows[0].width) == (32767.5, 65535)


@pytest.mark.parametrize(
    ("orientation", "sides"),
    [
        (["L", "F"], ("R", "L", "H", "F")),
        (["R", "F"], ("L", "R", "H", "F")),
        (["A", "F"], ("P", "A", "H", "F")),
        (["PL", "FA"], ("AR", "PL", "HP", "FA")),
        (["X", "F"], None),
        (None, None),
    ],
)
def test_sides_are_opposite_to_each_other(orientation: list[str] | None, sides: tuple[str, ...] | None):
    assert header(**({} if orientation is None else {"PatientOrientation": orientation})).sides == sides


@pytest.mark.parametrize(
    ("elements", "spacing", "at"),
    [
        ({"ImagerPixelSpacing": [0.14, 0.14]}, (0.14, 0.14), "detector"),
        ({"ImagerPixelSpacing": [0.14, 0.14], "PixelSpacing": [0.14, 0.14]}, (0.14, 0.14), "detector"),
        ({"ImagerPixelSpacing": [0.14, 0.14], "PixelSpacing": [0.12, 0.13]}, (0.12, 0.13), "patient"),
        (
            {"ImagerPixelSpacing": [0.2, 0.2], "EstimatedRadiographicMagnificationFactor": 1.25},
            (0.16, 0.16),
            "patient",
        ),
        ({"PixelSpacing": [0.168, 0.168]}, (0.168, 0.168), "detector"),
        ({"PixelSpacing": [0, 0]}, None, ""),
        ({}, None, ""),
    ],
)
def test_spacing_and_where_it_holds(elements: dict[str, Any], spacing: tuple[float, float] | None, at: str):
    found = header(**elements)
    assert found.spacing == (None if spacing is None else pytest.approx(spacing))
    assert found.spacing_at == at


@pytest.mark.parametrize(
    ("position", "lateral", "frontal"),
    [("PA", False, True), ("LL", True, False), ("RL", True, False), ("", False, False)],
)
def test_views_are_frontal_lateral_or_unsaid(position: str, lateral: bool, frontal: bool):
    found = header(ViewPosition=position)
    assert (found.is_lateral, found.is_frontal) == (lateral, frontal)


def test_a_real_film(shared: Path) -> None:
    path = shared / "data" / "dicom" / "RG1_UNCI.dcm"
    film = read_film(path.read_bytes(), "film", max_pixels=10_000_000)
    assert film.header is not None
    assert (film.header.position, film.header.sides) == ("PA", ("R", "L", "H", "F"))
    # Its PixelSpacing is 0.
    assert film.header.spacing is None
    assert film.values.inverted
    assert film.values.values.shape == film.grey.shape == (1955, 1841)
