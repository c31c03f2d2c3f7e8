"""Decompress DICOM pixels in a process of their own: on damaged files the C and C++ decoders abort or never end."""

import io
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, TypeAlias

import numpy as np
from jaxtyping import Shaped

from xpronet.images.dicom_file import UNREADABLE

Codec: TypeAlias = Literal["gdcm", "gdcm-jpeg-12", "pylibjpeg"]
"""GDCM through pydicom; GDCM for JPEG of 12 bits, which pydicom does not give to it; OpenJPEG through pydicom."""

SECONDS = 60
"""A film takes less than one; a damaged codestream can take for ever."""
MEMORY = 8 << 30
"""Bytes of address space for the decoder, where the system can limit it."""
REFUSED = 3
"""Exit status where the decoder says that it cannot; that of a fault of our own is Python's, 1."""


class DecodingError(Exception):
    """The decoder refused the pixels, crashed, or ran out of time or memory."""


def decompress(dicom: bytes, codec: Codec = "gdcm", frame: int = 0) -> Shaped[np.ndarray, "height width *samples"]:
    """Return the stored values of one frame of a compressed DICOM file, as RGB where it is in colour.

    Args:
        dicom: the file, with a preamble.
        codec: what decodes it.
        frame: which frame, from 0.

    Raises:
        DecodingError: the decoder refused, crashed, or ran out of time or memory.
    """
    command = [sys.executable, "-P", "-m", __name__, codec, str(frame)]
    try:
        done = subprocess.run(command, input=dicom, capture_output=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        raise DecodingError(f"not decoded in {SECONDS} seconds") from None
    if done.returncode == 1:
        raise RuntimeError(f"the decoder process failed: {done.stderr.decode(errors='replace')}")
    if done.returncode == REFUSED:
        raise DecodingError("the decoder refuses its pixels")
    if done.returncode != 0:
        raise DecodingError(f"the decoder ended with status {done.returncode}")
    stored: np.ndarray = np.load(io.BytesIO(done.stdout), allow_pickle=False)
    return stored


def main(codec: str, frame: int) -> None:
    """Decompress a frame of standard input to an array in NumPy's format on standard output."""
    # The decoders print to standard output now and then: it is kept for the array alone.
    answer = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    warnings.simplefilter("ignore")  # this process has no other task, and nobody reads what it says
    content = sys.stdin.buffer.read()
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    import pydicom
    from pydicom.pixels.utils import pixel_array

    with _refusing():
        data_set = pydicom.dcmread(io.BytesIO(content))
    if codec == "gdcm-jpeg-12":
        stored = _decode_jpeg_12(data_set, frame)
    else:
        with _refusing():
            stored = pixel_array(data_set, index=frame, decoding_plugin=codec)
    array = io.BytesIO()  # NumPy cannot write to a pipe
    np.save(array, stored, allow_pickle=False)
    with answer:
        answer.write(array.getbuffer())


@contextmanager
def _refusing() -> Iterator[None]:
    """End the process with status `REFUSED` where pydicom or a decoder fails; around their calls only."""
    try:
        yield
    except (*UNREADABLE, MemoryError, SystemError):
        sys.exit(REFUSED)


def _decode_jpeg_12(data_set: Any, frame: int) -> Shaped[np.ndarray, "height width"]:
    """Decode a grey JPEG frame of 12 bits with GDCM, which holds a decoder for each precision."""
    import gdcm
    from pydicom.encaps import get_frame

    with _refusing():
        rows, columns = int(data_set.Rows), int(data_set.Columns)
        count = int(data_set.get("NumberOfFrames") or 1)
        fragment = gdcm.Fragment()
        fragment.SetByteStringValue(get_frame(data_set.PixelData, frame, number_of_frames=count))
        fragments = gdcm.SequenceOfFragments.New()
        fragments.AddFragment(fragment)
        element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
        element.SetValue(fragments.__ref__())
        image = gdcm.Image()
        image.SetNumberOfDimensions(2)
        image.SetDimensions((columns, rows, 1))
        image.SetDataElement(element)
        grey = gdcm.PhotometricInterpretation.GetPIType("MONOCHROME2")
        image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(grey))
        syntax = gdcm.TransferSyntax.GetTSType(str(data_set.file_meta.TransferSyntaxUID))
        image.SetTransferSyntax(gdcm.TransferSyntax(syntax))
        image.SetPixelFormat(gdcm.PixelFormat(1, 16, 12, 11, 0))
        # GDCM's binding gives bytes as text.
        content = image.GetBuffer().encode("utf-8", "surrogateescape")
        return np.frombuffer(content, "<u2").reshape(rows, columns)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
