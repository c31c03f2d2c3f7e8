"""Opening DICOM files: with and without a preamble, deflated, and what their header elements hold as plain values."""

import io
import math
import struct
import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from jaxtyping import UInt16

from xpronet.errors import InputError

MARK, MARK_AT = b"DICM", 128
"""What a DICOM file has after its preamble."""
HEAD = MARK_AT + len(MARK)
"""Bytes that tell whether a file is a DICOM file."""
DEFLATED = b"1.2.840.10008.1.2.1.99"
EXPLICIT_LITTLE = b"1.2.840.10008.1.2.1"
LONGEST_META = 1 << 16
"""Bytes of file meta information that are looked at; it takes about 200."""
LONGEST_HEADER = 16 << 20
"""Bytes that the header of a deflated file may unpack to."""
TRANSFER_SYNTAX = b"\x10\x00"
"""Element number of the transfer syntax in group 0002."""
LONG_LENGTHS = (b"OB", b"OW", b"OF", b"OD", b"OL", b"OV", b"SQ", b"UC", b"UN", b"UR", b"UT", b"SV", b"UV")
"""Value representations whose length field has four bytes (PS3.5, 7.1.2)."""
FIRST_GROUPS = (0x0002, 0x0008)
"""Groups that a file without a preamble begins with: file meta information, or a bare data set."""
LARGEST_FIRST_ELEMENT = 0x0100
LONGEST_FIRST_VALUE = 1 << 12

UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    RuntimeError,
    struct.error,
    UserWarning,
)
"""What pydicom raises on damaged files; caught around its calls only, never around our own code."""
TRUNCATED = r"End of file|The end of the encapsulated|Missing sequence delimiter"
"""pydicom's warnings that mean a part of the file is missing."""


@dataclass(frozen=True, kw_only=True)
class Elements:
    """Elements of a DICOM data set as plain values, which are checked where they are asked for."""

    name: str
    """What messages call the file; they quote no values, since those may name a patient."""
    values: Mapping[str, Any]
    """By keyword: str, int, float, bytes, or a list of them or of mappings (sequences); None where absent or empty."""
    big_endian: bool = False
    """How the words of bytes are ordered."""

    def __contains__(self, keyword: str) -> bool:
        return self.values.get(keyword) is not None

    def text(self, keyword: str) -> str | None:
        """Return a text, of several the first; None where the element is absent."""
        value = self._first(keyword)
        return None if value is None else str(value).strip()

    def whole(self, keyword: str) -> int | None:
        """Return an integer, of several the first; None where the element is absent.

        Raises:
            InputError: the element holds something else.
        """
        value = self._first(keyword)
        if value is None:
            return None
        if isinstance(value, str | float):
            value = _whole(value)
        if not isinstance(value, int):
            raise self.malformed(keyword)
        return int(value)

    def number(self, keyword: str) -> float | None:
        """Return a finite number, of several the first; None where the element is absent.

        Raises:
            InputError: the element holds something else.
        """
        value = self._first(keyword)
        if value is None:
            return None
        number = as_number(value)
        if number is None:
            raise self.malformed(keyword)
        return number

    def items(self, keyword: str) -> "list[Elements]":
        """Return the items of a sequence; none where the element is absent.

        Raises:
            InputError: the element is no sequence.
        """
        value = self.values.get(keyword)
        items = value if isinstance(value, list) else [] if value is None else [value]
        if not all(isinstance(item, Mapping) for item in items):
            raise self.malformed(keyword)
        return [Elements(name=self.name, values=item, big_endian=self.big_endian) for item in items]

    def words(self, keyword: str) -> UInt16[np.ndarray, " words"] | None:
        """Return the words of 16 bits that an element of bytes holds; None where it is absent or no bytes."""
        value = self.values.get(keyword)
        if not isinstance(value, bytes):
            return None
        return np.frombuffer(value[: len(value) // 2 * 2], ">u2" if self.big_endian else "<u2").astype(np.uint16)

    def malformed(self, keyword: str) -> InputError:
        """Return the refusal of an element whose value is no value of its kind."""
        return InputError(f"{self.name}: damaged DICOM file ({keyword} is malformed); export it again")

    def _first(self, keyword: str) -> Any:
        value = self.values.get(keyword)
        return (value[0] if value else None) if isinstance(value, list) else value


def is_dicom(head: bytes) -> bool:
    """Tell by the first `HEAD` bytes whether a file is a DICOM file, with a preamble or without one."""
    return head[MARK_AT:] == MARK or head.startswith(MARK) or _starts_data_set(head)


def import_pydicom() -> ModuleType:
    """Return pydicom.

    Raises:
        InputError: it is not installed.
    """
    try:
        import pydicom
        import pydicom.errors
        import pydicom.pixels
    except ModuleNotFoundError as error:
        raise InputError(f"DICOM files need {error.name} of the extra [dicom]: pip install 'xpronet[dicom]'") from None
    module: ModuleType = pydicom
    return module


@contextmanager
def refusing_damage(name: str) -> Iterator[None]:
    """Turn what pydicom raises on a damaged file into one line, and hold back its notes on sloppy headers."""
    pydicom = import_pydicom()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=UserWarning, module=r"pydicom\.")
            warnings.filterwarnings("error", message=TRUNCATED, category=UserWarning, module=r"pydicom\.")
            yield
    except InputError:
        raise
    except (*UNREADABLE, pydicom.errors.BytesLengthException, pydicom.errors.InvalidDicomError) as error:
        # Only the kind of error, and no chained one: its text can quote header values, and those name patients.
        raise InputError(
            f"{name}: damaged or unsupported DICOM file ({type(error).__name__}); export it again"
        ) from None


def part_ten(stream: BinaryIO | io.BytesIO, name: str, *, most_bytes: int | None = None) -> BinaryIO | io.BytesIO:
    """Return a DICOM file as one with a preamble, unpacked where it was deflated; most files are returned as they are.

    A file that is a bare data set, without file meta information, is returned as it is.

    Args:
        stream: an open file that can seek, at its start.
        name: what messages call it.
        most_bytes: what the data set of a deflated file may unpack to; None unpacks the header, with an arbitrary part
            of the pixels.

    Raises:
        InputError: the file is deflated and damaged or unpacks to more than that.
    """
    head = stream.read(LONGEST_META)
    stream.seek(0)
    preamble = bytes(MARK_AT)
    if head.startswith(MARK):
        stream = io.BytesIO(preamble + stream.read())
    elif head[MARK_AT:HEAD] != MARK and head.startswith(b"\x02\x00"):
        stream = io.BytesIO(preamble + MARK + stream.read())
    head = stream.read(LONGEST_META)
    stream.seek(0)
    meta = _file_meta(head)
    if meta.transfer_syntax != DEFLATED:
        return stream
    stream.seek(meta.end)
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        unpacked = unpacker.decompress(stream.read(), most_bytes or LONGEST_HEADER)
    except zlib.error:
        unpacked = b""
    if most_bytes is not None and unpacker.unconsumed_tail:
        raise InputError(f"{name}: unpacks to more than the {most_bytes:,} bytes allowed; export it smaller")
    if not unpacked or (most_bytes is not None and not unpacker.eof):
        raise InputError(f"{name}: damaged DICOM file (its deflated part does not unpack); export it again")
    # Unpacked, it is a file of the explicit little-endian transfer syntax; a UID is padded with zeros.
    start = head[: meta.end].replace(DEFLATED, EXPLICIT_LITTLE.ljust(len(DEFLATED), b"\0"))
    return io.BytesIO(start + unpacked)


def parse(stream: BinaryIO | io.BytesIO, name: str, *, header_only: bool = False) -> Any:
    """Return a DICOM file as a pydicom data set; its values are parsed when they are asked for.

    Args:
        stream: what `part_ten` returned.
        name: what messages call it.
        header_only: leave out the pixels.

    Raises:
        InputError: the file is damaged.
    """
    pydicom = import_pydicom()
    with refusing_damage(name):
        return pydicom.dcmread(stream, stop_before_pixels=header_only, force=True)


def read_elements(data_set: Any, keywords: Sequence[str], name: str) -> Elements:
    """Return some elements of a pydicom data set as plain values; those of the items of its sequences as well.

    Raises:
        InputError: one of them is damaged.
    """
    values = _plain_elements(data_set, keywords, name)
    return Elements(name=name, values=values, big_endian=data_set.original_encoding[1] is False)


def _plain_elements(data_set: Any, keywords: Sequence[str], name: str) -> dict[str, Any]:
    values = {}
    for keyword in keywords:
        if keyword in data_set:
            # pydicom parses a value when it is asked for.
            with refusing_damage(name):
                value = data_set.get(keyword)
            values[keyword] = _plain(value, keywords, name)
    return values


def _plain(value: Any, keywords: Sequence[str], name: str) -> Any:
    """Return a value without pydicom's types: data sets as dictionaries, several values as a list."""
    if value is None or value == "" or value == b"":
        return None
    if isinstance(value, bytes | str | int | float):
        return value
    if hasattr(value, "is_original_encoding"):
        return _plain_elements(value, keywords, name)
    if isinstance(value, Sequence):
        return [_plain(item, keywords, name) for item in value]
    return str(value)


def as_number(value: Any) -> float | None:
    """Return a value of an element as a finite number, None where it is none."""
    if isinstance(value, str):
        value = _number(value)
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _whole(value: str | float) -> int | None:
    number = _number(value) if isinstance(value, str) else value
    return int(number) if number is not None and math.isfinite(number) and number == int(number) else None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _starts_data_set(head: bytes) -> bool:
    """Tell whether bytes look like the first element of a DICOM data set (PS3.5, 7.1)."""
    if len(head) < 12:
        return False
    for order in "<>":
        group, element = struct.unpack(f"{order}HH", head[:4])
        if group not in FIRST_GROUPS or element > LARGEST_FIRST_ELEMENT:
            continue
        if head[4:6].isalpha() and head[4:6].isupper():
            return True
        (length,) = struct.unpack(f"{order}I", head[4:8])
        if group != 0x0002 and length <= LONGEST_FIRST_VALUE and length % 2 == 0:
            return True
    return False


class _FileMeta(NamedTuple):
    """What precedes the data set of a DICOM file."""

    transfer_syntax: bytes
    """Empty where it is not stated."""
    end: int
    """Where the data set begins."""


def _file_meta(head: bytes) -> _FileMeta:
    """Read the elements of group 0002, which are always explicit and little-endian (PS3.10, 7.1)."""
    place, syntax = HEAD, b""
    while head[MARK_AT:HEAD] == MARK and head[place : place + 2] == b"\x02\x00" and place + 12 <= len(head):
        is_long = head[place + 4 : place + 6] in LONG_LENGTHS
        start = place + (12 if is_long else 8)
        (length,) = struct.unpack_from("<I" if is_long else "<H", head, place + (8 if is_long else 6))
        if head[place + 2 : place + 4] == TRANSFER_SYNTAX:
            syntax = head[start : start + length].rstrip(b"\0 ")
        place = start + length
    return _FileMeta(syntax, place)
