"""The arithmetic of the forward pass."""

from typing import Literal

import torch

from xpronet.errors import InputError

Precision = Literal["fp32", "bf16", "fp16"]

_TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


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
