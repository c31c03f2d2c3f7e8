"""TensorBoard beside the journal: the same numbers as curves, and after each epoch a few reports with attention."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from xpronet.errors import InputError

BOARD = "tensorboard"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What the model wrote about a validation study."""

    text: str
    """Markdown."""
    picture: UInt8[np.ndarray, "height width"] | None = None
    """The study's first view with what the words looked at laid over it."""


def load_tensorboard() -> Any:
    """Return what writes TensorBoard's event files; called before the long work, too, so that its absence is told then.

    Raises:
        InputError: TensorBoard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise InputError("train.tensorboard needs TensorBoard: pip install 'xpronet[train]'") from None
    return SummaryWriter


class TensorBoardLog:
    """Writes TensorBoard's event files into the run folder; without being asked to, does nothing."""

    def __init__(self, run: Path, *, step: int, wanted: bool) -> None:
        """Open the event files; what earlier ones say of steps after `step` is dropped, since they are taken again.

        Raises:
            InputError: TensorBoard is not installed.
        """
        self._writer: Any = load_tensorboard()(str(run / BOARD), purge_step=step + 1) if wanted else None

    @property
    def wanted(self) -> bool:
        """Say whether anything is written."""
        return self._writer is not None

    def numbers(self, prefix: str, values: Mapping[str, Any], *, step: int) -> None:
        """Add a point to the curve of each number."""
        if self._writer is None:
            return
        for name, value in values.items():
            if isinstance(value, int | float):
                self._writer.add_scalar(f"{prefix}/{name}", value, step)
        self._writer.flush()

    def samples(self, samples: Sequence[Sample], *, step: int) -> None:
        """Add reports as text, and their images."""
        if self._writer is None:
            return
        for number, sample in enumerate(samples, 1):
            self._writer.add_text(f"report {number}", sample.text, step)
            if sample.picture is not None:
                self._writer.add_image(f"attention {number}", sample.picture, step, dataformats="HW")
        self._writer.flush()

    def close(self) -> None:
        """Write out what is left."""
        if self._writer is not None:
            self._writer.close()
