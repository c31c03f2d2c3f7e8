"""DICOM in: the formulas of PS3.3 C.11, transfer syntaxes, refusals, damage, real films."""

import io
import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from drawn_films import film, look_up_item, saved
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from xpronet.errors import InputError
from xpronet.images import dicom
from xpronet.images.dicom import read_view_position
from xpronet.images.read import read_grey

SAMPLES = Path(pydicom.__file__).parent / "data" / "test_files"


@dataclass
class Header:
    """What the standard's formulas need, drawn at random."""

    modality: tuple[int, list[int], int] | None
    slope: float
    intercept: float
    voi: tuple[int, list[int], int] | None
    window: tuple[str, float, float] | None
    inverted: bool
    padding: tuple[int, int] | None


def standard_level(value: int, header: Header, spread: tuple[float, float]) -> float:
    """The brightness of one stored value, 0 to 1, in the words of PS3.3 C.11.1, C.11.2 and C.7.6.3.1.2."""
    if header.padding and header.padding[0] <= value <= header.padding[1]:
        return 0.0
    units = in_units(value, header)
    if header.voi:
        first, entries, bits = header.voi
        level = entries[min(max(round(units) - first, 0), len(entries) - 1)] / white_entry(entries, bits)
    elif header.window:
        shape, centre, width = header.window
        if shape == "SIGMOID":
            level = 1 / (1 + math.exp(min(-4 * (units - centre) / width, 700)))
        elif shape == "LINEAR_EXACT":
            if units <= centre - width / 2:
                level = 0.0
            elif units > centre + width / 2:
                level = 1.0
            else:
                level = (units - centre) / width + 0.5
        elif units <= centre - 0.5 - (width - 1) / 2:
            level = 0.0
        elif units > centre - 0.5 + (width - 1) / 2:
            level = 1.0
        else:
            level = (units - (centre - 0.5)) / (width - 1) + 0.5
    else:
        low, high = spread
        level = (units - low) / (high - low) if high > low else 0.0
    return 1 - level if header.inverted else level


def white_entry(entries: list[int], bits: int) -> int:
    """The output of a VOI LUT that is white: its highest where its entries need less than its bits; 1 of all zeros."""
    return max(entries) if 0 < 2 * max(entries) < 2**bits - 1 else 2**bits - 1


def in_units(value: int, header: Header) -> float:
    if header.modality:
        first, entries, _ = header.modality
        return float(entries[min(max(value - first, 0), len(entries) - 1)])
    return value * header.slope + header.intercept


@st.composite
def films(draw: st.DrawFn) -> tuple[np.ndarray, int, Header, dict[str, Any], str]:
    bits = draw(st.integers(8, 16))
    signed = draw(st.booleans())
    kind: Any = {False: (np.uint8, np.uint16), True: (np.int8, np.int16)}[signed][bits > 8]
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    height, width = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    values = draw(st.lists(st.integers(low, high), min_size=height * width, max_size=height * width))
    stored = np.array(values, kind).reshape(height, width)

    def table(first_low: int, first_high: int) -> tuple[int, list[int], int]:
        depth = draw(st.integers(8, 16))
        entries = draw(st.lists(st.integers(0, 2**depth - 1), min_size=2, max_size=12))
        return draw(st.integers(first_low, first_high)), entries, depth

    header = Header(None, 1.0, 0.0, None, None, False, None)
    elements: dict[str, Any] = {"BitsStored": bits}
    packed = draw(st.booleans())
    form = draw(st.sampled_from(["none", "rescale", "table"]))
    near = int(draw(st.sampled_from(values)))
    if form == "table":
        header.modality = table(max(low, near - 6), near)
        item = look_up_item(*header.modality, signed=signed, packed=packed)
        item.add_new("ModalityLUTType", "LO", "US")
        elements["ModalityLUTSequence"] = [item]
    elif form == "rescale":
        header.slope, header.intercept = draw(st.sampled_from([0.25, 1.0, 2.0])), float(draw(st.integers(-2000, 2000)))
        elements |= {"RescaleSlope": header.slope, "RescaleIntercept": header.intercept}
    middle = round(in_units(near, header))
    shape = draw(st.sampled_from(["", "LINEAR", "LINEAR_EXACT", "SIGMOID", "table", "none"]))
    if shape == "table":
        first = min(max(middle - 4, -32768), 32767) if middle < 0 else min(max(middle - 4, 0), 65535)
        header.voi = (first, *table(0, 0)[1:])
        elements["VOILUTSequence"] = [look_up_item(*header.voi, signed=first < 0, packed=packed)]
    elif shape != "none":
        breadth = float(draw(st.integers(2, 5000)))
        centre = middle + draw(st.integers(-3000, 3000)) / 2
        header.window = (shape or "LINEAR", centre, breadth)
        elements |= {"WindowCenter": [centre, 1.0], "WindowWidth": [header.window[2], 7.0]}
        if shape:
            elements["VOILUTFunction"] = shape
    if draw(st.booleans()):
        header.inverted = True
        elements["PhotometricInterpretation"] = "MONOCHROME1"
    if draw(st.booleans()):
        ends = sorted((near, draw(st.sampled_from([near, *values]))))
        header.padding = (ends[0], ends[1])
        elements |= {"PixelPaddingValue": ends[1], "PixelPaddingRangeLimit": ends[0]}
    syntax = draw(st.sampled_from([ExplicitVRLittleEndian, ImplicitVRLittleEndian]))
    return stored, bits, header, elements, syntax


@settings(max_examples=150, deadline=None)
@given(drawn=films())
def test_the_standards_formulas(drawn: tuple[np.ndarray, int, Header, dict[str, Any], str]) -> None:
    stored, _, header, elements, syntax = drawn
    if header.voi and header.voi[0] < 0 and syntax == ImplicitVRLittleEndian and stored.dtype.kind == "u":
        return  # without VRs, a table's first input cannot be told to be negative
    grey = read_grey(saved(film(stored, **elements), syntax))
    assert grey.dtype == np.uint16
    inside = [
        in_units(value, header)
        for value in stored.ravel().tolist()
        if not (header.padding and header.padding[0] <= value <= header.padding[1])
    ]
    spread = (min(inside), max(inside)) if inside else (0.0, 0.0)
    expected = [standard_level(value, header, spread) * 65535 for value in stored.ravel().tolist()]
    np.testing.assert_allclose(grey.ravel(), expected, atol=0.51)


def test_window_of_width_one_is_a_threshold() -> None:
    grey = read_grey(saved(film(np.arange(6, dtype=np.uint16)[None], WindowCenter=3, WindowWidth=1)))
    np.testing.assert_array_equal(grey, [[0, 0, 0, 65535, 65535, 65535]])


def test_table_of_bytes_two_to_a_word() -> None:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [4, 0, 8])
    item.add_new("LUTData", "OW", bytes([0, 255, 51, 102]))
    grey = read_grey(saved(film(np.array([[0, 1, 2, 3, 9]], np.uint8), VOILUTSequence=[item])))
    np.testing.assert_array_equal(grey, [[0, 65535, 51 * 257, 102 * 257, 102 * 257]])


def test_colour_films_become_grey() -> None:
    colours = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    dataset = film(colours, SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=0)
    grey = read_grey(saved(dataset))
    assert np.abs(grey - colours @ np.array([0.299, 0.587, 0.114])).max() < 1
    fine = colours.astype(np.uint16) * 257
    dataset = film(fine, SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=0)
    assert np.abs(read_grey(saved(dataset)) / 257 - grey).max() < 1


REFUSALS = {
    "2 frames": {"NumberOfFrames": 2},
    "without pixels": {"PixelData": None},
    "floating-point": {"PixelData": None, "FloatPixelData": bytes(48)},
    "floating-point numbers": {"PixelData": None, "DoubleFloatPixelData": bytes(96)},
    "kept elsewhere": {"PixelData": None, "PixelDataProviderURL": "https://host/films/1"},
    "DICOMDIR": {"PixelData": None, "DirectoryRecordSequence": [Dataset()]},
    "lacks PhotometricInterpretation, so": {"PhotometricInterpretation": None},
    "lacks Columns, HighBit": {"Columns": None, "HighBit": None},
    "photometric interpretation 'YBR_PARTIAL_420'": {"PhotometricInterpretation": "YBR_PARTIAL_420"},
    "from 1 to 100,000,000 are allowed": {"Rows": 60000, "Columns": 60000},
    "0 x 4 pixels|4 x 0 pixels": {"Rows": 0},
    "up to bit 15": {"BitsStored": 12, "HighBit": 15},
    "2 samples": {"SamplesPerPixel": 2},
    "window width 0": {"WindowCenter": 1, "WindowWidth": 0},
    "VOI LUT function 'CUBIC'": {"WindowCenter": 1, "WindowWidth": 5, "VOILUTFunction": "CUBIC"},
    "FOR PROCESSING": {"PresentationIntentType": "FOR PROCESSING"},
    "damaged or unsupported": {"Rows": 4000},
    "VOILUTSequence holds 1 of its 4 entries": {
        "VOILUTSequence": [look_up_item(0, [3], 8, signed=False, packed=False)],
    },
}
REFUSALS["VOILUTSequence says that its entries have 0 bits"] = {
    "VOILUTSequence": [look_up_item(0, [3, 4], 0, signed=False, packed=False)],
}
REFUSALS["VOILUTSequence holds 1 of its 4 entries"]["VOILUTSequence"][0].LUTDescriptor = [4, 0, 8]


@pytest.mark.parametrize("reason", REFUSALS)
def test_refusals_by_name(reason: str, tmp_path: Path) -> None:
    path = tmp_path / "film.dcm"
    dataset = film(np.arange(12, dtype=np.uint16).reshape(3, 4), PatientName="Doe^Jane", **REFUSALS[reason])
    path.write_bytes(saved(dataset).getvalue())
    with pytest.raises(InputError, match=reason) as refused:
        read_grey(path)
    message = str(refused.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    assert "Doe" not in message


def test_fault_of_ours_is_no_damaged_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(*_: object, **__: object) -> None:
        raise TypeError("a fault of ours")

    for function in ("_check_pixels", "_check_form", "check_transfer_syntax", "read_presentation", "stored_values"):
        with monkeypatch.context() as patch:
            patch.setattr(dicom, function, faulty)
            with pytest.raises(TypeError, match="a fault of ours"):
                read_grey(saved(film(np.zeros((3, 4), np.uint16))))


@pytest.mark.parametrize(
    ("bits", "highest", "top"), [(16, 4095, 4095), (16, 255, 255), (12, 4000, 4095), (8, 4095, 4095)]
)
def test_voi_lut_narrower_or_wider_than_its_descriptor(bits: int, highest: int, top: int) -> None:
    stored = np.arange(64, dtype=np.uint16).reshape(4, 16)
    entries = [round(highest * (value / 63) ** 2) for value in range(64)]
    item = look_up_item(0, entries, bits, signed=False, packed=True)
    grey = read_grey(saved(film(stored, VOILUTSequence=[item])))
    np.testing.assert_allclose(grey.ravel() / 65535, np.array(entries) / top, atol=1e-5)


def test_processed_films_with_a_window_are_read() -> None:
    stored = np.arange(12, dtype=np.uint16).reshape(3, 4)
    raw = film(stored, PresentationIntentType="FOR PROCESSING", WindowCenter=5, WindowWidth=10)
    assert read_grey(saved(raw)).max() > 0


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """Damage a file: single bytes, inserted and deleted runs, a cut; mostly in the header."""
    damaged = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        place = int(rng.integers(132, max(133, len(damaged))))
        kind = rng.choice(4, p=(0.7, 0.1, 0.1, 0.1))
        if kind == 0 and place < len(damaged):
            damaged[place] = int(rng.integers(256))
        elif kind == 1:
            damaged[place : place + int(rng.integers(0, 20))] = rng.bytes(int(rng.integers(0, 20)))
        elif kind == 2:
            del damaged[place : place + int(rng.integers(1, 60))]
        else:
            del damaged[place:]
    return bytes(damaged)


def test_damage_never_surprises() -> None:
    rng = np.random.default_rng(11)
    stored = np.arange(48, dtype=np.uint16).reshape(6, 8)
    item = look_up_item(3, [1, 9, 200, 255], 8, signed=False, packed=True)
    plain = film(stored, BitsStored=12, WindowCenter=20, WindowWidth=30, PixelPaddingValue=0, RescaleSlope=2)
    packed = film(stored, VOILUTSequence=[item], ModalityLUTSequence=[item], PatientName="Doe^Jane")
    packed.compress(RLELossless, generate_instance_uid=False)
    colour = film(stored.view(np.uint8).reshape(4, 8, 3), SamplesPerPixel=3, PhotometricInterpretation="RGB")
    colour.PlanarConfiguration = 0
    seeds = [
        saved(plain).getvalue(),
        saved(plain, ImplicitVRLittleEndian).getvalue(),
        saved(packed, RLELossless).getvalue(),
        saved(colour).getvalue(),
    ]
    read = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for number in range(600):
            try:
                grey = read_grey(io.BytesIO(mutated(seeds[number % len(seeds)], rng)), max_pixels=1_000_000)
            except InputError as error:
                assert "\n" not in str(error)  # noqa: PT017
            else:
                assert grey.ndim == 2
                read += 1
    assert 60 < read < 540


@pytest.mark.parametrize("share", [0.05, 0.5, 0.99])
def test_truncated_films_are_refused(share: float) -> None:
    files = [saved(film(np.arange(4096, dtype=np.uint16).reshape(64, 64))).getvalue()]
    for syntax in ("jp2klossless", "RLE"):
        data = (SAMPLES / f"MR_small_{syntax}.dcm").read_bytes()
        files.append(data[: data.rindex(b"\xfe\xff\xdd\xe0") + 8])  # without the padding after the pixels
    for data in files:
        with pytest.raises(InputError):
            read_grey(io.BytesIO(data[: int(len(data) * share)]))


def test_view_position(tmp_path: Path) -> None:
    path = tmp_path / "film.dcm"
    path.write_bytes(saved(film(np.zeros((3, 4), np.uint16), ViewPosition="PA")).getvalue())
    assert read_view_position(path) == "PA"
    path.write_bytes(saved(film(np.zeros((3, 4), np.uint16))).getvalue())
    assert read_view_position(path) is None
    path.write_bytes(b"no film")
    assert read_view_position(path) is None
    with pytest.raises(InputError, match="film"):
        read_view_position(tmp_path / "no-film.dcm")


def test_real_films(shared: Path) -> None:
    folder = shared / "data" / "dicom"
    plain, packed = (read_grey(folder / f"RG1_{syntax}.dcm").astype(float) / 257 for syntax in ("UNCI", "J2KI"))
    assert plain.shape == (1955, 1841)
    assert np.abs(plain - packed).max() <= 2
    # Lungs hold air and are darker than the mediastinum between them; a shoulder's corner is darker still.
    baseline = read_grey(folder / "chest_jpeg_baseline.dcm").astype(float) / 257
    for grey in (plain, baseline):
        height, width = grey.shape
        rows = slice(int(0.3 * height), int(0.4 * height))
        right_lung = grey[rows, int(0.22 * width) : int(0.32 * width)].mean()
        left_lung = grey[rows, int(0.66 * width) : int(0.76 * width)].mean()
        mediastinum = grey[rows, int(0.47 * width) : int(0.53 * width)].mean()
        assert max(right_lung, left_lung) + 15 < mediastinum
