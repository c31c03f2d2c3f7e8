"""The tiny run as graphs: exported once, by the command, as a user would."""

import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest


def _export(run: Path, out: Path, to: str) -> Path:
    for package in ("onnx", "onnxscript", "openvino") if to == "openvino" else ("onnx", "onnxscript"):
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed, which exporting to {to} needs")
    # In a process of its own: the checks of shapes that tests run under cannot follow a trace.
    command = [sys.executable, "-W", "error", "-m", "xpronet", "export", str(run), "--to", to, "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return out


@pytest.fixture(scope="session")
def export() -> Callable[[Path, Path, str], Path]:
    """Exports a run: from where, to where, to which format."""
    return _export


@pytest.fixture(scope="session")
def onnx_folder(gated_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny run as ONNX graphs."""
    return _export(gated_run, tmp_path_factory.mktemp("onnx") / "exported", "onnx")


@pytest.fixture(scope="session")
def openvino_folder(gated_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny run as OpenVINO graphs."""
    return _export(gated_run, tmp_path_factory.mktemp("openvino") / "exported", "openvino")
