"""Orientation in every place where image files keep it."""

import io
import struct
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from xpronet.images.orientation import exif_orientation
from xpronet.images.read import read_grey

UPRIGHT: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.T,
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: stored[::-1, ::-1].T,
    8: lambda stored: np.rot90(stored, 1),
}
RAMP = (np.arange(40)[:, None] * 2 + np.arange(60)[None, :] * 3).astype(np.uint8)
"""Every row and column differs, so that no turn or flip goes unseen."""
ORIENTATION = 0x0112
PREFIX = b"Exif\0\0"


def exif_block(orientation: int, *, order: str = "<", kind: int = 3) -> bytes:
    """An Exif block of one tag, whose type is BYTE (1), SHORT (3) or LONG (4)."""
    value = struct.pack(order + {1: "B", 3: "H", 4: "I"}[kind], orientation).ljust(4, b"\0")
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return mark + struct.pack(f"{order}IHHHI", 8, 1, ORIENTATION, kind, 1) + value + bytes(4)


def raw_profile(name: str, content: bytes) -> str:
    """A profile as ImageMagick writes it into a text chunk."""
    digits = content.hex()
    lines = [digits[start : start + 72] for start in range(0, len(digits), 72)]
    return "\n".join(["", name, f"{len(content):8}", *lines, ""])


def png(text: dict[str, str] | None = None, *, zipped: bool = False, behind: bool = False, **options: object) -> bytes:
    info = PngImagePlugin.PngInfo()
    for keyword, value in (text or {}).items():
        if keyword.startswith("XML:"):
            info.add_itxt(keyword, value, zip=zipped)
        else:
            info.add_text(keyword, value, zip=zipped)
    stream = io.BytesIO()
    Image.fromarray(RAMP).save(stream, format="PNG", pnginfo=info, **options)
    data = stream.getvalue()
    if behind:  # move the chunks between header and pixels behind the pixels
        start, pixels, end = 33, data.index(b"IDAT") - 4, data.index(b"IEND") - 4
        data = data[:start] + data[pixels:end] + data[start:pixels] + data[end:]
    return data


def tiff(orientation: int, *, kind: type = np.uint8, compression: str | None = None) -> bytes:
    stream = io.BytesIO()
    tags = {ORIENTATION: orientation}
    Image.fromarray(RAMP.astype(kind) * (257 if kind == np.uint16 else 1)).save(
        stream, format="TIFF", tiffinfo=tags, compression=compression
    )
    return stream.getvalue()


def jpeg(**options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(RAMP).save(stream, format="JPEG", quality=100, **options)
    return stream.getvalue()


def xmp(orientation: int) -> str:
    return f'<x:xmpmeta><rdf:Description tiff:Orientation="{orientation}"/></x:xmpmeta>'


FORMS: dict[str, Callable[[int], bytes]] = {
    "PNG eXIf chunk": lambda n: png(exif=exif_block(n)),
    "PNG eXIf chunk with a prefix": lambda n: png(exif=PREFIX + exif_block(n)),
    "PNG eXIf chunk behind the pixels": lambda n: png(exif=exif_block(n), behind=True),
    "raw profile": lambda n: png({"Raw profile type exif": raw_profile("exif", PREFIX + exif_block(n, order=">"))}),
    "raw profile without a prefix": lambda n: png({"Raw profile type exif": raw_profile("exif", exif_block(n))}),
    "compressed raw profile": lambda n: png({"Raw profile type exif": raw_profile("exif", exif_block(n))}, zipped=True),
    "raw profile behind the pixels": lambda n: png(
        {"Raw profile type exif": raw_profile("exif", exif_block(n))}, behind=True
    ),
    "raw profile of a segment": lambda n: png(
        {"Raw profile type APP1": raw_profile("generic profile", PREFIX + exif_block(n))}
    ),
    "PNG XMP": lambda n: png({"XML:com.adobe.xmp": xmp(n)}),
    "TIFF": tiff,
    "TIFF of 16 bits": lambda n: tiff(n, kind=np.uint16),
    "compressed TIFF": lambda n: tiff(n, compression="tiff_lzw"),
    "JPEG": lambda n: jpeg(exif=PREFIX + exif_block(n)),
    "JPEG, big-endian": lambda n: jpeg(exif=PREFIX + exif_block(n, order=">")),
    "JPEG, a long": lambda n: jpeg(exif=PREFIX + exif_block(n, order=">", kind=4)),
    "JPEG, a byte": lambda n: jpeg(exif=PREFIX + exif_block(n, order=">", kind=1)),
    "JPEG XMP": lambda n: jpeg(xmp=xmp(n).encode()),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("orientation", sorted(UPRIGHT))
def test_orientation_is_undone(orientation: int, form: str) -> None:
    plain = read_grey(io.BytesIO(FORMS[form](1)))
    turned = read_grey(io.BytesIO(FORMS[form](orientation)))
    np.testing.assert_array_equal(turned, UPRIGHT[orientation](plain))


def test_exif_counts_before_xmp() -> None:
    assert read_grey(io.BytesIO(jpeg(exif=PREFIX + exif_block(1), xmp=xmp(6).encode()))).shape == (40, 60)


@pytest.mark.parametrize(
    "block", [b"", b"II", b"II*\x00\xff\xff\xff\x7f", b"MM\x00*\x00\x00\x00\x08\x00\x05", b"junk" * 9, exif_block(9)]
)
def test_damaged_orientation_counts_as_upright(block: bytes) -> None:
    assert exif_orientation(block) is None
    assert read_grey(io.BytesIO(jpeg(exif=PREFIX + block))).shape == (40, 60)
    text = {"Raw profile type exif": raw_profile("exif", block)}
    assert read_grey(io.BytesIO(png(text))).shape == (40, 60)


@pytest.mark.parametrize("text", ["", "exif", "\nexif\n    4\nzz", "\nexif\n    1\n4"])
def test_malformed_raw_profile_counts_as_upright(text: str) -> None:
    assert read_grey(io.BytesIO(png({"Raw profile type exif": text or " "}))).shape == (40, 60)


@given(block=st.binary(max_size=60))
def test_any_bytes_as_exif(block: bytes) -> None:
    assert exif_orientation(b"II*\0" + block) in (None, *UPRIGHT)
