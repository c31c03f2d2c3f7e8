"""The reading page's films in Debian's Chromium; `make test-browser` installs what drives it."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from served_run import served

from xpronet.data.corpus import Corpus

HERE = Path(__file__).parent
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium"),
    pytest.mark.skipif(not (HERE / "node_modules").is_dir(), reason="`make test-browser` installs playwright-core"),
]


def write_film(path: Path, drawn: Path, **elements: Any) -> str:
    """Write a drawn film as DICOM of 12 bits, of an invented patient."""
    pydicom = pytest.importorskip("pydicom")
    grey = np.asarray(Image.open(drawn).convert("L").resize((640, 560)), np.uint16) * 14 + 100
    film = pydicom.Dataset()
    film.SOPClassUID, film.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1.1", pydicom.uid.generate_uid()
    film.StudyInstanceUID, film.SeriesInstanceUID = "1.2.3", "1.2.3.1"
    film.PatientName, film.PatientID, film.StudyDate = "Invented^Ida", "P-1", "20260102"
    film.PhotometricInterpretation, film.SamplesPerPixel, film.RescaleType = "MONOCHROME2", 1, "US"
    film.RescaleSlope, film.RescaleIntercept = 1, 0
    film.WindowCenter, film.WindowWidth = [1900, 1800], [3600, 2000]
    film.WindowCenterWidthExplanation = ["NORMAL", "HARDER"]
    film.Rows, film.Columns = grey.shape
    film.ImagerPixelSpacing = [0.2, 0.2]
    film.BitsAllocated, film.BitsStored, film.HighBit, film.PixelRepresentation = 16, 12, 11, 0
    film.PixelData = grey.tobytes()
    for keyword, value in elements.items():
        setattr(film, keyword, value)
    film.file_meta = pydicom.dataset.FileMetaDataset()
    film.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    film.save_as(path, enforce_file_format=True)
    return str(path)


def test_a_reader_uses_the_page(gated_run: Path, phantom: Corpus, tmp_path: Path):
    study = next(study for study in phantom.studies if len(study.views) == 2)
    drawn = [phantom.view_path(view) for view in study.views]
    folder = Path(os.environ.get("XPRONET_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    black = tmp_path / "black.png"
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(black)
    earlier = {"StudyDate": "20240511", "StudyInstanceUID": "1.2.2", "ViewPosition": "PA"}
    films = [
        str(black),
        write_film(tmp_path / "prior.dcm", drawn[0], **earlier),
        write_film(tmp_path / "other.dcm", drawn[0], **earlier, PatientID="P-2"),
        write_film(tmp_path / "lateral.dcm", drawn[1], ViewPosition="LL", PatientOrientation=["A", "F"]),
        write_film(tmp_path / "frontal.dcm", drawn[0], ViewPosition="PA", PatientOrientation=["L", "F"]),
        *map(str, drawn),
    ]
    with served(gated_run) as address:
        driven = subprocess.run(
            ["node", "drive.mjs", address, str(folder), *films],
            cwd=HERE,
            env={**os.environ, "CHROMIUM": str(CHROMIUM)},
            capture_output=True,
            text=True,
            timeout=900,
        )
    print(driven.stdout)
    assert driven.returncode == 0, driven.stdout + driven.stderr
