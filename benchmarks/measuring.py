"""What the speed benchmarks share: the machine, medians, rates of the machine, and a network of the paper's sizes."""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from xpronet.encoders.image_encoder import ImageEncoderSettings
from xpronet.encoders.resnet import ResNet
from xpronet.launch import num_cores
from xpronet.model.fast_cpu import speed_up
from xpronet.model.network import XProNet
from xpronet.model.report_model import Patches
from xpronet.model.settings import ModelSettings
from xpronet.precision import settled_precision

NUM_FINDINGS = 14
VOCABULARY = 760
"""Words of IU X-Ray's vocabulary, about."""
WORDS = 60
VIEWS = 2
SIDE = 224


@dataclass(frozen=True, kw_only=True)
class Options:
    """What every benchmark is asked on its command line."""

    small: bool
    device: torch.device
    repeats: int
    studies: int


def read_options(description: str, *, small_studies: int = 4, small_repeats: int = 3, repeats: int = 7) -> Options:
    """Read the command line; `--small` measures fewer studies, less often."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--small", action="store_true", help=f"{small_studies} studies instead of 16, fewer repeats")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--repeats", type=int, help="how often each figure is measured")
    chosen = parser.parse_args()
    return Options(
        small=chosen.small,
        device=torch.device(chosen.device),
        repeats=chosen.repeats or (small_repeats if chosen.small else repeats),
        studies=small_studies if chosen.small else 16,
    )


def machine(device: torch.device) -> dict[str, Any]:
    """Describe what the figures were measured on."""
    facts = {
        "processor": processor(),
        "cores": num_cores(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    if len(precisions(device)) == 1:
        facts["bf16"] = "only imitated here: not measured"
    if device.type == "cuda":
        return {**facts, "gpu": torch.cuda.get_device_name(device)}
    return {**facts, "gpu": "not measured" if torch.cuda.is_available() else "none: measured on the CPU alone"}


def processor() -> str:
    """Return the name of the CPU."""
    named = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).is_file() else []


def precisions(device: torch.device) -> tuple[str, ...]:
    """Return the arithmetics worth measuring: an imitated bf16 is many times slower than fp32 and tells nothing."""
    return ("fp32", "bf16") if settled_precision("auto", device) == "bf16" else ("fp32",)


def timed(
    ways: Mapping[str, Callable[[], Any]], *, device: torch.device, repeats: int, warm_ups: int = 1
) -> dict[str, dict[str, float]]:
    """Run the ways in turn, again and again, and return median, least and most seconds of each.

    In turn, so that a slow minute of the machine slows all of them and their ratios stay right.
    """
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for repeat in range(warm_ups + repeats):
        for name, way in ways.items():
            _wait(device)
            started = time.perf_counter()
            way()
            _wait(device)
            if repeat >= warm_ups:
                seconds[name].append(time.perf_counter() - started)
    return {name: spread(found) for name, found in seconds.items()}


def spread(values: list[float]) -> dict[str, float]:
    """Return median, least and most."""
    return {
        "median": round(statistics.median(values), 6),
        "least": round(min(values), 6),
        "most": round(max(values), 6),
    }


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def count_flops(way: Callable[[], Any]) -> int:
    """Return the operations of one run's matrix products and convolutions: multiplications and additions."""
    with FlopCounterMode(display=False) as counter:
        way()
    return counter.get_total_flops()


def matrix_rate(device: torch.device, dtype: torch.dtype, *, side: int | None = None) -> float:
    """Return the operations a second of large square matrix products, the best of several: the machine's limit."""
    side = side or (8192 if device.type == "cuda" else 1536)
    left, right = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    best = timed({"product": lambda: left @ right}, device=device, repeats=7, warm_ups=2)["product"]["least"]
    return 2 * side**3 / best


def memory_rate(device: torch.device) -> float:
    """Return the bytes a second at which memory is read: the sum over 256 MiB, far more than any cache holds."""
    block = torch.ones(1 << 26, device=device)
    best = timed({"read": block.sum}, device=device, repeats=5, warm_ups=2)["read"]["least"]
    return block.numel() * 4 / best


def paper_network(device: torch.device, *, depth: int = 101, seed: int = 0) -> XProNet:
    """Return a network of the paper's sizes with random weights, in training mode, as training computes it."""
    torch.manual_seed(seed)
    network = XProNet(
        backbone=ResNet(ImageEncoderSettings(depth=depth), seed=seed),
        settings=ModelSettings(),
        num_words=VOCABULARY,
        padding=0,
        num_findings=NUM_FINDINGS,
    )
    speed_up(network)
    return network.to(device)


@dataclass(frozen=True, kw_only=True)
class Studies:
    """Random studies of the paper's sizes."""

    images: Tensor
    view_mask: Tensor
    words: Tensor
    findings: Tensor
    patches: Patches


def paper_studies(count: int, device: torch.device, *, seed: int = 0) -> Studies:
    """Draw studies of two views, reports of the full length and one to three findings."""
    draw = torch.Generator().manual_seed(seed)
    findings = torch.zeros(count, NUM_FINDINGS, dtype=torch.bool)
    for row in findings:
        row[torch.randperm(NUM_FINDINGS, generator=draw)[: int(torch.randint(1, 4, (), generator=draw))]] = True
    words = torch.randint(3, VOCABULARY, (count, WORDS + 1), generator=draw)
    words[:, 0] = 1
    return Studies(
        images=torch.randint(0, 256, (count, VIEWS, SIDE, SIDE), generator=draw, dtype=torch.uint8).to(device),
        view_mask=torch.ones(count, VIEWS, dtype=torch.bool, device=device),
        words=words.to(device),
        findings=findings.to(device),
        patches=Patches(
            torch.randn(count, VIEWS * (SIDE // 32) ** 2, 2048, generator=draw).relu().to(device),
            torch.ones(count, VIEWS * (SIDE // 32) ** 2, dtype=torch.bool, device=device),
        ),
    )


def show(result: Mapping[str, Any]) -> None:
    """Print one JSON object."""
    print(json.dumps(result, indent=1))
