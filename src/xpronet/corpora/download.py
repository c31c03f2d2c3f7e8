"""Download large files over HTTP: a stopped download is continued, and a finished one checked."""

import http.client
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from xpronet.errors import InputError
from xpronet.files import file_hash
from xpronet.progress import Tracker, silent

OPEN_I = "https://openi.nlm.nih.gov/imgs/collections/"
BLOCK = 1 << 20
TRIES = 5
SECONDS = 60.0
"""Without a byte for so long, a try has failed."""
PARTIAL = 206
COMPLETE = 416
"""The server's answer to a request for bytes beyond the end of a file."""


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """A file that its owner publishes."""

    name: str
    """What it is called there and here."""
    sha256: str | None = None
    """The SHA-256 of its content; None where nobody published one."""


REPORTS = RemoteFile(
    name="NLMCXR_reports.tgz", sha256="8fb6de7eec73d8c3665067ad4bb003ccd57f971ae316d2642e1627ac7268667a"
)
"""The collection's reports, 1.1 MB."""
IMAGES = RemoteFile(name="NLMCXR_png.tgz")
"""Its images as PNG, about 1.3 GB."""


def download(
    url: str,
    path: Path,
    *,
    sha256: str | None = None,
    track: Tracker = silent,
    wait: Callable[[float], None] = time.sleep,
) -> Path:
    """Download a file, continuing where an earlier try stopped, and return its path.

    What has arrived is in `PATH.part`, with the server's version of the file in `PATH.part.version`; a newer version on
    the server starts afresh. The hash of a finished file is written to `PATH.sha256` and checked by the next call.

    Args:
        url: http or https.
        path: where the file goes; one that is there already is checked, not downloaded.
        sha256: of its content, where it is known.
        track: shows progress, in mebibytes.
        wait: sleeps between tries.

    Raises:
        InputError: the server refuses, breaks off too often, or sends another content than expected.
    """
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise InputError(f"{url}: only http and https are supported")
    sums = path.with_name(f"{path.name}.sha256")
    part = path.with_name(f"{path.name}.part")
    if path.is_file():
        expected = sha256 or (sums.read_text(encoding="ascii").split()[0] if sums.is_file() else None)
        _check_sum(path, expected)
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    for attempt in range(TRIES):
        try:
            _continue(url, part, track)
            break
        except urllib.error.HTTPError as error:
            with error:
                if error.code < 500:
                    raise InputError(
                        f"{url}: the server answers {error.code} ({error.reason}); download it by hand"
                    ) from None
                reason = f"{error.code} ({error.reason})"
        except (OSError, http.client.HTTPException) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
        if attempt + 1 == TRIES:
            raise InputError(
                f"{url}: {TRIES} tries failed ({reason}); run the command again to continue at byte {_size(part):,}"
            )
        wait(2.0**attempt)
    found = _check_sum(part, sha256)
    part.replace(path)
    _version_file(part).unlink(missing_ok=True)
    sums.write_text(f"{found}  {path.name}\n", encoding="ascii")
    return path


def download_open_i(
    folder: Path, *, images: bool = True, base: str = OPEN_I, track: Tracker = silent
) -> tuple[Path, Path | None]:
    """Download Open-i's reports and PNG images of the Indiana University collection; return both archives.

    Args:
        folder: where they go.
        images: without, only the reports.
        base: the address of the folder that holds them.
        track: shows progress.

    Raises:
        InputError: see `download`.
    """
    wanted = (REPORTS, IMAGES) if images else (REPORTS,)
    paths = [download(base + file.name, folder / file.name, sha256=file.sha256, track=track) for file in wanted]
    return paths[0], paths[1] if images else None


def _continue(url: str, part: Path, track: Tracker) -> None:
    """Append to `part` what is missing of it."""
    start, version = _size(part), _version(part)
    headers = {"User-Agent": "xpronet", "Accept-Encoding": "identity"}
    if start and version:
        # If-Range: the server sends the rest where the file is still the same, else the whole of it.
        headers |= {"Range": f"bytes={start}-", "If-Range": version}
    request = urllib.request.Request(url, headers=headers)
    try:
        answer = urllib.request.urlopen(request, timeout=SECONDS)
    except urllib.error.HTTPError as error:
        if error.code == COMPLETE and error.headers.get("Content-Range", "").rpartition("/")[2] == str(start):
            error.close()
            return
        raise
    with answer:
        resumed = answer.status == PARTIAL
        if resumed and not str(answer.headers.get("Content-Range", "")).startswith(f"bytes {start}-"):
            raise http.client.HTTPException("the server sends another range than asked for")
        if not resumed:
            start = 0
            _version_file(part).write_text(_sent_version(answer.headers), encoding="latin-1")
        length = answer.headers.get("Content-Length")
        expected = None if length is None else int(length)
        with part.open("ab" if resumed else "wb") as stream:
            blocks = -(-(expected or 0) // BLOCK)
            for block in track(_blocks(answer), f"Download {part.stem} (MiB)", blocks):
                stream.write(block)
    if expected is not None and _size(part) != start + expected:
        raise http.client.HTTPException(f"{start + expected - _size(part):,} bytes are missing")


def _blocks(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    while block := answer.read(BLOCK):
        yield block


def _sent_version(headers: http.client.HTTPMessage) -> str:
    """Return what names this version of the file: a strong ETag, or the date; empty where the server names neither."""
    tag = str(headers.get("ETag", ""))
    return tag if tag and not tag.startswith("W/") else str(headers.get("Last-Modified", ""))


def _check_sum(path: Path, expected: str | None) -> str:
    found = file_hash(path)
    if expected is not None and found != expected:
        raise InputError(f"{path}: its SHA-256 is {found}, not {expected}; delete it and download it again")
    return found


def _version_file(part: Path) -> Path:
    return part.with_name(f"{part.name}.version")


def _version(part: Path) -> str:
    path = _version_file(part)
    return path.read_text(encoding="latin-1") if path.is_file() else ""


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
