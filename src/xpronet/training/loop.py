"""The training loop, to be read top to bottom."""

import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from xpronet.data.dataset import Batch, BatchSettings, StudyDataset
from xpronet.data.loader import EpochLoader, load_batches, worker_failures
from xpronet.errors import InputError
from xpronet.model.checkpoint import Checkpoint
from xpronet.model.fast_cpu import speed_up
from xpronet.model.precision import make_scaler
from xpronet.model.report_model import ReportModel
from xpronet.progress import Noted, Tracker, silent
from xpronet.training.checkpoints import TrainerState, resume, save_best, save_last, sweep
from xpronet.training.distributed import DistributedContext
from xpronet.training.losses import LossSettings
from xpronet.training.optimiser import TrainSettings, count_steps, make_optimiser, set_rates
from xpronet.training.run_folder import Journal
from xpronet.training.step import StepResult, grouped, take_step
from xpronet.training.sync_batch_norm import share_batch_norm
from xpronet.training.tensorboard import Sample, TensorBoardLog
from xpronet.training.validation import Validation, validate


class Interrupted(KeyboardInterrupt):
    """Training was stopped from outside and can be resumed."""


@contextmanager
def interrupts(*, alone: bool = True) -> Iterator[list[int]]:
    """Collect Ctrl-C and SIGTERM in a list instead of breaking off in the middle of a step; a second one breaks off.

    Where the process is not alone, a second one does nothing: torchrun hands one Ctrl-C on more than once, and ends
    by force what does not end in half a minute.
    """
    asked: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        if asked and alone:
            raise KeyboardInterrupt
        asked.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Pace:
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
        """Return the time since the clock was started."""
        return time.monotonic() - self._started

    @property
    def studies_per_second(self) -> float:
        """Return the throughput so far."""
        return self.studies / max(self.seconds, 1e-9)

    def left(self, steps: int) -> float:
        """Return the seconds that further steps will take, what came between the steps so far counted in."""
        return steps * self.seconds / max(self.steps, 1)


def spelled(seconds: float) -> str:
    """Return a duration in the two units that matter: 2 d 3 h, 3 h 20 min, 5 min 10 s, 8 s."""
    whole = round(seconds)
    for unit, size, smaller, part in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // part} {smaller}"
    return f"{whole} s"


__all__ = ["Interrupted", "fit"]


def fit(
    run: Path,
    checkpoint: Checkpoint,
    train_set: StudyDataset,
    val_set: StudyDataset,
    *,
    settings: TrainSettings,
    loss_settings: LossSettings,
    batch_settings: BatchSettings,
    processes: DistributedContext,
    score_reports: Callable[[Checkpoint], float] | None = None,
    write_samples: Callable[[Checkpoint], Sequence[Sample]] | None = None,
    resumed: bool = False,
    track: Tracker = silent,
) -> TrainerState:
    """Train a network and keep its last and best state in the run folder.

    Args:
        run: folder for journal and checkpoints.
        checkpoint: the network to train, with what is saved beside it.
        train_set: studies to learn from.
        val_set: studies to choose the best epoch and the thresholds on.
        settings: epochs, rates, schedule, precision, seed.
        loss_settings: weights of the loss terms.
        batch_settings: studies in a batch.
        processes: who takes part, and where this one computes; only the main process writes.
        score_reports: writes reports about the validation studies and scores them, where `best_by` asks for that;
            the higher, the better.
        write_samples: writes a few reports about validation studies, for TensorBoard.
        resumed: go on from the run's last checkpoint.
        track: shows how far each epoch is.

    Raises:
        InputError: the run cannot be resumed, or the loss is no number any more.
        Interrupted: a signal asked to stop; the last checkpoint holds everything up to then.
        ProcessLostError: another process has ended; the run goes on from the last checkpoint.
    """
    assert settings.best_by_reports == (score_reports is not None)
    device = processes.device
    network = checkpoint.network.to(device)
    speed_up(network)
    if device.type == "cpu" or settings.precision != "fp32":
        network.backbone.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if settings.compile:
        network.backbone.compile()
    optimiser = make_optimiser(network, settings)
    scaler = make_scaler(device, settings.precision)
    standing = resume(run, checkpoint, optimiser) if resumed else TrainerState()
    if standing.scaler and scaler.is_enabled():
        scaler.load_state_dict(standing.scaler)
    if processes.count > 1:
        if settings.share_batch_norm:
            share_batch_norm(network.backbone, processes)
        _agree(network, standing, run, processes)
    if processes.is_main:
        sweep(run, standing.step)
    training = _Training(
        run=run,
        checkpoint=checkpoint,
        optimiser=optimiser,
        scaler=scaler,
        standing=standing,
        journal=Journal(run, step=standing.step) if processes.is_main else None,
        processes=processes,
        board=TensorBoardLog(run, step=standing.step, wanted=settings.tensorboard and processes.is_main),
        settings=settings,
        loss_settings=loss_settings,
        steps_per_epoch=count_steps(len(train_set), batch_size=batch_settings.size, accumulate=settings.accumulate),
    )
    padding = checkpoint.vocabulary.padding
    loader = EpochLoader(train_set, batch_settings, padding=padding, seed=settings.seed, shard=processes.part)

    with interrupts(alone=processes.count == 1) as asked, worker_failures():
        for epoch in range(standing.step // training.steps_per_epoch, settings.epochs):
            # Asked before an epoch, not after it: a run that is resumed after it stopped early stays as it is.
            if stopped_early(standing, settings, epoch):
                break
            started = time.monotonic()
            start = (standing.step - epoch * training.steps_per_epoch) * settings.accumulate
            training.learn(epoch, loader.epoch(epoch, start=start), asked=asked, track=track)
            val_batches = load_batches(val_set, batch_settings, padding=padding, every_nth=processes.part)
            validation = validate(network, val_batches, precision=settings.precision, processes=processes)
            _adopt_thresholds(checkpoint, validation)
            score = _score(validation, settings) if score_reports is None else score_reports(checkpoint)
            training.close(epoch, validation, score, seconds=time.monotonic() - started)
            if training.board.wanted and write_samples is not None:
                training.board.samples(write_samples(checkpoint), step=standing.step)
            if processes.any(bool(asked)):
                raise Interrupted(f"stopped after epoch {epoch + 1}; go on with --resume")
    return standing


def _agree(network: ReportModel, standing: TrainerState, run: Path, processes: DistributedContext) -> None:
    """Make sure that all processes begin with the same.

    Raises:
        InputError: they found the run at different steps.
    """
    steps = processes.gather_values(standing.step)
    if len(set(steps)) > 1:
        raise InputError(f"{run}: processes find it at steps {steps}; put it where all machines see the same folder")
    processes.copy_from_main([*network.parameters(), *network.buffers()])


def stopped_early(standing: TrainerState, settings: TrainSettings, epoch: int) -> bool:
    """Say whether training ends before an epoch, counted from 0, because it got no better for too long."""
    return bool(settings.patience) and epoch - standing.best_epoch >= settings.patience


def is_finished(standing: TrainerState, settings: TrainSettings, steps_per_epoch: int) -> bool:
    """Say whether nothing is left to train."""
    epoch, within = divmod(standing.step, steps_per_epoch)
    return epoch >= settings.epochs or (not within and stopped_early(standing, settings, epoch))


@dataclass(kw_only=True)
class _Training:
    """What an epoch works on."""

    run: Path
    checkpoint: Checkpoint
    optimiser: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    standing: TrainerState
    journal: Journal | None
    processes: DistributedContext
    board: TensorBoardLog
    settings: TrainSettings
    loss_settings: LossSettings
    steps_per_epoch: int

    def __post_init__(self) -> None:
        self.pace = Pace()

    def learn(self, epoch: int, batches: Iterable[Batch], *, asked: list[int], track: Tracker) -> None:
        """Take the steps of an epoch that are left."""
        network, settings, standing = self.checkpoint.network, self.settings, self.standing
        network.train()
        if settings.freeze_backbone:
            network.backbone.eval()
        end = (epoch + 1) * self.steps_per_epoch
        groups = Noted(grouped(batches, settings.accumulate))
        for group in track(groups, f"epoch {epoch + 1}/{settings.epochs}", end - standing.step):
            set_rates(self.optimiser, settings, step=standing.step, steps_per_epoch=self.steps_per_epoch)
            result = take_step(
                self.checkpoint,
                [batch.to(self.processes.device) for batch in group],
                self.optimiser,
                self.scaler,
                step=standing.step,
                settings=settings,
                loss_settings=self.loss_settings,
                processes=self.processes,
            )
            self._count(result)
            groups.note = self._note(result)
            # The epoch's last step is saved after the validation that belongs to it.
            stop = self.processes.any(bool(asked))
            if standing.step < end and (stop or (settings.save_steps and not standing.step % settings.save_steps)):
                self._save()
                if stop:
                    raise Interrupted(f"stopped at step {standing.step}; go on with --resume")

    def close(self, epoch: int, validation: Validation, score: float, *, seconds: float) -> None:
        """Keep an epoch: the best checkpoint, the journal's line, the last checkpoint, in this order.

        Whatever a kill leaves undone is done again from the last checkpoint, which comes last.
        """
        standing, settings = self.standing, self.settings
        better = _is_better(score, standing, settings)
        means = {name: total / standing.counted for name, total in standing.sums.items()}
        standing.sums, standing.counted = {}, 0
        if better:
            standing.best_score, standing.best_epoch = score, epoch + 1
            if self.processes.is_main:
                save_best(self.run, self.checkpoint, standing)
        val: dict[str, float | None] = {
            "word_loss": validation.word_loss,
            "findings_f1": validation.findings_f1,
            settings.best_by: score,
        }
        self.board.numbers("train epoch", means, step=standing.step)
        self.board.numbers("val", val, step=standing.step)
        self._write(
            "epoch",
            step=standing.step,
            epoch=epoch + 1,
            train=means,
            val=val,
            best=better,
            learning_rate=self.optimiser.param_groups[0]["lr"],
            seconds=round(seconds, 2),
        )
        self._save()

    def _count(self, result: StepResult) -> None:
        """Add a step to where the run stands, and to the journal where it is time; end the run on its policy."""
        standing, settings = self.standing, self.settings
        standing.step += 1
        self.pace.add(len(result.studies))
        if result.finite:
            standing.skipped = 0
            standing.counted += 1
            for name, value in result.terms.items():
                standing.sums[name] = standing.sums.get(name, 0.0) + value
        else:
            self._leave_out(result)
        if self.scaler.is_enabled():
            standing.scaler = self.scaler.state_dict()
        if settings.log_steps and not standing.step % settings.log_steps and result.finite:
            line = self._line(result)
            self._write("step", step=standing.step, **line)
            self.board.numbers("train", line["train"] | line, step=standing.step)

    def _leave_out(self, result: StepResult) -> None:
        """Tell of a step that was no number; raise where the settings want an end."""
        standing, settings = self.standing, self.settings
        standing.skipped += 1
        overflow = self.scaler.is_enabled() and result.has_loss  # the scaler looks for its scale
        told = {"loss": str(result.terms["total"]), "gradient_norm": str(result.gradient_norm)}
        self._write("not finite", step=standing.step, studies=list(result.studies), **told)
        some = ", ".join(result.studies[:3])
        what = "the gradient is no number" if result.has_loss else f"the loss is {told['loss']}"
        if settings.on_nan == "stop" and not overflow:
            raise InputError(
                f"{what} at a batch with {some}; lower train.learning_rate or set train.clip_norm, or leave such "
                "steps out with train.on_nan = 'skip'"
            )
        if standing.skipped >= settings.most_skipped:
            raise InputError(f"{what} for {standing.skipped} steps in a row, the last with {some}; lower the rates")

    def _line(self, result: StepResult) -> dict[str, Any]:
        rates = [group["lr"] for group in self.optimiser.param_groups]
        return {
            "epoch": (self.standing.step - 1) // self.steps_per_epoch + 1,
            "train": result.terms,
            "gradient_norm": result.gradient_norm,
            **{f"{name}learning_rate": rate for name, rate in zip(("", "backbone_"), rates, strict=False)},
            "studies_per_second": round(self.pace.studies_per_second, 2),
            "seconds_left": round(self.pace.left(self.settings.epochs * self.steps_per_epoch - self.standing.step)),
        }

    def _note(self, result: StepResult) -> str:
        line = self._line(result)
        parts = {name.removesuffix("_contrast"): value for name, value in result.terms.items() if name != "total"}
        return (
            f"{line['studies_per_second']:.1f} studies/s, {spelled(float(line['seconds_left']))} left, "
            f"loss {result.terms['total']:.3f} ({', '.join(f'{name} {value:.2f}' for name, value in parts.items())}), "
            f"rate {line['learning_rate']:.1e}"
        )

    def _write(self, event: str, *, step: int, **values: Any) -> None:
        if self.journal is not None:
            self.journal.write(event, step=step, **values)

    def _save(self) -> None:
        if self.journal is None:
            return
        self.journal.sync()
        save_last(self.run, self.checkpoint, self.optimiser, self.standing, keep=self.settings.keep)


def _score(validation: Validation, settings: TrainSettings) -> float:
    if settings.best_by == "word_loss":
        return validation.word_loss
    if validation.findings_f1 is None:
        raise InputError("train.best_by = 'findings_f1': the model has no findings head; choose word_loss")
    return validation.findings_f1


def _is_better(score: float, standing: TrainerState, settings: TrainSettings) -> bool:
    if standing.best_score is None:
        return True
    return score < standing.best_score if settings.best_by == "word_loss" else score > standing.best_score


def _adopt_thresholds(checkpoint: Checkpoint, validation: Validation) -> None:
    if validation.thresholds is not None:
        checkpoint.thresholds = dict(zip(checkpoint.findings, map(float, validation.thresholds), strict=True))
    if validation.calibration is not None:
        checkpoint.network.calibrate(torch.from_numpy(validation.calibration))
