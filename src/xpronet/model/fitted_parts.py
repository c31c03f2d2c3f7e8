"""What is fitted after training and lies beside a checkpoint's weights: gates, and the calibration of claims."""

from collections.abc import Callable
from pathlib import Path

from xpronet.files import read_json, write_json
from xpronet.model.checkpoint_files import (
    CLAIMS_FILE,
    GATE_FILE,
    TEXTURE_FILE,
    check_checkpoint,
    check_files,
    find_checkpoint,
    listed_files,
    load_tensors,
    save_tensors,
    write_manifest,
)
from xpronet.model.claim_calibration import ClaimCalibration
from xpronet.model.out_of_distribution import Gate
from xpronet.model.texture_gate import TextureGate


def add_gate(run: Path, gate: Gate) -> Path:
    """Add a gate to a checkpoint, or to the best checkpoint of a run, and return that folder.

    Raises:
        InputError: no checkpoint is there, or it is damaged.
    """
    return _add(run, GATE_FILE, lambda path: save_tensors(path, gate.tensors(), overwrite=True))


def load_gate(run: Path) -> Gate | None:
    """Return the gate of a run or checkpoint folder, or None if it has none.

    Raises:
        InputError: the gate's file is damaged.
    """
    path = _listed(run, GATE_FILE)
    return None if path is None else Gate.from_tensors(load_tensors(path), str(path))


def add_texture_gate(run: Path, gate: TextureGate) -> Path:
    """Add a texture gate, as `add_gate` does a gate."""
    return _add(run, TEXTURE_FILE, lambda path: save_tensors(path, gate.tensors(), overwrite=True))


def load_texture_gate(run: Path) -> TextureGate | None:
    """Return the texture gate of a run or checkpoint folder, or None if it has none.

    Raises:
        InputError: the gate's file is damaged.
    """
    path = _listed(run, TEXTURE_FILE)
    return None if path is None else TextureGate.from_tensors(load_tensors(path), str(path))


def add_claims(run: Path, claims: ClaimCalibration) -> Path:
    """Add a calibration of claims, as `add_gate` does a gate."""
    return _add(run, CLAIMS_FILE, lambda path: write_json(path, claims.record(), overwrite=True))


def load_claims(run: Path) -> ClaimCalibration | None:
    """Return the calibration of claims of a run or checkpoint folder, or None if it has none.

    Raises:
        InputError: its file is damaged.
    """
    path = _listed(run, CLAIMS_FILE)
    return None if path is None else ClaimCalibration.from_record(read_json(path), str(path))


def _add(run: Path, name: str, write: Callable[[Path], object]) -> Path:
    folder = find_checkpoint(run).resolve()
    check_checkpoint(folder)
    # What the manifest does not list is not there: a kill between the two leaves the checkpoint as it was.
    write(folder / name)
    write_manifest(folder)
    return folder


def _listed(run: Path, name: str) -> Path | None:
    """Return a checkpoint's file, compared with its manifest; None where the manifest does not list it."""
    folder = find_checkpoint(run)
    if name not in listed_files(folder):
        return None
    check_files(folder, [name])
    return folder / name
