"""Measure memory: the head's training step beside the tensor that it avoids, and decoding of few and of many batches.

    python benchmarks/memory.py [--small] [--device cpu|cuda] [--repeats N]

Prints one JSON object; sizes in MiB.
"""

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from decode import write
from measuring import machine, paper_network, paper_studies, read_options, show
from step import head_step
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

MIB = 2**20


class Largest(TorchDispatchMode):
    """Note the largest tensor that any operation returns."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes, self.shape = 0, ()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operation and look at what it returns."""
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            # Storage, not shape: an expanded view takes no memory of its own.
            if isinstance(tensor, Tensor) and tensor.untyped_storage().nbytes() > self.bytes:
                self.bytes, self.shape = tensor.untyped_storage().nbytes(), tuple(tensor.shape)
        return out


def main() -> None:
    """Measure and print."""
    options = read_options(__doc__)
    device = options.device
    network, studies = paper_network(device), paper_studies(options.studies, device)
    settings = network.settings
    avoided = 4 * options.studies * 98 * settings.gamma * settings.width
    network.eval()
    base = in_use(device)
    result = {"tensor of batch x heads x regions x gamma x width": round(avoided / MIB, 1)}
    for batches in (1, 3):
        result[f"decoding peak, batches: {batches}"] = peak(
            lambda count=batches: [write(network, studies, "fp32") for _ in range(count)], device, base
        )
    network.train()
    step = head_step(network, studies, "fp32")
    result["head step peak, with gradients and moments"] = peak(step, device, base)
    with Largest() as largest:
        step()
    result["head step largest tensor"] = round(largest.bytes / MIB, 1)
    show(
        {
            "benchmark": "memory",
            "machine": machine(device),
            "sizes": {"studies": options.studies},
            "mebibytes": result,
            "largest_tensor_shape": largest.shape,
            "ratios": {"largest tensor to the avoided one (below 1)": round(largest.bytes / avoided, 2)},
        }
    )


def in_use(device: torch.device) -> float:
    """Return the memory in use, in MiB."""
    return torch.cuda.memory_allocated(device) / MIB if device.type == "cuda" else _status("VmRSS") / 1024


def peak(way: Callable[[], Any], device: torch.device, base: float) -> float:
    """Return the most memory in use during a run beyond what was in use before all runs, in MiB."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        way()
        return round(torch.cuda.max_memory_allocated(device) / MIB - base, 1)
    Path("/proc/self/clear_refs").write_text("5")
    way()
    return round(_status("VmHWM") / 1024 - base, 1)


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


if __name__ == "__main__":
    main()
