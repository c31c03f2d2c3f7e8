"""Images that use little of their grey range, such as a film of 12 bits in a file of 16, which is nearly black."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8, UInt16

SMALLEST_SHARE = 0.26
"""Share of the grey range below which an image is warned of.

14 bits in 16 are 0.25. The lowest share among 1,993 chest X-rays of the public collections tried (IU X-Ray, NIH
ChestX-ray14, COVID-19 collections, DICOM samples) is 0.275.
"""
TAILS = (0.5, 99.5)
"""Percentiles between which the range is measured: burnt-in letters and a few dead pixels do not count."""
MEASURED_PIXELS = 1 << 20
"""About as many pixels, evenly spaced, are measured; percentiles of more would say the same."""


def low_range_summary(warnings: Sequence[str]) -> str:
    """Return one line about the images of a corpus that use little of their grey range.

    Args:
        warnings: what is said of each, its name first; at least one.
    """
    count = f"{len(warnings):,} images use" if len(warnings) > 1 else "1 image uses"
    return f"{count} little of the grey range and may be nearly black or flat to the network (first {warnings[0]})"


def low_range_warning(grey: UInt8[np.ndarray, "height width"] | UInt16[np.ndarray, "height width"]) -> str | None:
    """Return a warning for an image whose greys use little of their range, None for any other.

    The warning is a clause without the image's name: "uses 6 % of its grey range (...); ...".

    Args:
        grey: the image, 0 black to 255 or 65,535 white.
    """
    step = max(1, int((grey.size / MEASURED_PIXELS) ** 0.5))
    top = int(np.iinfo(grey.dtype).max)
    low, high = np.percentile(grey[::step, ::step], TAILS)
    share = (high - low) / top
    if share > SMALLEST_SHARE:
        return None
    if high == low:
        return f"holds a single grey ({high:,.0f} of {top:,}) almost everywhere; check that it is the right image"
    remedy = "check its exposure or window"
    bits = int(grey.max()).bit_length()
    if grey.dtype == np.uint16 and 8 <= bits < 16:
        remedy = f"it looks like a film of {bits} bits in a file of 16: scale it to 0 to {top:,}"
    return f"uses {share:.0%} of its grey range ({low:,.0f} to {high:,.0f} of {top:,}); {remedy}"
