"""Opening DICOM files: preambles, deflation, transfer syntaxes that are not stated, elements as plain values."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn_films import film, saved
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from xpronet.errors import InputError
from xpronet.images.dicom import read_header, read_view_position
from xpronet.images.dicom_file import Elements, is_dicom
from xpronet.images.read import read_grey

STORED = np.random.default_rng(3).integers(0, 4096, (30, 40), dtype=np.uint16)
PLAIN = read_grey(saved(film(STORED, BitsStored=12)))


def drawn(syntax: str = ExplicitVRLittleEndian) -> bytes:
    return saved(
        film(STORED, BitsStored=12, SOPClassUID="1.2.840.10008.5.1.4.1.1.1.1", ViewPosition="PA"), syntax
    ).getvalue()


def bare(syntax: str, **elements: Any) -> bytes:
    """A data set alone, as files had it before there was a preamble."""
    dataset = film(STORED, BitsStored=12, SOPClassUID="1.2.840.10008.5.1.4.1.1.1.1", **elements)
    del dataset.file_meta
    stream = io.BytesIO()
    dataset.save_as(stream, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=syntax != ExplicitVRBigEndian)
    return stream.getvalue()


WITHOUT_PREAMBLE = {
    "file meta information first": drawn()[132:],
    "mark first": drawn()[128:],
    "implicit": bare(ImplicitVRLittleEndian),
    "explicit": bare(ExplicitVRLittleEndian),
}


@pytest.mark.parametrize("form", WITHOUT_PREAMBLE)
def test_files_without_a_preamble(form: str, tmp_path: Path) -> None:
    path = tmp_path / "film"
    path.write_bytes(WITHOUT_PREAMBLE[form])
    np.testing.assert_array_equal(read_grey(path), PLAIN)
    header = read_header(path, "film")
    assert header is not None
    assert header.Rows == 30


@pytest.mark.parametrize(
    "head", [b"", b"\x08\x00", b"\x08\x00\x10\x00", bytes(132), b"The lungs are clear." * 9, b"MZ" * 80]
)
def test_other_files_are_no_dicom(head: bytes) -> None:
    assert not is_dicom(head[:132])


def test_deflated(tmp_path: Path) -> None:
    path = tmp_path / "deflated.dcm"
    path.write_bytes(drawn(DeflatedExplicitVRLittleEndian))
    np.testing.assert_array_equal(read_grey(path), PLAIN)
    assert read_view_position(path) == "PA"


def test_deflated_files_unpack_to_no_more_than_an_image(tmp_path: Path) -> None:
    path = tmp_path / "bomb.dcm"
    dataset = film(np.zeros((3, 4), np.uint16))
    dataset.PixelData = bytes(64 << 20)
    path.write_bytes(saved(dataset, DeflatedExplicitVRLittleEndian).getvalue())
    assert path.stat().st_size < 100_000
    with pytest.raises(InputError, match="unpacks to more than the 16,977,216 bytes allowed"):
        read_grey(path, max_pixels=100_000)
    assert read_view_position(path) is None


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_truncated_deflated_files_are_refused(share: float) -> None:
    data = drawn(DeflatedExplicitVRLittleEndian)
    with pytest.raises(InputError, match="does not unpack"):
        read_grey(io.BytesIO(data[: int(len(data) * share)]))


def test_missing_transfer_syntax_is_refused_for_what_it_is() -> None:
    data = bytearray(drawn())
    place = data.index(b"\x02\x00\x10\x00UI")
    data[place + 2] = 0x16  # another element of the group
    with pytest.raises(InputError, match="states no transfer syntax"):
        read_grey(io.BytesIO(data))
    with pytest.raises(InputError, match="states no transfer syntax"):
        read_grey(io.BytesIO(bytes(128) + b"DICM" + bare(ExplicitVRLittleEndian)))


def test_compressed_pixels_without_a_transfer_syntax_are_refused() -> None:
    packed = film(STORED, BitsStored=12, SOPClassUID="1.2.840.10008.5.1.4.1.1.1.1")
    packed.compress(RLELossless, generate_instance_uid=False)
    data = saved(packed, RLELossless).getvalue()
    with pytest.raises(InputError, match="states no transfer syntax"):
        read_grey(io.BytesIO(data[data.index(b"\x08\x00\x16\x00UI") :]))


def test_elements_are_checked_where_they_are_asked_for() -> None:
    values = {
        "Rows": [3, 4],
        "Columns": "12",
        "WindowWidth": "wide",
        "VOILUTSequence": 7,
        "Item": [{"Rows": 5}],
        "Slope": float("nan"),
    }
    elements = Elements(name="film.dcm", values=values)
    assert elements.whole("Rows") == 3
    assert elements.whole("Columns") == 12
    assert elements.whole("Absent") is None
    assert [item.whole("Rows") for item in elements.items("Item")] == [5]
    for ask, keyword in (
        (elements.number, "WindowWidth"),
        (elements.items, "VOILUTSequence"),
        (elements.number, "Slope"),
    ):
        with pytest.raises(InputError, match=rf"^film.dcm: damaged DICOM file \({keyword} is malformed\)"):
            ask(keyword)
