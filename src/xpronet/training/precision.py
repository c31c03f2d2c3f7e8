"""The arithmetic of the forward pass."""

from typing import Literal

import torch

from xpronet.errors import InputError

Arithmetic = Literal["fp32", "bf16", "fp16"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]

_TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def settled_precision(precision: Precision, device: torch.device) -> Arithmetic:
    """Return what `auto` means on a device: bf16 where it multiplies that itself, else fp32.

    A CPU that has to imitate bf16 is many times slower with it than with fp32.
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
    # ARM's own name for it is bf16.
    return any(has.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def forward_precision(device: torch.device, precision: str) -> torch.autocast:
    """Return a context that computes matrix products and convolutions in half precision, or leaves all in fp32."""
    if precision == "fp32":
        return torch.autocast(device.type, enabled=False)
    return torch.autocast(device.type, dtype=_TYPES[precision])


def make_scaler(device: torch.device, precision: str) -> torch.amp.GradScaler:
    """Return what keeps small gradients of fp16 from becoming zero; for other precisions it does nothing.

    Raises:
        InputError: the device has no fp16 to train with.
    """
    if precision == "fp16" and device.type not in ("cuda", "cpu"):
        raise InputError(f"train.precision = 'fp16': not on {device.type}; choose bf16 or fp32")
    return torch.amp.GradScaler(device.type, enabled=precision == "fp16")
