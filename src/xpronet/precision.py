"""The arithmetic of the network: which products are computed in half precision, and what never is."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from xpronet.errors import InputError

Arithmetic = Literal["fp32", "bf16", "fp16"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]

_TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def full_precision(values: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return the values in fp32, or unchanged where they are more precise.

    Sums, logarithms and hinges need more digits than half precision has. Unlike `.float()`, it leaves a network that
    computes in fp64 throughout in fp64, which a test needs to tell rounding from a real difference.
    """
    return values.to(torch.promote_types(values.dtype, torch.float32))


def settled_precision(precision: Precision, device: torch.device) -> Arithmetic:
    """Return what `auto` means on a device: bf16 where its hardware multiplies bf16, else fp32.

    A CPU that emulates bf16 is many times slower with it than with fp32.
    """
    if precision != "auto":
        return precision
    return "bf16" if _multiplies_bf16(device) else "fp32"


def _multiplies_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return False
    has = torch.cpu.get_capabilities()
    # ARM calls the feature just bf16.
    return any(has.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def forward_precision(device: torch.device, precision: str) -> torch.autocast:
    """Return a context that computes matrix products and convolutions in half precision, or leaves all in fp32."""
    if precision == "fp32":
        return torch.autocast(device.type, enabled=False)
    return torch.autocast(device.type, dtype=_TYPES[precision])


def make_scaler(device: torch.device, precision: str) -> torch.amp.GradScaler:
    """Return the scaler that keeps small fp16 gradients from becoming zero; it does nothing for other precisions.

    Raises:
        InputError: the device cannot train in fp16.
    """
    if precision == "fp16" and device.type not in ("cuda", "cpu"):
        raise InputError(f"train.precision = 'fp16': not supported on {device.type}; choose bf16 or fp32")
    return torch.amp.GradScaler(device.type, enabled=precision == "fp16")
