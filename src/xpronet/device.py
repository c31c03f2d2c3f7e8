"""The device that PyTorch computes on: what the user has named, or the best that is there."""

import os
import re
from typing import TYPE_CHECKING

from xpronet.errors import InputError

if TYPE_CHECKING:
    import torch

DEVICE_VARIABLE = "XPRONET_DEVICE"
"""The user's own word on the device, for this process and those that it starts."""
DEVICES = re.compile(r"cpu|mps|cuda(:\d{1,3})?")


def check_device_name(name: str) -> None:
    """Refuse what is no name of a device; whether this machine has it is found out when it is used.

    Raises:
        InputError: it is none.
    """
    if not DEVICES.fullmatch(name):
        raise InputError(f"--device {name}: no such device; give cpu, cuda, cuda:N or mps")


def best_device() -> "torch.device":
    """Return the device that the user has named (`--device`), else the GPU if there is one, else the CPU.

    Raises:
        InputError: this machine has no such device.
    """
    import torch

    named = os.environ.get(DEVICE_VARIABLE)
    if named is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    check_device_name(named)
    device = torch.device(named)
    there = {"cpu": 1, "mps": int(torch.backends.mps.is_available()), "cuda": torch.cuda.device_count()}[device.type]
    if (device.index or 0) >= there:
        raise InputError(f"--device {named}: this machine has no such device; leave --device out, or give cpu")
    return device
