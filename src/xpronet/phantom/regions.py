"""The region of each finding on a view, stored as the bits of a 16-bit PNG."""

from pathlib import Path

import numpy as np
from jaxtyping import Bool

from xpronet.errors import InputError
from xpronet.images.read import read_grey
from xpronet.labels.findings import FINDINGS


def region_path(folder: Path, study_id: str, view: str) -> Path:
    """Return the path of a view's regions in a corpus folder; studies without a finding have none."""
    return folder / "regions" / study_id / f"{view.lower()}.png"


def read_regions(path: Path) -> Bool[np.ndarray, "findings height width"]:
    """Read the regions of a view: true where finding k of FINDINGS is.

    Raises:
        InputError: the file is missing, no image, or has bits of no finding.
    """
    bits = read_grey(path)
    if bits.dtype != np.uint16 or int(bits.max()) >> len(FINDINGS):
        raise InputError(f"{path}: no regions of {len(FINDINGS)} findings; make the corpus again")
    return np.stack([bits >> bit & 1 == 1 for bit in range(len(FINDINGS))])
