"""A gate before the network: how far a picture is from those it was trained on, by its pooled backbone features."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from safetensors.torch import save
from torch import Tensor

from xpronet.encoders.resnet import ResNet, to_rgb
from xpronet.errors import InputError
from xpronet.files import new_file, read_json
from xpronet.model.checkpoint import check_checkpoint, find_checkpoint, load_tensors
from xpronet.model.manifest import MANIFEST_FILE, check_files, write_manifest

GATE_FILE = "gate.safetensors"
WARNING = "this picture does not look like a chest X-ray the model was trained on"
QUANTILE = 0.99
"""Of the scores of held-out pictures; what lies above is warned of."""
FEWEST = 10
"""Pictures needed to fit, and to choose the threshold."""


@dataclass(frozen=True, kw_only=True)
class Gate:
    """A normal distribution of the train pictures' features, its covariance shrunk (Ledoit and Wolf)."""

    mean: Float[np.ndarray, " channels"]
    directions: Float[np.ndarray, "directions channels"]
    """In which the train pictures differ, as unit vectors."""
    variances: Float[np.ndarray, " directions"]
    """Along each direction."""
    rest: float
    """Variance across all other directions, above 0."""
    threshold: float
    """Scores above it are warned of."""

    def scores(self, features: Float[np.ndarray, "pictures channels"]) -> Float[np.ndarray, " pictures"]:
        """Return the squared Mahalanobis distance of each picture, divided by the number of channels."""
        offsets = features.astype(np.float64) - self.mean
        along = (offsets @ self.directions.T) ** 2
        across = np.clip((offsets**2).sum(1) - along.sum(1), 0, None)
        distances: np.ndarray = (along / self.variances).sum(1) + across / self.rest
        return distances / features.shape[1]

    def tensors(self) -> dict[str, Tensor]:
        """Return the gate as tensors to be saved."""
        return {
            "mean": torch.from_numpy(self.mean),
            "directions": torch.from_numpy(self.directions),
            "variances": torch.from_numpy(self.variances),
            "rest_and_threshold": torch.tensor([self.rest, self.threshold], dtype=torch.float64),
        }


def fit_gate(
    train: Float[np.ndarray, "train channels"],
    held_out: Float[np.ndarray, "held_out channels"],
    *,
    quantile: float = QUANTILE,
) -> Gate:
    """Fit a gate.

    Args:
        train: features of the pictures that the network learnt from.
        held_out: features of others of the same kind, whose scores give the threshold.
        quantile: part of them that is not warned of.

    Raises:
        InputError: there are too few pictures, or the quantile is none.
    """
    from sklearn.covariance import ledoit_wolf_shrinkage

    if not 0 < quantile <= 1:
        raise InputError(f"quantile {quantile}: must be above 0 and at most 1")
    if min(len(train), len(held_out)) < FEWEST:
        raise InputError(
            f"{len(train)} train and {len(held_out)} validation pictures are too few for a gate; take {FEWEST} or more"
        )
    train = train.astype(np.float64)
    mean = train.mean(0)
    _, sizes, directions = np.linalg.svd(train - mean, full_matrices=False)
    shrinkage = float(ledoit_wolf_shrinkage(train))
    average = float((sizes**2).sum()) / train.size
    # Features that never vary have no scale; a tiny one lets everything new stand out.
    rest = max(shrinkage * average, 1e-9)
    variances = np.maximum((1 - shrinkage) * sizes**2 / len(train) + shrinkage * average, 1e-9)
    gate = Gate(mean=mean, directions=directions, variances=variances, rest=rest, threshold=0.0)
    threshold = float(np.quantile(gate.scores(held_out), quantile))
    return Gate(mean=mean, directions=directions, variances=variances, rest=rest, threshold=threshold)


@torch.inference_mode()
def pooled_features(
    backbone: ResNet, squares: Sequence[UInt8[np.ndarray, "size size"]], *, batch: int = 16
) -> Float[np.ndarray, "pictures channels"]:
    """Return the mean over regions of the backbone's features of each picture; the backbone is in evaluation mode."""
    device = backbone.conv1.weight.device
    parts = [
        backbone(to_rgb(torch.from_numpy(np.stack(squares[start : start + batch])).to(device))).mean((2, 3)).cpu()
        for start in range(0, len(squares), batch)
    ]
    features: np.ndarray = torch.cat(parts).float().numpy()
    return features


def save_gate(run: Path, gate: Gate) -> Path:
    """Put a gate into a run's best checkpoint, or into a checkpoint, and return that folder.

    Raises:
        InputError: no checkpoint is there, or it is damaged or too old to have a manifest.
    """
    folder = find_checkpoint(run).resolve()
    check_checkpoint(folder)
    if not (folder / MANIFEST_FILE).is_file():
        raise InputError(f"{folder}: a checkpoint without a manifest; train or import it again to give it a gate")
    with new_file(folder / GATE_FILE, overwrite=True) as part:
        part.write_bytes(save({name: tensor.contiguous() for name, tensor in gate.tensors().items()}))
    write_manifest(folder)
    return folder


def load_gate(run: Path) -> Gate | None:
    """Return the gate of a run or checkpoint folder, None where it has none.

    Raises:
        InputError: the gate's file is damaged.
    """
    folder = find_checkpoint(run)
    manifest = read_json(folder / MANIFEST_FILE) if (folder / MANIFEST_FILE).is_file() else {}
    if GATE_FILE not in manifest.get("files", {}):
        return None
    check_files(folder, [GATE_FILE])
    tensors = {name: tensor.numpy() for name, tensor in load_tensors(folder / GATE_FILE).items()}
    try:
        rest, threshold = tensors.pop("rest_and_threshold").tolist()
        return Gate(**tensors, rest=rest, threshold=threshold)
    except (KeyError, TypeError, ValueError):
        raise InputError(f"{folder / GATE_FILE}: not a gate; make it again with `xpronet gate`") from None
