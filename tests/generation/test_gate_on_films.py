"""The gate on real films, by the benchmark that anybody can run; here on fewer images than its figures are from."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "gate.py"


@pytest.mark.slow
def test_an_ankle_and_photographs_are_warned_of_and_nearly_no_chest_film(shared: Path) -> None:
    data, weights = shared / "data", shared / "weights" / "resnet50_v1_imagenet_fp16.safetensors"
    ankle = data / "dicom" / "RG3_J2KI.dcm"
    for path in (data / "covid_chestxray" / "annotation.json", weights, ankle):
        if not path.is_file():
            pytest.skip(f"{path.name} is not beside the checkout")
    command = [sys.executable, str(BENCHMARK), str(data / "covid_chestxray" / "annotation.json"), "--most", "100"]
    command += ["--weights", str(weights), "--stride-in-1x1", "--others", str(ankle)]
    films = [str(data / "iu_xray" / copy) for copy in ("NLMCXR_png", "kaggle_images_normalized")]
    command += ["--chests", str(data / "dicom"), *films]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    groups = json.loads(done.stdout)["groups"]
    assert groups["no films"]["warned"] == groups["no films"]["pictures"] == 7
    assert "dicom/RG3_J2KI.dcm" in groups["no films"]["warned_of"]
    assert groups["elsewhere"]["pictures"] == 18
