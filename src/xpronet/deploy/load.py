"""Load a model from wherever it lies: a run, a checkpoint, an exported folder, the hub, or the package itself."""

from functools import cache
from pathlib import Path
from typing import Literal

import torch

from xpronet.data.feature_cache import open_feature_cache
from xpronet.deploy.demo_model import DEMO, demo_model
from xpronet.device import best_device
from xpronet.encoders.hub import HUB, hub_folder
from xpronet.errors import InputError
from xpronet.generation.generator import LabelsFrom, ReportGenerator
from xpronet.model.checkpoint import load_checkpoint
from xpronet.model.checkpoint_files import fingerprint, is_exported
from xpronet.model.search_settings import Choose

RuntimeName = Literal["torch", "onnxruntime", "openvino"]


def load(
    model: str | Path,
    *,
    beams: int | None = None,
    choose: Choose | None = None,
    evidence: float | None = None,
    max_error: float | None = None,
    labels_from: LabelsFrom = "predicted",
    precision: Literal["fp32", "bf16", "fp16"] = "fp32",
    runtime: RuntimeName | None = None,
    device: str | torch.device | None = None,
    features: str | Path | None = None,
    allow_code: bool = False,
) -> ReportGenerator:
    """Load a model, ready to generate reports.

    Args:
        model: run, checkpoint or exported folder, "hub:owner/name", or "demo", the small model of drawn X-rays that
            comes with the package.
        beams: beam hypotheses of the search; by default as the checkpoint says.
        choose: which finished hypothesis becomes the report; by default as the checkpoint says.
        evidence: how much the claims of partial reports count in the search; by default as the checkpoint says.
        max_error: mark the sentences among whose claims the expected share of false ones is at most this.
        labels_from: what decides which prototypes are visible: the model's own findings, the reference's (an oracle,
            for reproduction only), or nothing, so that all are.
        precision: arithmetic of the image encoder; what follows it is fp32.
        runtime: what computes the network; by default PyTorch for a run or checkpoint, and the engine that an exported
            folder was made for.
        device: where PyTorch computes; by default the GPU where there is one.
        features: a feature cache made by `xpronet features` with the model's image encoder; reports about studies of
            its corpus then need no image.
        allow_code: let the checkpoint name Python objects of installed packages (an outside image encoder, say).

    Raises:
        InputError: nothing usable is there, or the runtime does not fit it.
    """
    folder = model_folder(model)
    if not is_exported(folder):
        if runtime not in (None, "torch"):
            to = "openvino" if runtime == "openvino" else "onnx"
            raise InputError(
                f"{folder}: --runtime {runtime} needs an exported folder; make one with "
                f"`xpronet export {folder} --to {to} --out FOLDER` and name that"
            )
        checkpoint = load_checkpoint(folder, allow_code=allow_code)
        return ReportGenerator(
            checkpoint,
            device=torch.device(device) if device is not None else best_device(),
            settings=checkpoint.search.override(beams=beams, choose=choose, evidence=evidence),
            labels_from=labels_from,
            precision=precision,
            fingerprint=fingerprint(folder),
            features=None if features is None else open_feature_cache(features),
            max_error=max_error,
        )
    return _load_exported(
        folder,
        beams=beams,
        choose=choose,
        evidence=evidence,
        max_error=max_error,
        labels_from=labels_from,
        precision=precision,
        runtime=runtime,
        features=features,
    )


def model_folder(model: str | Path) -> Path:
    """Return the folder of a model that may be named by "hub:owner/name" or "demo".

    Raises:
        InputError: the hub does not have it.
    """
    if isinstance(model, str) and model.startswith(HUB):
        return hub_folder(model)
    return demo_model() if model == DEMO else Path(model)


def model_fingerprint(path: Path) -> str:
    """Return the fingerprint of the weights that a path names, or of those that an exported folder was made from."""
    if not is_exported(path):
        return fingerprint(path)
    from xpronet.deploy.exported_folder import read_exported

    return read_exported(path).model


def _load_exported(
    folder: Path,
    *,
    beams: int | None,
    choose: Choose | None,
    evidence: float | None,
    max_error: float | None,
    labels_from: LabelsFrom,
    precision: Literal["fp32", "bf16", "fp16"],
    runtime: RuntimeName | None,
    features: str | Path | None,
) -> ReportGenerator:
    """Load an exported folder, as `load` does; what runs graphs is imported only here."""
    from xpronet.deploy.engines import PREFERRED, EngineName, make_engine
    from xpronet.deploy.exported_folder import read_exported
    from xpronet.deploy.exported_runtime import ExportedRuntime

    if features is not None:
        raise InputError(f"{folder}: exported graphs read images, no feature cache; leave --features out")
    if runtime == "torch":
        raise InputError(f"{folder}: an exported folder has no PyTorch network; name the run it was made from")
    if precision == "fp16":
        raise InputError(f"{folder}: exported graphs compute in fp32 or bf16; choose --precision fp32 or bf16")
    exported = read_exported(folder)
    name: EngineName = runtime or PREFERRED[exported.format]
    engine = make_engine(exported, name, threads=_threads(), precision=precision)
    # PyTorch only searches now. Its threads would spin on the cores that the engine's need: a search took four times as
    # long.
    torch.set_num_threads(1)
    return ReportGenerator(
        exported,
        device=torch.device("cpu"),
        settings=exported.search.override(beams=beams, choose=choose, evidence=evidence),
        labels_from=labels_from,
        precision=precision,
        runtime=ExportedRuntime(exported, engine),
        fingerprint=exported.model,
        max_error=max_error,
    )


@cache
def _threads() -> int:
    """Return how many threads PyTorch had before the first engine took them from it."""
    return torch.get_num_threads()
