"""The orientation that a camera or scanner notes beside an image, in every place where files keep it."""

import io
import re
import struct
from collections.abc import Mapping
from typing import Any

from PIL import Image

ORIENTATION_TAG = 0x0112
UPRIGHT = 1
UNDO = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""The transposition that undoes each value of the Exif orientation tag."""

EXIF_PREFIX = b"Exif\x00\x00"
RAW_PROFILES = ("Raw profile type exif", "Raw profile type APP1")
"""Keywords of the PNG text chunks in which ImageMagick and ExifTool keep an Exif block as hexadecimal digits."""
XMP_KEYS = ("xmp", "XML:com.adobe.xmp")
XMP_ORIENTATION = re.compile(rb"""tiff:Orientation\s*(?:=\s*["']|>\s*)([1-8])\b""")
INTEGER_TYPES = {1: "B", 3: "H", 4: "I"}
"""struct codes of the TIFF field types BYTE, SHORT and LONG."""


def stored_orientation(info: Mapping[str | tuple[int, int], Any]) -> int:
    """Return the Exif orientation, 1 to 8, of an image that Pillow has read; 1 (upright) where there is none.

    An Exif block (JPEG APP1 segment, PNG eXIf chunk) counts before ImageMagick's raw profiles in PNG text chunks, and
    those before XMP. Damaged metadata count as absent: they say nothing about the pixels.

    Args:
        info: the `info` dictionary of the loaded image.
    """
    profiles = (info.get(keyword) for keyword in RAW_PROFILES)
    for block in (info.get("exif"), *(_raw_profile(str(text)) for text in profiles if text is not None)):
        orientation = exif_orientation(block) if isinstance(block, bytes) else None
        if orientation is not None:
            return orientation
    for packet in (info.get(key) for key in XMP_KEYS):
        content = packet.encode(errors="replace") if isinstance(packet, str) else packet
        found = XMP_ORIENTATION.search(content) if isinstance(content, bytes) else None
        if found is not None:
            return int(found[1])
    return UPRIGHT


def undo_orientation(image: Image.Image, orientation: int) -> Image.Image:
    """Return the image upright; values outside 2 to 8 leave it as it is."""
    turn = UNDO.get(orientation)
    return image if turn is None else image.transpose(turn)


def exif_orientation(block: bytes) -> int | None:
    """Return the orientation tag of an Exif block, None where it is absent, invalid or the block is damaged."""
    stream = io.BytesIO(block.removeprefix(EXIF_PREFIX))
    order = {b"II": "<", b"MM": ">"}.get(stream.read(2))
    if order is None:
        return None
    try:
        (offset,) = struct.unpack(f"{order}2xI", stream.read(6))
        stream.seek(offset)
        (count,) = struct.unpack(f"{order}H", stream.read(2))
        for _ in range(count):
            tag, kind = struct.unpack(f"{order}HH4x", stream.read(8))
            value = stream.read(4)
            if tag == ORIENTATION_TAG and kind in INTEGER_TYPES:
                (orientation,) = struct.unpack_from(order + INTEGER_TYPES[kind], value)
                return int(orientation) if 1 <= orientation <= 8 else None
    except struct.error:
        pass
    return None


def _raw_profile(text: str) -> bytes:
    """Return the bytes of a raw profile, whose lines are its name, their number, and hexadecimal digits."""
    try:
        return bytes.fromhex("".join(text.strip().split("\n")[2:]))
    except ValueError:
        return b""
