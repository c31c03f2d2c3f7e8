"""`xpronet export`: a model as graphs for a runtime other than PyTorch."""

from pathlib import Path
from typing import Literal

from rich.console import Console


def export(
    run: Path,
    /,
    *,
    to: Literal["onnx", "openvino"],
    out: Path,
    allow_code: bool = False,
    overwrite: bool = False,
) -> None:
    """Write a model as graphs that other runtimes compute, for `xpronet report` on a CPU.

    For example:

        xpronet export run --to openvino --out exported

    Args:
        run: run or checkpoint folder.
        to: ONNX graphs (for ONNX Runtime, and OpenVINO reads them too) or OpenVINO's own.
        out: folder to write: graphs, vocabulary, findings with thresholds, settings.
        allow_code: let the checkpoint name Python objects of installed packages.
        overwrite: replace the folder if it is there.
    """
    from xpronet.deploy.exported_folder import export_folder
    from xpronet.evaluation.model_origin import origin_files
    from xpronet.model.checkpoint import load_checkpoint
    from xpronet.model.checkpoint_files import fingerprint

    checkpoint = load_checkpoint(run, allow_code=allow_code)
    files = export_folder(checkpoint, out, to=to, model=fingerprint(run), beside=origin_files(run), overwrite=overwrite)
    megabytes = sum(size for _, size in files) / 1e6
    Console(soft_wrap=True).print(f"Wrote {len(files)} files, {megabytes:.1f} MB, to {out}")
