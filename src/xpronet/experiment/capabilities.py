"""What works on this machine, and what would have to be installed for the rest."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

import torch

from xpronet.device import best_device
from xpronet.evaluation.meteor import find_jar, find_java
from xpronet.images.dicom_pixels import NEEDED
from xpronet.precision import settled_precision

EXTRAS = {
    "text": ("text encoders and labelers of the Hugging Face hub", ("transformers",)),
    "demo": ("CIDEr, METEOR and the demo's scores", ("pycocoevalcap",)),
    "datasets": ("predictions as Parquet and Arrow", ("pyarrow",)),
    "train": ("TensorBoard", ("tensorboard",)),
    "serve": ("reading page and HTTP interface", ("fastapi", "prometheus_client", "uvicorn", "python_multipart")),
    "plots": ("figures", ("matplotlib",)),
    "onnx": ("export, ONNX Runtime", ("onnx", "onnxscript", "onnxruntime")),
    "openvino": ("OpenVINO", ("openvino",)),
}
"""By extra: what it is for and which modules it brings; DICOM and metrics are looked at more closely."""
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@dataclass(frozen=True, kw_only=True)
class Capability:
    """One thing that works here or does not."""

    name: str
    """What it is."""
    works: bool
    """Whether it works."""
    told: str
    """What there is, or what it would be for."""
    remedy: str = ""
    """The line that installs it; empty where it works, or where no line would help."""

    def line(self) -> str:
        """Return it in a line."""
        remedy = f"; {self.remedy}" if self.remedy and not self.works else ""
        return f"{'yes' if self.works else 'no ':<3}  {self.name}: {self.told}{remedy}"


def capabilities() -> list[Capability]:
    """Return what works here: device and arithmetic, DICOM, Java, a browser, optional extras."""
    return [*_device(), *_dicom(), _java(), *map(_extra, EXTRAS), _chromium()]


def _device() -> Iterator[Capability]:
    has_gpu = torch.cuda.is_available()
    built = torch.version.cuda
    reason = (
        "no GPU that this build of PyTorch can use" if built else f"PyTorch {torch.__version__} is a build for CPUs"
    )
    yield Capability(
        name="GPU",
        works=has_gpu,
        told=torch.cuda.get_device_name() if has_gpu else reason,
        remedy="" if built else "pip install --force-reinstall torch, with the index that pytorch.org names for CUDA",
    )
    device = best_device()
    multiplies = settled_precision("auto", device) == "bf16"
    yield Capability(
        name="bf16",
        works=multiplies,
        told=f"this {device.type} {'multiplies' if multiplies else 'emulates'} it; precision auto is "
        f"{'bf16' if multiplies else 'fp32'}",
    )


def _dicom() -> Iterator[Capability]:
    remedy = "pip install 'xpronet[dicom]'"
    forms = {"DICOM": ("pydicom",), "DICOM, JPEG and JPEG 2000": NEEDED["gdcm"], "DICOM, HTJ2K": NEEDED["pylibjpeg"]}
    told = {
        "DICOM": "uncompressed and run-length images",
        "DICOM, JPEG and JPEG 2000": "with JPEG-LS, by GDCM",
        "DICOM, HTJ2K": "by OpenJPEG",
    }
    for name, modules in forms.items():
        works = all(_loads(module) for module in ("pydicom", *modules))
        yield Capability(name=name, works=works, told=told[name], remedy=remedy)
    yield Capability(
        name="DICOM, reports",
        works=find_spec("highdicom") is not None,
        told="structured reports and presentation states",
        remedy=remedy,
    )


def _loads(module: str) -> bool:
    """Return whether a module is installed and loads; codecs are C and C++, and may lack a library of the system."""
    if find_spec(module) is None:
        return False
    try:
        import_module(module)
    except ImportError:
        return False
    return True


def _java() -> Capability:
    java, jar = find_java(), find_jar()
    return Capability(
        name="Java",
        works=java is not None and jar is not None,
        told=f"METEOR, by {java}" if java is not None and jar is not None else "METEOR needs it, and pycocoevalcap",
        remedy="pip install 'xpronet[metrics]'",
    )


def _extra(name: str) -> Capability:
    purpose, modules = EXTRAS[name]
    works = all(find_spec(module) is not None for module in modules)
    return Capability(
        name=f"[{name}]",
        works=works,
        told=f"{purpose}{f' ({modules[-1]} {_version(modules[-1])})' if works else ''}",
        remedy=f"pip install 'xpronet[{name}]'",
    )


def _version(module: str) -> str:
    try:
        return version(module.replace("_", "-"))
    except PackageNotFoundError:
        return "of an unknown version"


def _chromium() -> Capability:
    found = next((path for name in BROWSERS if (path := shutil.which(name)) is not None), None)
    return Capability(
        name="Chromium",
        works=found is not None,
        told=found or "only the tests of the reading page need it",
        remedy="apt-get install chromium",
    )
