"""A report as server-sent events: the images as decoded, sentence after sentence, then the evidence."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import cache
from typing import Any

from xpronet.labels.findings import NO_FINDING
from xpronet.labels.rules import RuleLabeler
from xpronet.serve.refusal import RefusedError
from xpronet.serve.service import Service, parse_answer
from xpronet.serve.uploaded_images import UploadedStudy, UploadedView
from xpronet.show.wording import readable_words


async def report_events(service: Service, study: UploadedStudy, started: float) -> AsyncIterator[bytes]:
    """Yield the events of one study.

    `view` (one for each image: its PNG as a data URI and the square the network saw), `sentence` (one for each, in
    order), `report` (the JSON of `report --json`, the position of each word in the text, and which words mention which
    finding), or `error` where there is no report in time.

    Args:
        service: generates the report.
        study: decoded, with previews.
        started: when the upload was complete, by the monotonic clock.
    """
    for number, view in enumerate(study.views, 1):
        yield _event("view", _view_record(number, view))
    try:
        answer = await service.generate(study, started)
    except RefusedError as error:
        yield _event("error", {"status": error.status, "detail": error.detail})
        return
    record = parse_answer(answer)
    tokens = [word["text"] for word in record.get("words", ())]
    text, words = readable_words(tokens)
    start = 0
    for end in _sentence_ends(tokens):
        last = words[end - 1].end
        yield _event("sentence", {"text": text[start:last].strip()})
        start = last
    places = [[word.start, word.end] for word in words]
    mentions = await asyncio.to_thread(find_mentions, tokens)
    yield _event("report", {**record, "text": text, "places": places, "mentions": mentions})


def find_mentions(tokens: Sequence[str]) -> list[dict[str, Any]]:
    """Return every mention of a finding: its name, its state, and the numbers of the words that express it.

    Args:
        tokens: the report's words and full stops.
    """
    return [
        {"finding": claim.finding, "state": claim.state.name.lower(), "words": sorted({*claim.mention, *claim.cue})}
        for claim in _labeler().token_claims(tokens)
        if claim.finding != NO_FINDING
    ]


def _sentence_ends(tokens: Sequence[str]) -> Iterator[int]:
    """Yield the number behind the last token of each sentence; the end of the text ends its last one."""
    for number, token in enumerate(tokens, 1):
        if token == "." or number == len(tokens):
            yield number


@cache
def _labeler() -> RuleLabeler:
    return RuleLabeler()


def _view_record(number: int, view: UploadedView) -> dict[str, Any]:
    assert view.preview is not None, "the page shows every view"
    image = base64.b64encode(view.preview.png).decode("ascii")
    return {
        "number": number,
        "name": view.name,
        "width": view.preview.width,
        "height": view.preview.height,
        "seen": [round(part, 5) for part in view.preview.seen],
        "image": f"data:image/png;base64,{image}",
    }


def _event(name: str, value: Any) -> bytes:
    # JSON as written here has no line breaks, so one data line is enough.
    return f"event: {name}\ndata: {json.dumps(value, separators=(',', ':'))}\n\n".encode()
