"""Grey images as data URIs, for pages and notebooks that reach for no file beside them."""

import base64
import io

import numpy as np
from jaxtyping import UInt8
from PIL import Image


def image_uri(image: UInt8[np.ndarray, "height width"]) -> str:
    """Return a grey image as the data URI of a PNG file; lossless."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
