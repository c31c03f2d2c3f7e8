"""What a wheel holds is enough: installed outside the checkout, it draws, trains, scores and reports."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's files in a folder of their own, away from the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet", "-w", str(folder)]
    subprocess.run([*command, str(ROOT)], check=True)
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def xpronet(installed: Path, *arguments: object) -> str:
    """Run the installed command in the folder above it; the checkout is not on the path."""
    environment = {**os.environ, "PYTHONPATH": str(installed), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-P", "-m", "xpronet", *map(str, arguments)]
    done = subprocess.run(
        command, cwd=installed.parent, env=environment, capture_output=True, text=True, check=False, timeout=500
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.long
@pytest.mark.slow
def test_the_wheel_runs_outside_the_checkout(installed: Path) -> None:
    inside = installed / "xpronet"
    for file in (
        "py.typed",
        "recipes/phantom.toml",
        "labels/rules.toml",
        "serve/static/index.html",
        "show/page.css",
        "demo_model/model.safetensors",
        "demo_model/check_study/frontal.png",
    ):
        assert (inside / file).is_file(), file
    where = "import xpronet; print(xpronet.__file__)"
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    told = subprocess.run(
        [sys.executable, "-P", "-c", where],
        cwd=installed.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == str(inside / "__init__.py")
    assert "left pneumothorax" in xpronet(installed, "report", "--demo")
    assert "reports.html" in xpronet(installed, "demo", "--out", "demo", "--studies", 60, "--epochs", 1)
    images = sorted((installed.parent / "demo/corpus/images").rglob("*.png"))[:2]
    assert xpronet(installed, "report", "demo/run", *images).strip()
