"""The training loop: epochs of steps, each followed by validation and a checkpoint."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from xpronet.data.dataset import Batch, BatchSettings, StudyDataset
from xpronet.data.loader import EpochLoader, load_batches, worker_failures
from xpronet.errors import InputError
from xpronet.model.checkpoint import Checkpoint
from xpronet.model.fast_cpu import speed_up
from xpronet.precision import make_scaler
from xpronet.progress import Noted, Tracker, format_duration, silent
from xpronet.training.checkpoints import VIEWS, TrainerState, clean_up, resume, save_best, save_last
from xpronet.training.distributed import DistributedContext
from xpronet.training.interrupts import Interrupted, collect_interrupts
from xpronet.training.losses import LossSettings
from xpronet.training.optimiser import MAX_SKIPPED_STEPS, TrainSettings, count_steps, make_optimiser, set_rates
from xpronet.training.recorder import Recorder
from xpronet.training.reward_step import RewardObjective
from xpronet.training.step import StepResult, grouped, take_step
from xpronet.training.sync_batch_norm import sync_batch_norm
from xpronet.training.tensorboard import Sample
from xpronet.training.validation import Validation, validate


def fit(
    run: Path,
    checkpoint: Checkpoint,
    train_set: StudyDataset,
    val_set: StudyDataset,
    *,
    settings: TrainSettings,
    loss_settings: LossSettings,
    batch_settings: BatchSettings,
    context: DistributedContext,
    score_reports: Callable[[Checkpoint], Mapping[str, float]] | None = None,
    generate_samples: Callable[[Checkpoint], Sequence[Sample]] | None = None,
    objective: RewardObjective | None = None,
    resumed: bool = False,
    track: Tracker = silent,
    notify: Callable[[str], object] = lambda _: None,
) -> TrainerState:
    """Train a network, and save its last and best checkpoint in the run folder.

    Args:
        run: folder for journal and checkpoints.
        checkpoint: the network to train, with what is saved beside it.
        train_set: studies to train on.
        val_set: studies to choose the best epoch and the thresholds on.
        settings: epochs, rates, schedule, precision, seed.
        loss_settings: weights of the loss terms.
        batch_settings: studies per batch.
        context: the processes that train together; only the main one writes.
        score_reports: generates and scores reports about the validation studies, where `best_by` wants that, and names
            the scores; the one named `best_by` chooses, and higher is better.
        generate_samples: generates a few reports about validation studies, for TensorBoard.
        objective: of a stage with reward, around the checkpoint's network; by default the loss of the first stage.
        resumed: continue from the run's last checkpoint.
        track: shows the progress of each epoch.
        notify: takes a line with the validation scores after each epoch, in the main process.

    Raises:
        InputError: the run cannot be resumed, or the loss is not finite.
        Interrupted: a signal asked to stop; the last checkpoint holds everything up to then.
        ProcessLostError: another process has ended; the run can be resumed from the last checkpoint.
    """
    assert settings.best_by_reports == (score_reports is not None)
    device = context.device
    network = checkpoint.network.to(device)
    speed_up(network)
    if device.type == "cpu" or settings.precision != "fp32":
        network.backbone.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if settings.compile:
        network.backbone.compile()
    checkpoint.training[VIEWS] = train_set.view_statistics() | {"view_dropout": network.settings.view_dropout}
    optimiser = make_optimiser(network, settings)
    scaler = make_scaler(device, settings.precision)
    state = resume(run, checkpoint, optimiser) if resumed else TrainerState()
    if state.scaler and scaler.is_enabled():
        scaler.load_state_dict(state.scaler)
    if context.count > 1:
        _check_same_step(state, run, context)
        sync_batch_norm(network.backbone, context)
    if context.is_main:
        clean_up(run, state.step)
    steps_per_epoch = count_steps(len(train_set), batch_size=batch_settings.size, accumulate=settings.accumulate)
    trainer = _Trainer(
        run=run,
        checkpoint=checkpoint,
        network=context.parallelize(network if objective is None else objective.to(device)),
        optimiser=optimiser,
        scaler=scaler,
        state=state,
        context=context,
        recorder=Recorder(
            run,
            settings,
            step=state.step,
            total_steps=settings.epochs * steps_per_epoch,
            steps_per_epoch=steps_per_epoch,
            is_main=context.is_main,
        ),
        settings=settings,
        loss_settings=loss_settings,
        steps_per_epoch=steps_per_epoch,
    )
    padding = checkpoint.vocabulary.padding
    loader = EpochLoader(train_set, batch_settings, padding=padding, seed=settings.seed, shard=context.shard)

    with collect_interrupts(alone=context.count == 1) as interrupts, worker_failures():
        for epoch in range(state.step // steps_per_epoch, settings.epochs):
            # Checked before an epoch, not after it: a run that ended early and is resumed stays as it is.
            if ended_early(state, settings, epoch):
                break
            started = time.monotonic()
            start = (state.step - epoch * steps_per_epoch) * settings.accumulate
            if objective is not None:
                objective.set_thresholds(checkpoint.thresholds)
            trainer.train_epoch(epoch, loader.epoch(epoch, start=start), interrupts=interrupts, track=track)
            val_batches = load_batches(val_set, batch_settings, padding=padding, every_nth=context.shard)
            validation = validate(network, val_batches, precision=settings.precision, context=context)
            _adopt_thresholds(checkpoint, validation)
            scores: Mapping[str, float] = (
                {settings.best_by: _score(validation, settings)} if score_reports is None else score_reports(checkpoint)
            )
            line = trainer.end_epoch(epoch, validation, scores, seconds=time.monotonic() - started)
            if context.is_main:
                notify(line)
            if trainer.recorder.wants_samples and generate_samples is not None:
                trainer.recorder.samples(generate_samples(checkpoint), step=state.step)
            if context.any(bool(interrupts)):
                raise Interrupted(f"stopped after epoch {epoch + 1}; continue with --resume")
    return state


def ended_early(state: TrainerState, settings: TrainSettings, epoch: int) -> bool:
    """Return whether training ends before an epoch, counted from 0, for want of a better score (`patience`)."""
    return bool(settings.patience) and epoch - state.best_epoch >= settings.patience


def is_finished(state: TrainerState, settings: TrainSettings, steps_per_epoch: int) -> bool:
    """Return whether nothing is left to train."""
    epoch, within = divmod(state.step, steps_per_epoch)
    return epoch >= settings.epochs or (not within and ended_early(state, settings, epoch))


@dataclass(kw_only=True)
class _Trainer:
    """What the epochs work on."""

    run: Path
    checkpoint: Checkpoint
    network: nn.Module
    optimiser: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    state: TrainerState
    context: DistributedContext
    recorder: Recorder
    settings: TrainSettings
    loss_settings: LossSettings
    steps_per_epoch: int

    def train_epoch(self, epoch: int, batches: Iterable[Batch], *, interrupts: list[int], track: Tracker) -> None:
        """Take the remaining steps of an epoch."""
        settings, state = self.settings, self.state
        self.network.train()
        if settings.freeze_backbone:
            self.checkpoint.network.backbone.eval()
        end = (epoch + 1) * self.steps_per_epoch
        groups = Noted(grouped(batches, settings.accumulate))
        for group in track(groups, f"epoch {epoch + 1}/{settings.epochs}", end - state.step):
            set_rates(self.optimiser, settings, step=state.step, steps_per_epoch=self.steps_per_epoch)
            result = take_step(
                self.network,
                [batch.to(self.context.device) for batch in group],
                self.optimiser,
                self.scaler,
                step=state.step,
                settings=settings,
                loss_settings=self.loss_settings,
                context=self.context,
            )
            self._add(result)
            rates = [group["lr"] for group in self.optimiser.param_groups]
            groups.note = self.recorder.step(result, step=state.step, rates=rates)
            # The last step of an epoch is saved after the validation that belongs to it.
            stop = self.context.any(bool(interrupts))
            if state.step < end and (stop or (settings.save_steps and not state.step % settings.save_steps)):
                self._save()
                if stop:
                    raise Interrupted(f"stopped at step {state.step}; continue with --resume")

    def end_epoch(self, epoch: int, validation: Validation, scores: Mapping[str, float], *, seconds: float) -> str:
        """Save and record an epoch: the best checkpoint, the journal's line, the last checkpoint, in this order.

        Returns the epoch's validation scores in a line.

        Whatever a kill leaves undone is repeated from the last checkpoint, which comes last.
        """
        state, settings = self.state, self.settings
        score = scores[settings.best_by]
        better = _is_better(score, state, settings)
        means = {name: total / state.counted for name, total in state.sums.items()}
        state.sums, state.counted = {}, 0
        if better:
            state.best_score, state.best_epoch = score, epoch + 1
            if self.context.is_main:
                save_best(self.run, self.checkpoint, state)
        val = {"word_loss": validation.word_loss, "findings_f1": validation.findings_f1, **scores}
        self.recorder.epoch(
            epoch + 1,
            step=state.step,
            train=means,
            val=val,
            best=better,
            learning_rate=self.optimiser.param_groups[0]["lr"],
            seconds=round(seconds, 2),
        )
        self._save()
        told = ", ".join(f"{name} {value:.4f}" for name, value in val.items() if value is not None)
        best = f"the best {settings.best_by} so far" if better else f"the best stays that of epoch {state.best_epoch}"
        return f"epoch {epoch + 1}/{settings.epochs}, validation: {told}; {best}; {format_duration(seconds)}"

    def _add(self, result: StepResult) -> None:
        """Add a step to the state; raise where the step is not finite and the settings want the run to end."""
        state = self.state
        state.step += 1
        if result.finite:
            state.skipped = 0
            state.counted += 1
            for name, value in result.terms.items():
                state.sums[name] = state.sums.get(name, 0.0) + value
        else:
            state.skipped += 1
            self.recorder.not_finite(result, step=state.step)
            self._check_skipped(result)
        if self.scaler.is_enabled():
            state.scaler = self.scaler.state_dict()

    def _check_skipped(self, result: StepResult) -> None:
        studies = ", ".join(result.studies[:3])
        what = "the gradient is not finite" if result.loss_is_finite else f"the loss is {result.terms['total']}"
        # Gradients of fp16 overflow while the scaler looks for its scale.
        overflow = self.scaler.is_enabled() and result.loss_is_finite
        if self.settings.on_nan == "stop" and not overflow:
            raise InputError(
                f"{what} for a batch with {studies}; lower train.learning_rate or set train.clip_norm, or skip such "
                "steps with train.on_nan = 'skip'"
            )
        if self.state.skipped >= MAX_SKIPPED_STEPS:
            raise InputError(
                f"{what} for {self.state.skipped} steps in a row, the last with {studies}; lower train.learning_rate "
                "and train.backbone_learning_rate"
            )

    def _save(self) -> None:
        if self.context.is_main:
            self.recorder.sync()
            save_last(self.run, self.checkpoint, self.optimiser, self.state, keep=self.settings.keep)


def _check_same_step(state: TrainerState, run: Path, context: DistributedContext) -> None:
    """Make sure that all processes continue from the same step.

    Raises:
        InputError: they found the run at different steps.
    """
    steps = context.gather_values(state.step)
    if len(set(steps)) > 1:
        raise InputError(f"{run}: processes find it at steps {steps}; put it where all machines see the same folder")


def _score(validation: Validation, settings: TrainSettings) -> float:
    if settings.best_by == "word_loss":
        return validation.word_loss
    if validation.thresholds is None:
        raise InputError("train.best_by = 'findings_f1': the model has no findings head; choose word_loss")
    if validation.findings_f1 is None:
        raise InputError("train.best_by = 'findings_f1': no validation study has an abnormality; choose word_loss")
    return validation.findings_f1


def _is_better(score: float, state: TrainerState, settings: TrainSettings) -> bool:
    if state.best_score is None:
        return True
    return score < state.best_score if settings.best_by == "word_loss" else score > state.best_score


def _adopt_thresholds(checkpoint: Checkpoint, validation: Validation) -> None:
    if validation.thresholds is not None:
        checkpoint.thresholds = dict(zip(checkpoint.findings, map(float, validation.thresholds), strict=True))
    if validation.calibration is not None:
        checkpoint.network.calibrate(torch.from_numpy(validation.calibration))
