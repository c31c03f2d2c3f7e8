"""Films as server-sent events: each image as decoded, in full depth where asked for, with what its header says."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

from xpronet.images.film import FilmHeader, FilmValues
from xpronet.serve.uploaded_images import UploadedStudy, UploadedView

PIECE_BYTES = 1 << 20
"""Of an image in one event: small enough that sentences and other requests are not held up."""


async def film_events(study: UploadedStudy, *, full_depth: bool = False) -> AsyncIterator[bytes]:
    """Yield the events of images that no report is asked about: `view`, `pixels`, then `end`."""
    async for event in view_events(study, full_depth=full_depth):
        yield event
    yield encode_event("end", {"warnings": study.warnings})


async def view_events(study: UploadedStudy, *, full_depth: bool) -> AsyncIterator[bytes]:
    """Yield the events of a study's images.

    `view` for each: its PNG as a data URI, the square the network saw, what its header says, and how its values are
    shown; then `pixels`, the values in pieces of base64, of images whose preview has less depth or fewer pixels.

    Args:
        study: decoded, with previews.
        full_depth: whether `pixels` are wanted.
    """
    for number, view in enumerate(study.views, 1):
        yield encode_event("view", view_record(number, view, full_depth=full_depth))
    for number, view in enumerate(study.views, 1):
        if not full_depth or view.values is None:
            continue
        values = view.values.values
        flat = values.reshape(-1).astype(values.dtype.newbyteorder("<"), copy=False)
        step = PIECE_BYTES // values.dtype.itemsize
        for start in range(0, len(flat), step):
            # Written by hand: JSON's encoder would look at every character of base64.
            data = base64.b64encode(flat[start : start + step].tobytes())
            yield b'event: pixels\ndata: {"number":%d,"start":%d,"data":"%s"}\n\n' % (number, start, data)
            await asyncio.sleep(0)


def view_record(number: int, view: UploadedView, *, full_depth: bool = False) -> dict[str, Any]:
    """Return what the page is told of an image.

    Args:
        number: its place among the views, from 1.
        view: the image, with a preview.
        full_depth: whether its values follow.
    """
    assert view.preview is not None, "the page shows every view"
    image = base64.b64encode(view.preview.png).decode("ascii")
    return {
        "number": number,
        "upload": view.number,
        "name": view.name,
        "width": view.preview.width,
        "height": view.preview.height,
        "seen": seen_part(view),
        "image": f"data:image/png;base64,{image}",
        "full_size": list(reversed(view.full_shape)),
        "header": _header_record(view.header),
        "depth": _depth_record(view.values) if full_depth and view.values is not None else None,
    }


def seen_part(view: UploadedView) -> list[float]:
    """Return left, top, width and height of the square the network saw, relative to the image's sides."""
    assert view.preview is not None, "the page shows every view"
    return [round(part, 5) for part in view.preview.seen]


def _header_record(header: FilmHeader | None) -> dict[str, Any] | None:
    if header is None:
        return None
    return {
        **header.texts,
        "position": header.position,
        "lateral": header.is_lateral,
        "frontal": header.is_frontal,
        "sides": header.sides,
        "spacing": header.spacing,
        "spacing_at": header.spacing_at,
    }


def _depth_record(film: FilmValues) -> dict[str, Any]:
    height, width = film.values.shape
    return {
        "type": film.values.dtype.name,
        "width": width,
        "height": height,
        "slope": film.slope,
        "intercept": film.intercept,
        "units": film.units,
        "inverted": film.inverted,
        "padding": film.padding,
        "windows": [
            {"name": window.name, "centre": window.centre, "width": window.width, "shape": window.shape}
            for window in film.windows
        ],
    }


def encode_event(name: str, value: Any) -> bytes:
    """Return a server-sent event."""
    # JSON as written here has no line breaks, so one data line is enough.
    return f"event: {name}\ndata: {json.dumps(value, separators=(',', ':'))}\n\n".encode()
