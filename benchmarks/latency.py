"""Measure `xpronet report`: from image files to a written report, from the shell (cold) and in one process (warm).

The model is the paper's in size (ResNet-101, two views of 224², beam 3) with random weights; its EOS is made
improbable, so that every report has its full 60 words. `--small` measures a narrow one, to see that the script runs.

    python benchmarks/latency.py --runtimes torch torch-bf16 onnxruntime openvino openvino-bf16
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from xpronet.deploy.exported_folder import export_folder
from xpronet.deploy.load import load
from xpronet.encoders.image_encoder import ImageEncoderSettings
from xpronet.encoders.resnet import ResNet
from xpronet.generation.generator import ReportGenerator
from xpronet.images.transforms import ImageSettings
from xpronet.labels.findings import FINDINGS
from xpronet.model.checkpoint import Checkpoint, load_checkpoint
from xpronet.model.checkpoint_files import fingerprint
from xpronet.model.network import XProNet
from xpronet.model.search_settings import BeamSettings
from xpronet.model.settings import ModelSettings
from xpronet.text.vocabulary import Vocabulary, VocabularySettings

TARGETS = {"warm_seconds": 0.45, "cold_seconds": 6.0}
"""Medians to reach on two quiet cores, full size."""


def make_checkpoint(folder: Path, *, small: bool) -> None:
    """Write a checkpoint with random weights that never ends a report early."""
    torch.manual_seed(0)
    vocabulary = Vocabulary([f"word{number:03}" for number in range(756)], VocabularySettings())
    backbone = ImageEncoderSettings(depth=18, width=8) if small else ImageEncoderSettings()
    settings = ModelSettings(width=64, feed_forward=64, layers=1, bank_width=64) if small else ModelSettings()
    network = XProNet(
        backbone=ResNet(backbone),
        settings=settings,
        num_words=len(vocabulary),
        padding=vocabulary.padding,
        num_findings=len(FINDINGS),
    )
    with torch.no_grad():
        network.word_output.bias[vocabulary.eos] = -1e4
    Checkpoint(
        network=network,
        vocabulary=vocabulary,
        images=ImageSettings(),
        max_views=2,
        search=BeamSettings(max_words=60),
        findings=FINDINGS,
        thresholds=dict.fromkeys(FINDINGS, 0.5),
    ).save(folder)


def make_pictures(folder: Path) -> list[Path]:
    """Write two PNG images of 224²."""
    paths = [folder / "frontal.png", folder / "lateral.png"]
    for seed, path in enumerate(paths):
        grey = np.random.default_rng(seed).integers(0, 256, (224, 224), dtype=np.uint8)
        Image.fromarray(grey).save(path)
    return paths


def write_one(generator: ReportGenerator, pictures: list[Path]) -> str:
    """Do what the command does after its start."""
    return generator.report(pictures, with_evidence=False).text


def seconds(work: Callable[[], object], repeats: int) -> list[float]:
    """Return how long each repeat took."""
    taken = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return taken


def summary(taken: list[float]) -> dict[str, float]:
    """Return median and spread."""
    return {"median": statistics.median(taken), "lowest": min(taken), "highest": max(taken), "repeats": len(taken)}


def measure(folder: Path, pictures: list[Path], choice: str, *, warm: int, cold: int) -> dict[str, object]:
    """Measure one runtime, warm and cold."""
    runtime, _, precision = choice.partition("-")
    precision = precision or "fp32"
    generator = load(folder, runtime=runtime, precision=precision)
    first = seconds(lambda: write_one(generator, pictures), 2)
    taken = seconds(lambda: write_one(generator, pictures), warm)
    options = ["--runtime", runtime, "--precision", precision]
    command = [sys.executable, "-m", "xpronet", "report", str(folder), *map(str, pictures), *options]

    def from_shell() -> None:
        subprocess.run(command, check=True, capture_output=True)

    return {
        "warm_seconds": {key: round(value, 4) for key, value in summary(taken).items()},
        "first_in_process_seconds": round(first[0], 4),
        "cold_seconds": {key: round(value, 3) for key, value in summary(seconds(from_shell, cold)).items()},
        "text": write_one(generator, pictures),
    }


def machine() -> dict[str, object]:
    """Return what the figures depend on."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if "model name" in line), platform.processor())
    return {
        "processor": model,
        "cores": len(os.sched_getaffinity(0)),
        "threads": torch.get_num_threads(),
        "load": os.getloadavg()[0],
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def main() -> None:
    """Measure every runtime that was asked for and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--runtimes", nargs="+", default=["torch"])
    parser.add_argument("--warm", type=int, default=20, help="reports in one process")
    parser.add_argument("--cold", type=int, default=5, help="reports from the shell")
    options = parser.parse_args()
    warm, cold = (3, 1) if options.small else (options.warm, options.cold)
    results: dict[str, dict[str, object]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        make_checkpoint(root / "torch", small=options.small)
        pictures = make_pictures(root)
        for choice in options.runtimes:
            runtime = choice.partition("-")[0]
            folder = root / runtime
            if not folder.exists():
                started = time.perf_counter()
                export_folder(
                    load_checkpoint(root / "torch"),
                    folder,
                    to="openvino" if runtime == "openvino" else "onnx",
                    model=fingerprint(root / "torch"),
                    search=BeamSettings(),
                )
                print(f"exported for {runtime} in {time.perf_counter() - started:.0f} s", file=sys.stderr)
            results[choice] = measure(folder, pictures, choice, warm=warm, cold=cold)
            size = sum(path.stat().st_size for path in folder.iterdir())
            results[choice]["megabytes"] = round(size / 1e6, 1)
    texts = {choice: result.pop("text") for choice, result in results.items()}
    for choice, result in results.items():
        result["text_equals_first"] = texts[choice] == texts[options.runtimes[0]]
    target = None if options.small else TARGETS
    print(json.dumps({"figure": "latency", "machine": machine(), "target": target, "results": results}, indent=2))


if __name__ == "__main__":
    main()
