"""Field cases about reading images: each function is given a case's folder and returns (right, total)."""

import contextlib
import io
import os
import tempfile
from pathlib import Path

import numpy as np

from xpronet.cli import run
from xpronet.errors import InputError
from xpronet.images.grey_range import low_range_warning
from xpronet.images.read import read_grey


def check_dicom_high_bits_compressed(folder: Path) -> tuple[int, int]:
    """The ramp of 12 bits is seen, and nothing of the overlays above it."""
    grey = read_grey(folder / "j2k_overlay.dcm") / 65535
    ramp = np.linspace(0, 1, grey.size)
    return _count([abs(np.median(grey) - 0.5) < 0.01, np.abs(np.sort(grey.ravel()) - ramp).max() < 0.01])


def check_dicom_lut_narrower(folder: Path) -> tuple[int, int]:
    """The table's output spans black to white: the square of the stored value."""
    import pydicom

    path = folder / "voilut_agfa.dcm"
    data_set = pydicom.dcmread(path)
    stored = np.frombuffer(data_set.PixelData, "<u2").reshape(data_set.Rows, data_set.Columns)
    return _count([np.abs(read_grey(path) / 65535 - (stored / 4095) ** 2).max() < 0.001])


def check_dicom_untrue_reason(folder: Path) -> tuple[int, int]:
    """Both files are refused for what they are."""
    reasons = {"float.dcm": "floating-point", "no_photo.dcm": "PhotometricInterpretation"}
    right = []
    for name, reason in reasons.items():
        try:
            read_grey(folder / name)
        except InputError as error:
            right.append(reason in str(error) and "without pixels" not in str(error))
        else:
            right.append(False)
    return _count(right)


def check_png_dark_16(folder: Path) -> tuple[int, int]:
    """The film is warned of, by the function and by `prepare table`."""
    image = folder / "p12in16.png"
    with tempfile.TemporaryDirectory() as place, contextlib.redirect_stdout(io.StringIO()) as printed:
        table = Path(place) / "table.csv"
        rows = [f"{split},{split},Clear.,{image.name}" for split in ("train", "val", "test")]
        table.write_text("\n".join(["id,split,report,image", *rows]))
        status = run(["prepare", "table", "--csv", str(table), "--images", str(folder), "--out", f"{place}/corpus"])
    return _count([low_range_warning(read_grey(image)) is not None, status == 0 and "grey range" in printed.getvalue()])


def check_png_orientation_imagemagick(folder: Path) -> tuple[int, int]:
    """The orientation in ImageMagick's text chunk is undone."""
    return _count([read_grey(folder / "turned.png").shape == (64, 80)])


def check_argument_brackets(folder: Path) -> tuple[int, int]:
    """The name is taken for a file's: what is refused is the run, which is not there."""
    here = Path.cwd()
    os.chdir(folder)
    try:
        with contextlib.redirect_stderr(io.StringIO()) as told:
            status = run(["report", "no-such-run", "[1] chest.png"])
    finally:
        os.chdir(here)
    return _count([status == 2 and "no-such-run" in told.getvalue() and "JSON" not in told.getvalue()])


def _count(right: list[bool | np.bool_]) -> tuple[int, int]:
    return sum(map(bool, right)), len(right)
