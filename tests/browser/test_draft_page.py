"""A reader's task on the draft, by keyboard, in Debian's Chromium; `make test-browser` installs what drives it."""

import json
import os
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pydicom
import pytest
from served_run import served

from xpronet.data.corpus import Corpus

HERE = Path(__file__).parent
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium"),
    pytest.mark.skipif(not (HERE / "node_modules").is_dir(), reason="`make test-browser` installs playwright-core"),
]


def items_of(item: Any) -> list[Any]:
    """Return an item of a structured report's content and all below it."""
    return [item, *(below for child in item.get("ContentSequence", ()) for below in items_of(child))]


def test_a_reader_corrects_a_draft_by_keyboard(gated_run: Path, phantom: Corpus, tmp_path: Path):
    studies = [[str(phantom.view_path(view)) for view in study.views] for study in phantom.studies]
    folder = Path(os.environ.get("XPRONET_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    macros = tmp_path / "macros.txt"
    macros.write_text("# mine\nnormal: The heart is normal.\nfollow: Follow-up in six weeks.\n")
    with_sr = find_spec("highdicom") is not None
    pairs = json.dumps([views for views in studies if len(views) == 2][:12])
    with served(gated_run) as address:
        driven = subprocess.run(
            ["node", "draft.mjs", address, str(folder), "yes" if with_sr else "no", pairs, str(macros)],
            cwd=HERE,
            env={**os.environ, "CHROMIUM": str(CHROMIUM)},
            capture_output=True,
            text=True,
            timeout=600,
        )
    assert driven.returncode == 0, driven.stdout + driven.stderr
    if with_sr:
        text = (folder / "text.txt").read_text()
        document = pydicom.dcmread(folder / "draft.dcm")
        said = [str(item.TextValue) for item in items_of(document) if "TextValue" in item]
        assert text in said
        assert any("drawn" in line.lower() for line in said)
        assert "Reader^Ada" in [str(item.PersonName) for item in items_of(document) if "PersonName" in item]
        assert document.VerificationFlag == "UNVERIFIED"
        assert len(document.PredecessorDocumentsSequence) == 1
