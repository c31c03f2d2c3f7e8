"""The files and fields of a multipart body, kept in memory."""

import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xpronet.serve.refusal import RefusedError

if TYPE_CHECKING:
    from starlette.requests import Request

FILES_FIELD = "views"
TEXT_FIELD = "text"
PERSON_FIELD = "person"
ORGANIZATION_FIELD = "organization"
FIELDS = (TEXT_FIELD, PERSON_FIELD, ORGANIZATION_FIELD)
MAX_TEXT = 20_000
"""Characters of an edited report."""


@dataclass(frozen=True, kw_only=True)
class Upload:
    """One study as a client sent it."""

    files: tuple[bytes, ...]
    """Its images, frontal first."""
    text: str | None
    """The report as edited, where the client sent it too."""
    person: str = ""
    """Who edited it, as DICOM writes names; empty where nobody was named."""
    organization: str = ""
    """Where that person works."""


async def read_upload(request: "Request", *, max_files: int, max_bytes: int) -> Upload:
    """Read a multipart body; the client's file names are ignored.

    Args:
        request: its body is counted and timed by the guard.
        max_files: views allowed.
        max_bytes: size of the largest body, so that no part is ever spooled to a disk.

    Raises:
        RefusedError: the body is not multipart, is cut off, or holds something other than views and a text.
    """
    from starlette.datastructures import UploadFile
    from starlette.formparsers import MultiPartException, MultiPartParser

    media_type = request.headers.get("content-type", "")
    if media_type.partition(";")[0].strip().lower() != "multipart/form-data":
        raise RefusedError(415, f"send multipart/form-data with one part named {FILES_FIELD} for each image")

    class InMemoryParser(MultiPartParser):
        spool_max_size = max_bytes + 1
        complete = False

        def on_end(self) -> None:
            self.complete = True

    async def complete_stream() -> AsyncGenerator[bytes, None]:
        async for chunk in request.stream():
            yield chunk
        if not parser.complete:
            # The parser drops a part that has no end: without this check a study would lose its last image.
            raise MultiPartException("the body ends before its closing boundary (RFC 2046); send it again, complete")

    parser = InMemoryParser(
        request.headers, complete_stream(), max_files=max_files, max_fields=len(FIELDS), max_part_size=4 * MAX_TEXT
    )
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise RefusedError(400, str(error.message)) from None
    files: list[bytes] = []
    fields: dict[str, str] = {}
    try:
        for name, value in form.multi_items():
            if name == FILES_FIELD and isinstance(value, UploadFile):
                files.append(await value.read())
            elif name in FIELDS and isinstance(value, str):
                fields[name] = value
            else:
                detail = f"only parts named {FILES_FIELD} (files) and {', '.join(FIELDS)} (fields) are accepted"
                raise RefusedError(400, detail)
    finally:
        await form.close()
    if not files:
        raise RefusedError(400, f"no image: send at least one part named {FILES_FIELD} with a file")
    text = fields.get(TEXT_FIELD)
    check_length(text or "")
    return Upload(
        files=tuple(files),
        text=text,
        person=fields.get(PERSON_FIELD, "").strip(),
        organization=fields.get(ORGANIZATION_FIELD, "").strip(),
    )


async def read_text(request: "Request") -> str:
    """Read a JSON body with a text.

    Args:
        request: its body is counted and timed by the guard.

    Raises:
        RefusedError: the body is something else, or the text is too long.
    """
    try:
        record = json.loads(await request.body())
    except ValueError:
        record = None
    if not isinstance(record, dict) or record.keys() != {TEXT_FIELD} or not isinstance(record[TEXT_FIELD], str):
        raise RefusedError(400, f'send JSON with one value, {TEXT_FIELD}: {{"{TEXT_FIELD}": "No effusion."}}')
    text: str = record[TEXT_FIELD]
    check_length(text)
    return text


def check_length(text: str) -> None:
    """Refuse a text that is too long for a report.

    Raises:
        RefusedError: 413.
    """
    if len(text) > MAX_TEXT:
        raise RefusedError(413, f"a report may have at most {MAX_TEXT:,} characters")
