"""Read and unpack untrusted tar and zip archives: regular files only, inside one folder, within limits."""

import gzip
import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Protocol, runtime_checkable

from xpronet.errors import InputError
from xpronet.files import new_file
from xpronet.progress import Tracker, silent

SUFFIXES = (".tgz", ".tar.gz", ".tar", ".zip")
BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    ValueError,
    IndexError,
    OverflowError,
    NotImplementedError,
    RuntimeError,
    struct.error,
)
"""What the standard library raises on damaged archives (RuntimeError: an encrypted zip member)."""
LARGEST_READ = 1 << 26
"""Bytes that a tar archive's own headers may ask for at once: real ones need kilobytes."""
COPIED_AT_ONCE = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What an archive may hold; more is a mistake or an attack."""

    file: int
    """Bytes of one file."""
    total: int
    """Bytes of all files together."""
    files: int
    """How many files."""


TEXTS = Limits(file=1 << 20, total=4 << 30, files=1_000_000)
"""For reports: a long one has ten kilobytes, MIMIC-CXR's 227,835 have half a gigabyte."""
IMAGES = Limits(file=1 << 28, total=1 << 40, files=1_000_000)
"""For images: the largest film has a hundred megabytes."""


def is_archive(path: Path) -> bool:
    """Return whether a path is an archive that can be read here, by its name."""
    return path.name.lower().endswith(SUFFIXES)


def read_files(path: Path, suffix: str, limits: Limits = TEXTS) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of every file of an archive or folder whose name ends in `suffix`, in any case.

    Args:
        path: a folder (looked through to any depth, sorted by name) or an archive.
        suffix: such as ".xml".
        limits: of a file and of all together.

    Raises:
        InputError: the archive is damaged or hostile: a name leads out of it, a member is a link, a limit is passed.
    """
    if path.is_dir():
        yield from _read_folder(path, suffix, limits)
        return
    with _members(path, limits) as members:
        for name, size, open_member in members:
            if name.lower().endswith(suffix):
                if size > limits.file:
                    raise InputError(f"{path}: {name!r} has {size:,} bytes; {limits.file:,} are allowed in one file")
                yield name, _whole(open_member(), limits.file, f"{path}: {name!r}")


def unpack(
    path: Path,
    folder: Path,
    wanted: Callable[[str], bool],
    *,
    total: int = 0,
    limits: Limits = IMAGES,
    track: Tracker = silent,
) -> int:
    """Unpack the files of an archive that are wanted into `folder`, keeping their names, and return how many.

    A file that is there already with the right size is skipped, so that a stopped run is continued by the next.

    Args:
        path: the archive.
        folder: where the files go; none is written outside it.
        wanted: whether a member is, by its name with forward slashes.
        total: how many are wanted at most, for `track`.
        limits: of a file and of all together.
        track: shows progress.

    Raises:
        InputError: the archive is damaged or hostile, or the folder cannot be written.
    """
    count = 0
    with _members(path, limits) as members:
        chosen = (member for member in members if wanted(member[0]))
        for name, size, open_member in track(chosen, f"Unpack {path.name}", total):
            if size > limits.file:
                raise InputError(f"{path}: {name!r} has {size:,} bytes; {limits.file:,} are allowed in one file")
            target = folder / name
            if not (target.is_file() and target.stat().st_size == size):
                with new_file(target, overwrite=True, synced=False) as temporary, temporary.open("wb") as stream:
                    _copy(open_member(), stream, size, f"{path}: {name!r}")
            count += 1
    return count


def safe_name(name: str, archive: Path) -> str:
    """Return a member's name, refusing one that would be written outside the folder it is unpacked into.

    Raises:
        InputError: the name is absolute, holds "..", a drive, a backslash or a zero byte.
    """
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or any(mark in name for mark in ("\\", "\0", ":")):
        raise InputError(f"{archive}: the name {name!r} leads out of the archive; it is not read")
    return "/".join(parts)


@runtime_checkable
class Readable(Protocol):
    """A stream of bytes, as tarfile and zipfile open it."""

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes."""
        ...

    def close(self) -> None:
        """Close the stream."""
        ...


Member = tuple[str, int, Callable[[], Readable]]


@contextmanager
def _members(path: Path, limits: Limits) -> Iterator[Iterator[Member]]:
    """Open an archive and yield its regular files; damage becomes one line."""
    if not is_archive(path):
        raise InputError(f"{path}: neither a folder nor an archive ({', '.join(SUFFIXES)})")
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        with path.open("rb") as stream:
            members = _zip(path, stream) if path.suffix.lower() == ".zip" else _tar(path, stream, limits)
            yield _checked(path, members, limits)
    except InputError:
        raise
    except BROKEN as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: damaged or incomplete archive ({reason}); download it again") from None


def _checked(path: Path, members: Iterator[Member], limits: Limits) -> Iterator[Member]:
    total = 0
    for number, (name, size, open_member) in enumerate(members, 1):
        total += size
        if number > limits.files or total > limits.total or size < 0:
            raise InputError(
                f"{path}: more than {limits.files:,} files or {limits.total:,} bytes; unpack it by hand if you trust it"
            )
        yield safe_name(name, path), size, open_member


def _tar(path: Path, stream: Any, limits: Limits) -> Iterator[Member]:
    packed = path.name.lower().endswith("gz")
    raw: Any = gzip.GzipFile(fileobj=stream) if packed else stream
    limited = _LimitedStream(raw, limits.total + LARGEST_READ, str(path))
    with tarfile.open(fileobj=limited, mode="r:") as archive:
        for member in archive:
            # tarfile would keep every header in memory.
            archive.members = []  # type: ignore[attr-defined]
            if member.isdir():
                safe_name(member.name, path)
                continue
            if not member.isreg() or member.issparse():
                raise InputError(f"{path}: {member.name!r} is a link or device; such archives are not read")
            yield member.name, member.size, lambda member=member: _opened(archive, member)  # type: ignore[misc]
        limited.finish()


def _opened(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Readable:
    stream = archive.extractfile(member)
    assert stream is not None, "a regular file"
    return stream


def _zip(path: Path, stream: Any) -> Iterator[Member]:
    with zipfile.ZipFile(stream) as archive:
        for info in archive.infolist():
            if info.is_dir():
                safe_name(info.filename, path)
                continue
            if (info.external_attr >> 28) not in (0, 0o10):
                raise InputError(f"{path}: {info.filename!r} is a link or device; such archives are not read")
            yield info.filename, info.file_size, lambda info=info: archive.open(info)  # type: ignore[misc]


class _LimitedStream(io.RawIOBase):
    """A stream that refuses to unpack a decompression bomb: limited in one read and in all."""

    def __init__(self, stream: Any, limit: int, name: str) -> None:
        self._stream = stream
        self._limit = limit
        self._name = name
        self._last = b""

    def read(self, size: int = -1) -> bytes:
        if size < 0 or size > LARGEST_READ:
            raise InputError(f"{self._name}: a header asks for {size:,} bytes at once; such archives are not read")
        self._refuse_beyond(self._stream.tell() + size)
        self._last = self._stream.read(size)
        return self._last

    def finish(self) -> None:
        """Read the rest, which checks the sum at the end of a compressed file.

        Raises:
            ValueError: the zeros of an archive's end are missing: tarfile takes a damaged header for the end.
        """
        if not self._last:
            raise ValueError("its end is missing")
        while self._last:
            if any(self._last):
                raise ValueError("a damaged header")
            self.read(COPIED_AT_ONCE)

    def seek(self, offset: int, whence: int = 0) -> int:
        self._refuse_beyond(offset)
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def _refuse_beyond(self, position: int) -> None:
        if position > self._limit:
            raise InputError(f"{self._name}: unpacks to more than {self._limit:,} bytes; such archives are not read")


def _copy(source: Readable, target: BinaryIO, size: int, name: str) -> None:
    """Copy a member that must be exactly as long as its header says."""
    left = size
    while block := source.read(min(COPIED_AT_ONCE, left + 1)):
        left -= len(block)
        if left < 0:
            break
        target.write(block)
    if left:
        raise InputError(f"{name} is not as long as the archive says; download the archive again")


def _whole(stream: Readable, limit: int, name: str) -> bytes:
    with closing(stream):
        content = stream.read(limit + 1)
    if len(content) > limit:
        raise InputError(f"{name}: more than the {limit:,} bytes allowed in one file")
    return content


def _read_folder(folder: Path, suffix: str, limits: Limits) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.name.lower().endswith(suffix) and path.is_file():
            with path.open("rb") as stream:
                yield path.relative_to(folder).as_posix(), _whole(stream, limits.file, str(path))
