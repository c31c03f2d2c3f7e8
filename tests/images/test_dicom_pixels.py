"""Stored values of DICOM images: codecs, unused bits, frames, palettes, decoders that crash or hang."""

import io
from base64 import b64decode
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from drawn_films import film, saved
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, HTJ2KLossless, JPEG2000Lossless, JPEGExtended12Bit, JPEGLSLossless, RLELossless

from xpronet.errors import InputError
from xpronet.images import dicom_decoder as decoder
from xpronet.images.dicom_pixels import without_unused_bits
from xpronet.images.read import read_grey

SAMPLES = Path(pydicom.__file__).parent / "data" / "test_files"
RAMP = (np.mgrid[:16, :24][0] * 170 + np.mgrid[:16, :24][1] * 60).astype(np.uint16)
"""Twelve bits, 0 to 3930."""
HTJ2K = b64decode(
    "/0//UQApQAAAAAAYAAAAEAAAAAAAAAAAAAAAGAAAABAAAAAAAAAAAAABDwEB/1AACAACAAAACv9SAAwAAgABAAUEBEAB/1wAEyCIkJCQkJCQkJ"
    "CQkJCQiIiI/2QAFwABT3BlbkpQSCBWZXIgMC4yNi4zLv+QAAoAAAAAAJwAAf+TwAAmCfYFB3QAwAATAAj4Awd0AMAAEsAAE4DDAId0ACIswgDC"
    "NADAABPAABVAIor4ggt0AA520MEAGMB3VgDAABUwAAV4DAwMDNpxgnUA/PLjx48fv+Ag9kIB7LgAwAAroAAW4LZt27Zt2/P6enpwgngAUqWkpK"
    "SkpKSkpKSk/v8QAxge/Yxge/Yxgey/AP/Z"
)
JPEG_12 = b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAEBAQEBAQEBAQEBAQEBAQICAQEBAQMCAgICAwMEBAMDAwMEBAYFBAQFBAMDBQcFBQYGBgYGBAUHBw"
    "cGBwYGBgb/wQALDAAQABgBAREA/8QAFQABAQAAAAAAAAAAAAAAAAAADA7/xAAcEAAABgMAAAAAAAAAAAAAAAAACwwpN0dVY3L/2gAIAQEAAD8A"
    "mScu5R8sGNd46nudIeAF3KPlgxrvHU9zpDwAu5R8sGNd46nudIZAF3KPlgxrvHU9zpDwAu5R8sGNd46nudIeAF3KPlgxrvHU9zpH/9k="
)

"""RAMP, encoded without loss and at quality 97."""


def encapsulated(codestream: bytes, syntax: str, **elements: Any) -> io.BytesIO:
    dataset = film(RAMP, BitsStored=12, **elements)
    dataset.PixelData = encapsulate([codestream])
    dataset["PixelData"].is_undefined_length = True
    return saved(dataset, syntax)


def compressed(stored: np.ndarray, syntax: UID, **elements: Any) -> Dataset:
    """A film whose values, with all bits of their type, were compressed without loss."""
    dataset = film(stored, **elements)
    bits, high = dataset.BitsStored, dataset.HighBit
    dataset.BitsStored, dataset.HighBit = dataset.BitsAllocated, dataset.BitsAllocated - 1
    dataset.compress(syntax, generate_instance_uid=False)
    dataset.BitsStored, dataset.HighBit = bits, high
    return dataset


def test_htj2k() -> None:
    pytest.importorskip("openjpeg", reason="OpenJPEG (pylibjpeg-openjpeg) is not installed")
    plain = read_grey(saved(film(RAMP, BitsStored=12)))
    np.testing.assert_array_equal(read_grey(encapsulated(HTJ2K, HTJ2KLossless)), plain)


def test_jpeg_extended_of_twelve_bits() -> None:
    window = {"WindowCenter": 2048, "WindowWidth": 4096}
    grey = read_grey(encapsulated(JPEG_12, JPEGExtended12Bit, **window)).astype(float)
    plain = read_grey(saved(film(RAMP, BitsStored=12, **window)))
    assert np.abs(grey - plain).max() < 5 * 16  # 5 of 4,095
    stored = decoder.decompress((SAMPLES / "JPGExtended.dcm").read_bytes(), "gdcm-jpeg-12")
    assert stored[420, 140:145].tolist() == [244, 242, 249, 260, 218]


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("syntax", [None, RLELossless, JPEGLSLossless, JPEG2000Lossless])
def test_overlays_in_unused_bits_are_no_part_of_the_image(syntax: UID | None, signed: bool) -> None:
    if syntax == JPEG2000Lossless:
        pytest.importorskip("openjpeg", reason="OpenJPEG (pylibjpeg-openjpeg) is not installed")
    if syntax == JPEGLSLossless:
        pytest.importorskip("jpeg_ls", reason="pyjpegls is not installed")
    values = np.tile(RAMP, (4, 4)).astype(np.int16) - (2048 if signed else 0)  # a size that JPEG 2000 has levels for
    kind = np.int16 if signed else np.uint16
    overlay = np.arange(values.shape[1]) % 2 << 12 | np.arange(values.shape[1]) % 3 // 2 << 15
    dirty = (values.view(np.uint16) & 0x0FFF | overlay).astype(np.uint16).view(kind)
    dataset = film(dirty, BitsStored=12) if syntax is None else compressed(dirty, syntax, BitsStored=12)
    packed = saved(dataset, dataset.file_meta.TransferSyntaxUID)
    clean = saved(film(values.astype(kind), BitsStored=12))
    np.testing.assert_array_equal(read_grey(packed), read_grey(clean))


def test_lossy_values_beyond_the_range_are_clipped() -> None:
    stored = np.array([[0, 4000, 4095, 4100]], np.uint16)
    assert without_unused_bits(stored, 12, lossy=True).tolist() == [[0, 4000, 4095, 4095]]
    assert without_unused_bits(stored, 12, lossy=False).tolist() == [[0, 4000, 4095, 4]]
    overlaid = stored | np.uint16(1 << 15)
    assert without_unused_bits(overlaid[:, :3], 12, lossy=True).tolist() == [[0, 4000, 4095]]
    signed = np.array([[-130, -128, 127, 129]], np.int16)
    assert without_unused_bits(signed, 8, lossy=True).tolist() == [[-128, -128, 127, 127]]


FRAMES = np.stack([RAMP, RAMP[::-1], RAMP[:, ::-1]])


def several(**elements: Any) -> Dataset:
    dataset = film(RAMP, BitsStored=12, **elements)
    dataset.NumberOfFrames = len(FRAMES)
    dataset.PixelData = FRAMES.tobytes()
    return dataset


@pytest.mark.parametrize("syntax", [None, RLELossless, JPEGLSLossless])
def test_one_frame_is_chosen(syntax: UID | None) -> None:
    dataset = several()
    if syntax is not None:
        if syntax == JPEGLSLossless:
            pytest.importorskip("jpeg_ls", reason="pyjpegls is not installed")
        dataset.compress(syntax, generate_instance_uid=False)
    stream = saved(dataset, syntax or dataset.file_meta.TransferSyntaxUID)
    for number, frame in enumerate(FRAMES, 1):
        stream.seek(0)
        np.testing.assert_array_equal(read_grey(stream, frame=number), read_grey(saved(film(frame, BitsStored=12))))
    for frame in (None, 0, 4):
        stream.seek(0)
        with pytest.raises(InputError, match=r"holds 3 frames; choose one with --frame|no frame [04]; choose one"):
            read_grey(stream, frame=frame)


def test_frames_have_windows_of_their_own() -> None:
    groups = []
    for centre in (1000, 2000, 3000):
        window, group = Dataset(), Dataset()
        window.WindowCenter, window.WindowWidth = centre, 2
        group.FrameVOILUTSequence = [window]
        groups.append(group)
    dataset = several(PerFrameFunctionalGroupsSequence=groups, WindowCenter=7, WindowWidth=7)
    for number, centre in enumerate((1000, 2000, 3000), 1):
        grey = read_grey(saved(dataset), frame=number)
        np.testing.assert_array_equal(grey == 65535, FRAMES[number - 1] >= centre)


def palette_film(bits: int, *, entries: int = 256, highest: int) -> Dataset:
    """A film of indices; red rises to `highest`, green and blue are half of it."""
    red = np.linspace(0, highest, entries).astype(np.uint16)
    dataset = film(np.arange(256, dtype=np.uint8).reshape(8, 32), PhotometricInterpretation="PALETTE COLOR")
    for colour, table in (("Red", red), ("Green", red // 2), ("Blue", red // 2)):
        setattr(dataset, f"{colour}PaletteColorLookupTableDescriptor", [entries, 0, bits])
        content = table.astype("<u2" if bits == 16 else "u1").tobytes()
        setattr(dataset, f"{colour}PaletteColorLookupTableData", content)
    return dataset


@pytest.mark.parametrize(("bits", "highest"), [(8, 255), (16, 65535), (16, 255)])
def test_palettes_become_luminance(bits: int, highest: int) -> None:
    grey = read_grey(saved(palette_film(bits, highest=highest)))
    white = 65535 if grey.dtype == np.uint16 else 255
    expected = np.linspace(0, 1, 256) * (0.299 + 0.5 * (0.587 + 0.114))
    assert np.abs(grey.ravel() / white - expected).max() < 0.01


def test_damaged_palette_is_refused() -> None:
    dataset = palette_film(8, highest=255)
    del dataset.GreenPaletteColorLookupTableData
    with pytest.raises(InputError, match="damaged or unsupported"):
        read_grey(saved(dataset))


def test_run_lengths_are_exact() -> None:
    stored = np.random.default_rng(1).integers(0, 4096, (20, 30), dtype=np.uint16)
    packed = film(stored, BitsStored=12)
    packed.compress(RLELossless, generate_instance_uid=False)
    np.testing.assert_array_equal(read_grey(saved(packed, RLELossless)), read_grey(saved(film(stored, BitsStored=12))))


@pytest.mark.parametrize("packed", ["MR_small_RLE", "MR_small_jp2klossless", "MR_small_jpeg_ls_lossless"])
def test_lossless_syntaxes_equal_the_uncompressed(packed: str) -> None:
    np.testing.assert_array_equal(read_grey(SAMPLES / f"{packed}.dcm"), read_grey(SAMPLES / "MR_small.dcm"))


def test_colour_jpeg_lossless_equals_the_uncompressed() -> None:
    np.testing.assert_array_equal(read_grey(SAMPLES / "SC_rgb_jpeg_gdcm.dcm"), read_grey(SAMPLES / "SC_rgb_rle.dcm"))


def test_decoder_that_crashes_costs_the_image_only() -> None:
    data = bytearray((SAMPLES / "MR_small_jpeg_ls_lossless.dcm").read_bytes())
    frame_header = data.index(b"\xff\xd8\xff\xf7")
    data[frame_header + 6] = 255  # bits a sample; GDCM aborts its process on it
    with pytest.raises(decoder.DecodingError, match="ended with status -6"):
        decoder.decompress(bytes(data))
    with pytest.raises(InputError, match="damaged or unsupported"):
        read_grey(io.BytesIO(data))


def test_decoder_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoder, "SECONDS", 0.01)
    with pytest.raises(InputError, match=r"not decoded in 0\.01 seconds"):
        read_grey(SAMPLES / "MR_small_jp2klossless.dcm")


def test_fault_of_ours_in_the_decoder_process_is_no_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoder, "__name__", "xpronet.no_decoder")
    with pytest.raises(RuntimeError, match="No module named"):
        read_grey(SAMPLES / "MR_small_jp2klossless.dcm")
