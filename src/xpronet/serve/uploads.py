"""The files and fields of a multipart body, kept in memory."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from xpronet.serve.refusal import RefusedError

if TYPE_CHECKING:
    from starlette.requests import Request

FILES_FIELD = "views"
TEXT_FIELD = "text"
MAX_TEXT = 20_000
"""Characters of an edited report."""


@dataclass(frozen=True, kw_only=True)
class Upload:
    """One study as a client sent it."""

    files: tuple[bytes, ...]
    """Its images, frontal first."""
    text: str | None
    """The report as somebody edited it, where the client sent that too."""


async def read_upload(request: "Request", *, max_files: int, max_bytes: int) -> Upload:
    """Read a multipart body; what the client calls its files is not even looked at.

    Args:
        request: its body is counted and timed by the guard.
        max_files: views allowed.
        max_bytes: size of the largest body, so that no part is ever spooled to a disk.

    Raises:
        RefusedError: it is no multipart body, or holds something else than views and a text.
    """
    from starlette.datastructures import UploadFile
    from starlette.formparsers import MultiPartException, MultiPartParser

    kind = request.headers.get("content-type", "")
    if kind.partition(";")[0].strip().lower() != "multipart/form-data":
        raise RefusedError(415, f"send multipart/form-data with one part named {FILES_FIELD} an image")

    class InMemory(MultiPartParser):
        spool_max_size = max_bytes + 1

    parser = InMemory(request.headers, request.stream(), max_files=max_files, max_fields=1, max_part_size=4 * MAX_TEXT)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise RefusedError(400, str(error.message)) from None
    files: list[bytes] = []
    text: str | None = None
    for name, value in form.multi_items():
        if name == FILES_FIELD and isinstance(value, UploadFile):
            files.append(await value.read())
            await value.close()
        elif name == TEXT_FIELD and isinstance(value, str):
            text = value
        else:
            raise RefusedError(400, f"only parts named {FILES_FIELD} (files) and {TEXT_FIELD} (a field) are known")
    if not files:
        raise RefusedError(400, f"no image: send at least one part named {FILES_FIELD} with a file")
    if text is not None and len(text) > MAX_TEXT:
        raise RefusedError(413, f"a report of more than {MAX_TEXT:,} characters is not taken")
    return Upload(files=tuple(files), text=text)
