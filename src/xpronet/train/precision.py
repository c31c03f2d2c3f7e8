"""The arithmetic of the forward pass."""

import torch


def forward_precision(device: torch.device, precision: str) -> torch.autocast:
    """Return a context that computes matrix products and convolutions in bfloat16, or leaves everything in fp32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")
