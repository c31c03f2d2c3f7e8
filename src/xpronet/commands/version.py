"""`xpronet --version`: what computes here."""


def version_line() -> str:
    """Return the versions of xpronet, PyTorch and Python, the device, and the precision that "auto" means on it."""
    import platform

    import torch

    from xpronet import __version__
    from xpronet.device import best_device
    from xpronet.precision import settled_precision

    device = best_device()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return (
        f"xpronet {__version__}, torch {torch.__version__}, Python {platform.python_version()}, "
        f"{name}, precision {settled_precision('auto', device)}"
    )
