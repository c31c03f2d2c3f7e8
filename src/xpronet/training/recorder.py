"""What a run reports while it trains: journal, TensorBoard, throughput and the line under the progress bar."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xpronet.progress import format_duration
from xpronet.training.optimiser import TrainSettings
from xpronet.training.run_folder import Journal
from xpronet.training.step import StepResult
from xpronet.training.tensorboard import Sample, add_samples, add_scalars, open_tensorboard

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class Throughput:
    """Counts steps and studies since it was made."""

    def __init__(self) -> None:
        """Start the clock."""
        self._started = time.monotonic()
        self.steps = 0
        self.studies = 0

    def add(self, studies: int) -> None:
        """Count one step."""
        self.steps += 1
        self.studies += studies

    @property
    def seconds(self) -> float:
        """Return the seconds since the clock was started."""
        return time.monotonic() - self._started

    @property
    def studies_per_second(self) -> float:
        """Return the studies per second so far."""
        return self.studies / max(self.seconds, 1e-9)

    def seconds_left(self, steps: int) -> float:
        """Return the seconds that further steps will take, at the pace so far, validation included."""
        return steps * self.seconds / max(self.steps, 1)


class Recorder:
    """Writes a run's journal and TensorBoard's event files; in all processes but the main one it writes nothing."""

    def __init__(
        self, run: Path, settings: TrainSettings, *, step: int, total_steps: int, steps_per_epoch: int, is_main: bool
    ) -> None:
        """Open the files; what they hold of steps after `step` is dropped, since those are taken again.

        Args:
            run: the run folder.
            settings: how often a step is logged, and whether TensorBoard's files are written.
            step: the step to continue from.
            total_steps: of the whole training.
            steps_per_epoch: of one epoch.
            is_main: whether this process writes.

        Raises:
            InputError: TensorBoard is wanted and not installed.
        """
        self._settings = settings
        self._total_steps = total_steps
        self._steps_per_epoch = steps_per_epoch
        self._journal = Journal(run, step=step) if is_main else None
        self._tensorboard: SummaryWriter | None = None
        if is_main and settings.tensorboard:
            self._tensorboard = open_tensorboard(run, step=step)
        self._throughput = Throughput()

    @property
    def wants_samples(self) -> bool:
        """Return whether sample reports are shown after each epoch."""
        return self._tensorboard is not None

    def step(self, result: StepResult, *, step: int, rates: Sequence[float]) -> str:
        """Record a step, where it is to be logged; return the line for the progress bar.

        Args:
            result: of the step.
            step: steps taken, this one included.
            rates: learning rates of the optimiser's groups.
        """
        self._throughput.add(len(result.studies))
        line: dict[str, Any] = {
            "epoch": (step - 1) // self._steps_per_epoch + 1,
            "train": result.terms,
            "gradient_norm": result.gradient_norm,
            **{f"{name}learning_rate": rate for name, rate in zip(("", "backbone_"), rates, strict=False)},
            "studies_per_second": round(self._throughput.studies_per_second, 2),
            "seconds_left": round(self._throughput.seconds_left(self._total_steps - step)),
        }
        if self._settings.log_steps and not step % self._settings.log_steps and result.finite:
            self._write("step", step=step, **line)
            if self._tensorboard is not None:
                add_scalars(self._tensorboard, "train", line["train"] | line, step=step)
        return _progress_note(line)

    def not_finite(self, result: StepResult, *, step: int) -> None:
        """Record a step whose loss or gradient is not finite, with its studies."""
        values = {"loss": str(result.terms["total"]), "gradient_norm": str(result.gradient_norm)}
        self._write("not finite", step=step, studies=list(result.studies), **values)

    def epoch(
        self, epoch: int, *, step: int, train: dict[str, float], val: dict[str, float | None], **values: Any
    ) -> None:
        """Record an epoch.

        Args:
            epoch: epochs done, this one included.
            step: steps taken.
            train: mean of each loss term.
            val: validation scores.
            values: further values for the journal.
        """
        if self._tensorboard is not None:
            add_scalars(self._tensorboard, "train epoch", train, step=step)
            add_scalars(self._tensorboard, "val", val, step=step)
        self._write("epoch", step=step, epoch=epoch, train=train, val=val, **values)

    def samples(self, samples: Sequence[Sample], *, step: int) -> None:
        """Record sample reports."""
        if self._tensorboard is not None:
            add_samples(self._tensorboard, samples, step=step)

    def sync(self) -> None:
        """Sync the journal to disk."""
        if self._journal is not None:
            self._journal.sync()

    def _write(self, event: str, *, step: int, **values: Any) -> None:
        if self._journal is not None:
            self._journal.write(event, step=step, **values)


def _progress_note(line: dict[str, Any]) -> str:
    terms = {name.removesuffix("_contrast"): value for name, value in line["train"].items() if name != "total"}
    return (
        f"{line['studies_per_second']:.1f} studies/s, {format_duration(float(line['seconds_left']))} left, "
        f"loss {line['train']['total']:.3f} ({', '.join(f'{name} {value:.2f}' for name, value in terms.items())}), "
        f"learning rate {line['learning_rate']:.1e}"
    )
