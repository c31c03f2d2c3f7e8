"""A writer from a path, whatever is there: a run, a checkpoint, or an exported folder."""

from functools import cache
from pathlib import Path
from typing import Literal

import torch

from xpronet.commands.searching import Choose, overridden, search_settings
from xpronet.deploy.engines import PREFERRED, EngineName, make_engine
from xpronet.deploy.exported_folder import is_exported, read_exported
from xpronet.deploy.exported_runtime import ExportedRuntime
from xpronet.errors import InputError
from xpronet.generation.generator import LabelsFrom, ReportGenerator
from xpronet.model.checkpoint import best_device, fingerprint, load_checkpoint

RuntimeName = Literal["torch", "onnxruntime", "openvino"]


def load_generator(
    path: Path,
    *,
    beams: int | None = None,
    choose: Choose | None = None,
    labels_from: LabelsFrom = "predicted",
    precision: Literal["fp32", "bf16"] = "fp32",
    runtime: RuntimeName | None = None,
) -> ReportGenerator:
    """Make a writer of what a path names.

    Args:
        path: run, checkpoint or exported folder.
        beams: width of the search, where the command line names one.
        choose: which finished report to take, where the command line says so.
        labels_from: what decides which prototypes are visible.
        precision: arithmetic of the backbone.
        runtime: what computes the network; if left out, PyTorch for a run or checkpoint, and the engine that an
            exported folder was made for.

    Raises:
        InputError: nothing usable is there, or the runtime does not fit it.
    """
    if not is_exported(path):
        if runtime not in (None, "torch"):
            to = "openvino" if runtime == "openvino" else "onnx"
            raise InputError(
                f"{path}: --runtime {runtime} needs an exported folder; make one with "
                f"`xpronet export {path} --to {to} --out FOLDER` and name that"
            )
        checkpoint = load_checkpoint(path)
        settings = search_settings(path, checkpoint, beams=beams, choose=choose)
        return ReportGenerator(
            checkpoint, device=best_device(), settings=settings, labels_from=labels_from, precision=precision
        )
    if runtime == "torch":
        raise InputError(f"{path}: an exported folder has no PyTorch network; name the run it was made from")
    exported = read_exported(path)
    name: EngineName = runtime or PREFERRED[exported.format]
    engine = make_engine(exported, name, threads=_threads(), precision=precision)
    # PyTorch only searches now. Its threads would spin on the cores that the engine's need: a search took four times as
    # long.
    torch.set_num_threads(1)
    return ReportGenerator(
        exported,
        device=torch.device("cpu"),
        settings=overridden(exported.search, beams=beams, choose=choose),
        labels_from=labels_from,
        precision=precision,
        runtime=ExportedRuntime(exported, engine),
    )


@cache
def _threads() -> int:
    """Return how many threads PyTorch had before the first engine took them from it."""
    return torch.get_num_threads()


def model_fingerprint(path: Path) -> str:
    """Return the fingerprint of the weights that a path names, or of those that an exported folder was made from."""
    return read_exported(path).model if is_exported(path) else fingerprint(path)
