"""Decompress DICOM pixels in a process of their own: on damaged files the C++ decoders abort or never end."""

import io
import os
import subprocess
import sys
import warnings

import numpy as np
from jaxtyping import Shaped

SECONDS = 60
"""A film takes less than one; a damaged codestream can take for ever."""
MEMORY = 8 << 30
"""Bytes of address space for the decoder, where the system can limit it."""


def decompress(dicom: bytes) -> Shaped[np.ndarray, "height width *samples"]:
    """Return the stored values of a compressed single-frame DICOM file, as RGB where it is in colour.

    Raises:
        ValueError: the decoder refused, crashed, or ran out of time or memory.
    """
    command = [sys.executable, "-P", "-m", "xpronet.images.dicom_decoder"]
    try:
        done = subprocess.run(command, input=dicom, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        raise ValueError(f"not decoded in {SECONDS} seconds") from None
    if done.returncode != 0:
        raise ValueError(f"the decoder ended with status {done.returncode}")
    stored: np.ndarray = np.load(io.BytesIO(done.stdout), allow_pickle=False)
    return stored


def main() -> None:
    """Decompress standard input to an array in NumPy's format on standard output."""
    # The decoders print to standard output now and then: it is kept for the array alone.
    answer = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    warnings.simplefilter("ignore")  # this process has no other task, and nobody reads what it says
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    import pydicom
    from pydicom.pixels.utils import pixel_array

    dataset = pydicom.dcmread(io.BytesIO(sys.stdin.buffer.read()))
    array = io.BytesIO()  # NumPy cannot write to a pipe
    np.save(array, pixel_array(dataset, decoding_plugin="gdcm"), allow_pickle=False)
    with answer:
        answer.write(array.getbuffer())


if __name__ == "__main__":
    main()
