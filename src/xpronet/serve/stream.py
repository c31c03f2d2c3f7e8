"""A report as server-sent events: the images as decoded, sentence after sentence, then the evidence."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from functools import cache
from typing import Any

from xpronet.generation.check_claims import split_sentences
from xpronet.images.background import empty_regions
from xpronet.labels.findings import NO_FINDING
from xpronet.labels.rules import RuleLabeler
from xpronet.serve.film_events import encode_event, seen_part, view_events
from xpronet.serve.refusal import RefusedError
from xpronet.serve.service import Service, parse_answer
from xpronet.serve.uploaded_images import UploadedStudy


async def report_events(
    service: Service, study: UploadedStudy, started: float, *, full_depth: bool = False
) -> AsyncIterator[bytes]:
    """Yield the events of one study.

    `view` and `pixels` of `film_events.view_events`, `sentence` (one for each, in order), `report` (the JSON of
    `report --json`; and in it where each word and sentence stands in the text, which of its characters mention which
    finding, which regions of each view are empty background, and which part of each the network saw), or `error` where
    there is no report in time.

    Args:
        service: generates the report.
        study: decoded, with previews.
        started: when the upload was complete, by the monotonic clock.
        full_depth: also send the values of images whose preview has less depth or fewer pixels.
    """
    # The model works while the images travel.
    generation = asyncio.create_task(service.generate(study, started))
    try:
        async for event in view_events(study, full_depth=full_depth):
            yield event
        answer = await generation
    except RefusedError as error:
        yield encode_event("error", {"status": error.status, "detail": error.detail})
        return
    finally:
        if not generation.cancel() and not generation.cancelled():
            generation.exception()  # else asyncio would log what nobody waits for
    record = parse_answer(answer)
    text, tokens = record["report"], [word["text"] for word in record.get("words", ())]
    places = word_places(text, tokens)
    spans = sentence_places(text, tokens, places)
    for start, end in spans:
        yield encode_event("sentence", {"text": text[start:end]})
    mentions = await asyncio.to_thread(find_mentions, text)
    grids = record["words"][0]["attention"] if tokens else []
    empty = [empty_regions(view.square, len(grid)).tolist() for view, grid in zip(study.views, grids, strict=True)]
    shown = {"places": places, "spans": spans, "mentions": mentions, "empty": empty}
    yield encode_event("report", {**record, **shown, "seen": [seen_part(view) for view in study.views]})


def find_mentions(text: str) -> list[dict[str, Any]]:
    """Return every mention of a finding in a text: its name, its state, and the spans of the words that express it."""
    return [
        {
            "finding": claim.finding,
            "state": claim.state.name.lower(),
            "spans": sorted([span.start, span.end] for span in (*claim.mention, *claim.cue)),
        }
        for sentence in _labeler().claims(text)
        for claim in sentence.claims
        if claim.finding != NO_FINDING
    ]


def word_places(text: str, tokens: Sequence[str]) -> list[list[int]]:
    """Return first character and the one behind the last of each token in a text.

    A token that the text leaves out, such as a second full stop, has a place without characters.
    """
    places, position = [], 0
    for token in tokens:
        start = position + len(text[position:]) - len(text[position:].lstrip())
        end = start + len(token)
        if text[start:end].lower() == token.lower():
            places.append([start, end])
            position = end
        else:
            places.append([position, position])
    return places


def sentence_places(text: str, tokens: Sequence[str], places: Sequence[Sequence[int]]) -> list[list[int]]:
    """Return first character and the one behind the last of each sentence; of a text without words its own."""
    starts = [places[first][0] for first, _ in split_sentences(tokens)] or [0]
    ends = [*starts[1:], len(text)]
    return [[start, start + len(text[start:end].rstrip())] for start, end in zip(starts, ends, strict=True)]


@cache
def _labeler() -> RuleLabeler:
    return RuleLabeler()
