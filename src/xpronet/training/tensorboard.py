"""TensorBoard's event files beside the journal: the same numbers as curves, and a few reports with attention maps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import UInt8

from xpronet.errors import InputError

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

TENSORBOARD_FOLDER = "tensorboard"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A report that the model generated about a validation study."""

    text: str
    """Markdown: the generated report and its reference."""
    attention: UInt8[np.ndarray, "height width"] | None = None
    """The study's first view, darker where the words attended less; None for a report without words."""


def open_tensorboard(run: Path, *, step: int) -> "SummaryWriter":
    """Open a run's event files; what earlier ones hold of steps after `step` is dropped, since they are taken again.

    Raises:
        InputError: TensorBoard is not installed.
    """
    check_tensorboard()
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(run / TENSORBOARD_FOLDER), purge_step=step + 1)


def check_tensorboard() -> None:
    """Make sure that TensorBoard is installed, before anything that takes long.

    Raises:
        InputError: it is not.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter  # noqa: F401
    except ImportError:
        raise InputError("train.tensorboard needs TensorBoard: pip install 'xpronet[train]'") from None


def add_scalars(writer: "SummaryWriter", prefix: str, values: Mapping[str, Any], *, step: int) -> None:
    """Add a point to the curve of each number; other values are passed over."""
    for name, value in values.items():
        if isinstance(value, int | float):
            writer.add_scalar(f"{prefix}/{name}", value, step)
    writer.flush()


def add_samples(writer: "SummaryWriter", samples: Sequence[Sample], *, step: int) -> None:
    """Add generated reports as text, and their attention as images."""
    for number, sample in enumerate(samples, 1):
        writer.add_text(f"report {number}", sample.text, step)
        if sample.attention is not None:
            writer.add_image(f"attention {number}", sample.attention, step, dataformats="HW")
    writer.flush()
