"""Read and write files; writing is atomic, and overwrites nothing unless asked to."""

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from xpronet.errors import InputError

FULL = (errno.ENOSPC, errno.EDQUOT)
"""What the system says where nothing more fits."""
ESCAPES = "backslashreplace"
"""How lone surrogates, which stand for the bytes of file names that are not UTF-8, are written.

JSON reads the escapes back as the surrogates that they were.
"""


@contextmanager
def new_file(path: Path, *, overwrite: bool = False, synced: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside `path`; move it there, synced to disk, when the block ends without an error.

    Without `synced` a power cut can leave the file damaged: for files that can be made again.

    Raises:
        InputError: `path` exists and `overwrite` is false, or its folder cannot be written.
    """
    if path.is_dir():
        raise InputError(f"{path}: is a folder; name a file")
    _refuse_existing(path, overwrite)
    with _write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
        os.close(handle)
        os.chmod(name, 0o666 & ~_umask())
    temporary = Path(name)
    try:
        with _full_disk_errors(path):
            yield temporary
        with _write_errors(path):
            if synced:
                sync(temporary)
            os.replace(temporary, path)
            if synced:
                sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def new_folder(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield an empty temporary folder beside `path`; move it there when the block ends without an error.

    A folder that was there is exchanged in one step, so that one of the two is in place at every moment (where the
    system cannot exchange names, there is none for a moment).

    Raises:
        InputError: `path` exists and is not empty and `overwrite` is false, or its parent cannot be written.
    """
    _refuse_existing(path, overwrite)
    if path.exists() and not path.is_dir():
        raise InputError(f"{path}: is a file; name a folder")
    with _write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        os.chmod(temporary, 0o777 & ~_umask())
    try:
        with _full_disk_errors(path):
            yield temporary
        with _write_errors(path):
            sync(temporary)
            aside = temporary.with_name(temporary.name + ".old")
            if not path.exists():
                os.replace(temporary, path)
            elif not _exchange(temporary, path):
                os.replace(path, aside)
                os.replace(temporary, path)
            sync(path.parent)
            shutil.rmtree(aside, ignore_errors=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def point(link: Path, target: str) -> None:
    """Make `link` a symbolic link to `target` beside it; one that was there is replaced in one step.

    Raises:
        InputError: the folder cannot be written, or its file system has no links.
    """
    temporary = link.with_name(f".{link.name}.{os.getpid()}")
    with _write_errors(link):
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(target)
        try:
            if link.is_dir() and not link.is_symlink():
                # A folder that was copied without its links.
                discard(link)
            os.replace(temporary, link)
            sync(link.parent)
        finally:
            temporary.unlink(missing_ok=True)


def discard(folder: Path) -> None:
    """Remove a folder of ours; a part of it is never seen under its name."""
    aside = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    with _write_errors(folder):
        os.replace(folder, aside)
    shutil.rmtree(aside, ignore_errors=True)


def make_folder(path: Path) -> None:
    """Make a folder if it is not there yet.

    Raises:
        InputError: it cannot be made.
    """
    with _write_errors(path):
        path.mkdir(parents=True, exist_ok=True)


def check_writable(folder: Path) -> Path:
    """Check that a folder, which need not exist yet, can be written; return it, or its nearest parent that exists.

    Nothing is left behind.

    Raises:
        InputError: it cannot be written; the message names the folder.
    """
    nearest = folder.absolute()
    with _write_errors(folder):
        while not nearest.exists():
            nearest = nearest.parent
        tempfile.TemporaryFile(dir=nearest).close()
    return nearest


def write_text(path: Path, text: str, *, overwrite: bool = False) -> None:
    """Write `text` as UTF-8, whole or not at all; lone surrogates (file names that are not UTF-8) as escapes."""
    with new_file(path, overwrite=overwrite) as temporary, _write_errors(path):
        temporary.write_text(text, encoding="utf-8", errors=ESCAPES)


def write_json(path: Path, value: Any, *, overwrite: bool = False) -> None:
    """Write one JSON value, indented, whole or not at all."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n", overwrite=overwrite)


def write_json_lines(path: Path, values: Iterable[Any], *, overwrite: bool = False) -> None:
    """Write one JSON value a line, whole or not at all; `values` may be a generator."""
    with (
        new_file(path, overwrite=overwrite) as temporary,
        temporary.open("w", encoding="utf-8", errors=ESCAPES) as stream,
    ):
        for value in values:
            line = json.dumps(value, ensure_ascii=False) + "\n"
            with _write_errors(path):
                stream.write(line)


def append_json_line(path: Path, value: Any) -> None:
    """Append one JSON value as a line."""
    with _write_errors(path), path.open("a", encoding="utf-8", errors=ESCAPES) as stream:
        stream.write(json.dumps(value, ensure_ascii=False) + "\n")


def read_text(path: Path) -> str:
    """Read a UTF-8 text file (a leading byte-order mark is dropped).

    Raises:
        InputError: the file is missing, unreadable or not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None


def read_json(path: Path) -> Any:
    """Read one JSON value.

    Raises:
        InputError: the file is missing or not JSON; the message names the line.
    """
    return _parse_json(read_text(path), str(path))


def read_json_lines(path: Path) -> list[Any]:
    """Read one JSON value a line; empty lines are skipped.

    Raises:
        InputError: the file is missing or a line is not JSON; the message names the line.
    """
    lines = read_text(path).split("\n")
    return [_parse_json(line, f"{path}, line {number}") for number, line in enumerate(lines, 1) if line.strip()]


def each_json_line(path: Path) -> Iterator[Any]:
    """Yield one JSON value a line without holding the file in memory; empty lines are skipped.

    Raises:
        InputError: the file is missing or not UTF-8, or a line is not JSON; the message names the line.
    """
    try:
        with path.open(encoding="utf-8-sig") as stream:
            for number, line in enumerate(stream, 1):
                if line.strip():
                    yield _parse_json(line, f"{path}, line {number}")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not UTF-8 text; save it as UTF-8") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None


@contextmanager
def utf8_name(path: Path) -> Iterator[Path]:
    """Yield a name in UTF-8 by which a library that needs one opens the file; mostly the path itself.

    Raises:
        InputError: the path is not UTF-8, and the file is missing or the system has no other name for it.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError:
        pass
    else:
        yield path
        return
    try:
        stream = path.open("rb")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    with stream:
        other = Path(f"/proc/self/fd/{stream.fileno()}")
        if not other.exists():
            raise InputError(f"{path}: its name is not UTF-8; rename the file or its folder")
        yield other


def check_utf8_name(path: Path) -> None:
    """Refuse a path that is not UTF-8, for libraries that cannot open it.

    Raises:
        InputError: it is not.
    """
    try:
        str(path.absolute()).encode()
    except UnicodeEncodeError:
        raise InputError(f"{path}: its name is not UTF-8; rename the file or folder") from None


def printable(text: str) -> str:
    """Return a text that may hold a file's name with what is not UTF-8 in it as escapes, for libraries that draw it."""
    return text.encode(errors=ESCAPES).decode()


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal digits.

    Raises:
        InputError: the file is missing or unreadable.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None


def confined(folder: Path, relative: str, *, follow_links: bool = False) -> Path:
    """Return `folder / relative`, refusing a path that leads out of the folder.

    Args:
        folder: the folder.
        relative: a path under it.
        follow_links: allow a symbolic link in the folder to lead out of it, where its owner is the user.

    Raises:
        InputError: the path is absolute, climbs out through `..` or, unless links are followed, through a link.
    """
    # Where links are followed, "link/.." must not lead to wherever the link does: the names alone count.
    path = folder / (os.path.normpath(relative) if follow_links else relative)
    if "\0" in relative or Path(relative).is_absolute():
        inside = False
    elif follow_links:
        inside = ".." not in path.relative_to(folder).parts
    else:
        inside = path.resolve().is_relative_to(folder.resolve())
    if not inside:
        raise InputError(f"{relative!r} leads out of {folder}; give a path relative to it, without ..")
    return path


def _parse_json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{where}: not JSON (line {error.lineno}, column {error.colno}: {error.msg})") from None
    except RecursionError:
        raise InputError(f"{where}: not JSON that can be read (nested too deeply)") from None


def _refuse_existing(path: Path, overwrite: bool) -> None:
    occupied = path.is_file() or (path.is_dir() and any(path.iterdir()))
    if occupied and not overwrite:
        raise InputError(f"{path}: already exists; choose another name or add --overwrite")


@contextmanager
def _write_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's refusal to write into an InputError."""
    try:
        yield
    except OSError as error:
        remedy = "free some space" if error.errno in FULL else "choose another place"
        raise InputError(f"{path}: cannot be written ({error.strerror or error}); {remedy}") from error


@contextmanager
def _full_disk_errors(path: Path) -> Iterator[None]:
    """Turn a full disk, met by the code that fills the file or folder, into an InputError."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise InputError(f"{path}: cannot be written ({error.strerror}); free some space") from error
        raise


def _exchange(first: Path, second: Path) -> bool:
    """Exchange two names in one step; return whether the system could."""
    import ctypes

    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    if rename is None:
        return False
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE of Linux
    return bool(rename(here, os.fsencode(first), here, os.fsencode(second), exchange) == 0)


def sync(path: Path) -> None:
    """Write a file or folder through to the disk, so that it survives a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
