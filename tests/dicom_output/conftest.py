"""DICOM objects as other programs read them."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def checked(tmp_path: Path) -> Callable[..., str]:
    """Run a tool of dcmtk or dicom3tools on an object and return what it prints; skip where it is not installed."""

    def run(tool: str, *options: str, content: bytes) -> str:
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed (Debian: dcmtk, dicom3tools)")
        path = tmp_path / "object.dcm"
        path.write_bytes(content)
        done = subprocess.run([tool, *options, str(path)], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    return run
