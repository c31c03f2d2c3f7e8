"""The files of a checkpoint folder: names, sizes and hashes in its manifest, tensors. Nothing is unpickled."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from xpronet.errors import InputError
from xpronet.files import file_hash, new_file, read_json, utf8_name, write_json

MANIFEST_FILE = "manifest.json"


def write_manifest(folder: Path) -> None:
    """Record the size and hash of every file in a folder; folders in it are no part of a checkpoint."""
    files = {
        path.name: {"bytes": path.stat().st_size, "sha256": file_hash(path)}
        for path in sorted(folder.iterdir())
        if path.name != MANIFEST_FILE and path.is_file()
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
        if file_hash(path) != noted.get("sha256"):
            raise InputError(f"{path}: damaged (its hash has changed); use another checkpoint")


def _noted(manifest: Path) -> dict[str, Any]:
    record = read_json(manifest)
    files = record.get("files") if isinstance(record, dict) else None
    if not isinstance(files, dict):
        raise InputError(f"{manifest}: not a manifest; use another checkpoint")
    return files


FORMAT = 3
"""Since 3, a checkpoint holds its search settings; those of earlier development versions are not read."""
WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"
VOCABULARY_FILE = "vocabulary.json"
FINDINGS_FILE = "findings.json"
TRAINING_FILE = "training.json"
DERIVED_FILE = "derived.json"
"""Present only if the report model derived data from the train studies."""
CLAIMS_FILE = "claims.json"
"""Present only if the claims were calibrated; its search settings take the place of the configuration's."""
GATE_FILE = "picture_gate.safetensors"
"""Present only if a gate was fitted; gate.safetensors, made from other features, is ignored."""
EXPORTED_FORMATS = ("onnx", "openvino")
"""What config.json of an exported folder, which is no checkpoint, has for its format."""
TEXTURE_FILE = "texture_gate.safetensors"
"""Present only if a texture gate was fitted."""


def find_checkpoint(path: Path) -> Path:
    """Return the checkpoint folder that a path refers to: itself, or the best (else the last) of a run folder.

    A link is followed once, so that all files come from one checkpoint even while the run continues. In a run that was
    copied without its links, the newest best-… (else step-…) folder is what the link led to.

    Raises:
        InputError: there is none.
    """
    run = path / "checkpoints"
    newest = (folder for pattern in ("best-*", "step-*") for folder in sorted(run.glob(pattern), reverse=True))
    for folder in (path, run / "best", *newest, run / "last"):
        if (folder / CONFIG_FILE).is_file():
            return folder.resolve() if folder.is_symlink() else folder
    raise InputError(f"{path}: neither a checkpoint nor a run with one; train one with `xpronet train`")


def check_checkpoint(folder: Path, *extra_files: str) -> None:
    """Compare a checkpoint's files with the sizes and hashes that were recorded when it was saved.

    Args:
        folder: the checkpoint folder.
        extra_files: files that must exist in addition to those of every checkpoint.

    Raises:
        InputError: a file is missing or has changed since it was saved, or the format is unknown.
    """
    files = (CONFIG_FILE, VOCABULARY_FILE, FINDINGS_FILE, TRAINING_FILE, WEIGHTS_FILE, *extra_files)
    if not (folder / MANIFEST_FILE).exists() and is_exported(folder):
        raise InputError(
            f"{folder}: an exported folder; `report` and `generate` take it, for everything else name the run or "
            "checkpoint that it was made from"
        )
    check_files(folder, files)
    config = read_json(folder / CONFIG_FILE)
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise InputError(f"{folder / CONFIG_FILE}: not a checkpoint of format {FORMAT}; train or import it again")


def is_exported(folder: Path) -> bool:
    """Return whether a folder holds exported graphs, as `xpronet export` writes them."""
    if not (folder / CONFIG_FILE).is_file():
        return False
    config = read_json(folder / CONFIG_FILE)
    return isinstance(config, dict) and config.get("format") in EXPORTED_FORMATS


def save_tensors(path: Path, tensors: Mapping[str, Tensor], *, overwrite: bool = False) -> None:
    """Write a safetensors file atomically, from tensors on any device.

    Raises:
        InputError: the file exists and `overwrite` is false, or its folder cannot be written.
    """
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    # The library's own writer makes files that only their owner can read, and does not sync them.
    with new_file(path, overwrite=overwrite) as part:
        part.write_bytes(save(whole))


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file.

    Raises:
        InputError: the file is missing or damaged.
    """
    try:
        with utf8_name(path) as name:
            return load_file(name)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: not a complete safetensors file ({error}); download or make it again") from None


def fingerprint(folder: Path) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of a checkpoint's weights."""
    return file_hash(find_checkpoint(folder) / WEIGHTS_FILE)[:16]
