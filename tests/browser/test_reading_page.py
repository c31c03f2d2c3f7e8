"""The reading page in Debian's Chromium; `make test-browser` installs what drives it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image

from xpronet.data.corpus import Corpus

HERE = Path(__file__).parent
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium"),
    pytest.mark.skipif(not (HERE / "node_modules").is_dir(), reason="`make test-browser` installs playwright-core"),
]


@pytest.fixture
def address(gated_run: Path) -> Iterator[str]:
    """`xpronet serve`, as a user starts it."""
    command = [sys.executable, "-m", "xpronet", "serve", str(gated_run), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        line = server.stdout.readline()
        try:
            yield line.split()[2]
        finally:
            server.terminate()


def test_a_reader_uses_the_page(address: str, phantom: Corpus, tmp_path: Path):
    study = next(study for study in phantom.studies if len(study.views) == 2)
    files = [str(phantom.view_path(view)) for view in study.views]
    folder = Path(os.environ.get("XPRONET_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    with_sr = find_spec("highdicom") is not None
    black = tmp_path / "black.png"
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(black)
    driven = subprocess.run(
        ["node", "drive.mjs", address, str(folder), "yes" if with_sr else "no", str(black), *files],
        cwd=HERE,
        env={**os.environ, "CHROMIUM": str(CHROMIUM)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert driven.returncode == 0, driven.stdout + driven.stderr
    if with_sr:
        dataset = pydicom.dcmread(folder / "draft.dcm")
        assert dataset.Modality == "SR"
        assert dataset.VerificationFlag == "UNVERIFIED"
