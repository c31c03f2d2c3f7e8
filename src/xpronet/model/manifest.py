"""A folder's manifest: the size and SHA-256 of each file, so that damage is found before the files are used."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xpronet.errors import InputError
from xpronet.files import read_json, write_json

MANIFEST_FILE = "manifest.json"


def write_manifest(folder: Path) -> None:
    """Record the size and hash of every file in a folder."""
    files = {
        path.name: {"bytes": path.stat().st_size, "sha256": _sha256(path)}
        for path in sorted(folder.iterdir())
        if path.name != MANIFEST_FILE
    }
    write_json(folder / MANIFEST_FILE, {"files": files}, overwrite=True)


def listed_files(folder: Path) -> frozenset[str]:
    """Return the file names in a folder's manifest; none if it has no manifest.

    Raises:
        InputError: the manifest is damaged.
    """
    manifest = folder / MANIFEST_FILE
    return frozenset(_noted(manifest)) if manifest.is_file() else frozenset()


def check_files(folder: Path, names: Sequence[str]) -> None:
    """Compare files with their manifest entries; other files in the folder are ignored.

    Raises:
        InputError: the manifest is damaged, or a file is not listed, missing, or has changed since it was saved.
    """
    manifest = folder / MANIFEST_FILE
    files = _noted(manifest)
    for name in names:
        path, noted = folder / name, files.get(name)
        if not isinstance(noted, dict):
            raise InputError(f"{manifest}: does not list {name}; use another checkpoint")
        if not path.is_file():
            raise InputError(f"{path}: no such file; use another checkpoint")
        size = path.stat().st_size
        if size != noted.get("bytes"):
            raise InputError(f"{path}: damaged ({size} bytes instead of {noted.get('bytes')}); use another checkpoint")
        if _sha256(path) != noted.get("sha256"):
            raise InputError(f"{path}: damaged (its hash has changed); use another checkpoint")


def _noted(manifest: Path) -> dict[str, Any]:
    record = read_json(manifest)
    files = record.get("files") if isinstance(record, dict) else None
    if not isinstance(files, dict):
        raise InputError(f"{manifest}: not a manifest; use another checkpoint")
    return files


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
