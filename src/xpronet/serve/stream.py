"""A report as server-sent events: the images as decoded, sentence after sentence, then the evidence."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

from xpronet.serve.mentions import find_mentions, sentence_ends
from xpronet.serve.refusal import RefusedError
from xpronet.serve.service import Service, read_answer
from xpronet.serve.uploaded_images import UploadedView
from xpronet.show.wording import readable_words


async def report_events(service: Service, views: Sequence[UploadedView], started: float) -> AsyncIterator[bytes]:
    """Yield the events of one study.

    `view` (one an image: its PNG as a data URI and the square the network saw), `sentence` (one a sentence, in
    order), `report` (the JSON of `report --json`, where each word stands in the text, and which words speak of which
    finding), or `error` where no report came in time.

    Args:
        service: writes it.
        views: decoded, with previews.
        started: when the upload was whole, by the monotonic clock.
    """
    for number, view in enumerate(views, 1):
        yield _event("view", _view_record(number, view))
    try:
        answer = await service.write(views, started)
    except RefusedError as error:
        yield _event("error", {"status": error.status, "detail": error.detail})
        return
    record = read_answer(answer)
    tokens = [word["text"] for word in record.get("words", ())]
    text, words = readable_words(tokens)
    start = 0
    for end in sentence_ends(tokens):
        last = words[end - 1].end
        yield _event("sentence", {"text": text[start:last].strip()})
        start = last
    places = [[word.start, word.end] for word in words]
    mentions = await asyncio.to_thread(find_mentions, tokens)
    yield _event("report", {**record, "text": text, "places": places, "mentions": mentions})


def _view_record(number: int, view: UploadedView) -> dict[str, Any]:
    assert view.preview is not None, "the page shows every view"
    picture = base64.b64encode(view.preview.png).decode("ascii")
    return {
        "number": number,
        "name": view.name,
        "width": view.preview.width,
        "height": view.preview.height,
        "seen": [round(part, 5) for part in view.preview.seen],
        "picture": f"data:image/png;base64,{picture}",
    }


def _event(name: str, value: Any) -> bytes:
    # JSON holds no line breaks of its own, so one data line is enough.
    return f"event: {name}\ndata: {json.dumps(value, separators=(',', ':'))}\n\n".encode()
