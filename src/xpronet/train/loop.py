"""The training loop, to be read top to bottom."""

import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import torch

from xpronet.data.batches import Batch, BatchSettings, StudyDataset, load_batches
from xpronet.errors import InputError
from xpronet.labels.findings import NO_FINDING
from xpronet.model.checkpoint import Checkpoint
from xpronet.model.visibility import Trust, draw_trust, share_of_trust
from xpronet.progress import Tracker, silent
from xpronet.train.journal import Journal
from xpronet.train.losses import Losses, LossSettings, losses
from xpronet.train.optimiser import TrainSettings, clip_gradients, make_optimiser, set_rates
from xpronet.train.precision import forward_precision
from xpronet.train.state import Standing, resume, save_best, save_last
from xpronet.train.validate import Validation, validate


class Interrupted(KeyboardInterrupt):
    """Training was stopped from outside and can be resumed."""


def fit(
    run: Path,
    checkpoint: Checkpoint,
    train_set: StudyDataset,
    val_set: StudyDataset,
    *,
    settings: TrainSettings,
    loss_settings: LossSettings,
    batch_settings: BatchSettings,
    device: torch.device,
    score_reports: Callable[[Checkpoint], float] | None = None,
    resumed: bool = False,
    track: Tracker = silent,
) -> Standing:
    """Train a network and keep its last and best state in the run folder.

    Args:
        run: folder for journal and checkpoints.
        checkpoint: the network to train, with what is saved beside it.
        train_set: studies to learn from.
        val_set: studies to choose the best epoch and the thresholds on.
        settings: epochs, rates, schedule, precision, seed.
        loss_settings: weights of the loss terms.
        batch_settings: studies in a batch.
        device: where to compute.
        score_reports: writes reports about the validation studies and scores them, where `best_by` asks for that;
            the higher, the better.
        resumed: go on from the run's last checkpoint.
        track: shows how far each epoch is.

    Raises:
        InputError: the run cannot be resumed, or the loss is no number any more.
        Interrupted: a signal asked to stop; the last checkpoint holds everything up to then.
    """
    assert settings.best_by_reports == (score_reports is not None)
    network = checkpoint.network.to(device)
    if device.type == "cpu" or settings.precision == "bf16":
        network.backbone.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = make_optimiser(network, settings)
    standing = resume(run, checkpoint, optimiser) if resumed else Standing()
    journal = Journal(run, step=standing.step)
    steps_per_epoch = math.ceil(len(train_set) / batch_settings.size)
    padding = checkpoint.vocabulary.padding

    with _interrupts() as asked:
        for epoch in range(standing.step // steps_per_epoch, settings.epochs):
            # Asked before an epoch, not after it: a run that is resumed after it stopped early stays as it is.
            if settings.patience and epoch - standing.best_epoch >= settings.patience:
                break
            network.train()
            if settings.freeze_backbone:
                network.backbone.eval()
            started = time.monotonic()
            done = standing.step - epoch * steps_per_epoch
            batches = load_batches(
                train_set, batch_settings, padding=padding, epoch=epoch, seed=settings.seed, start=done
            )
            seen: list[Losses] = []
            for batch in track(batches, f"epoch {epoch + 1}/{settings.epochs}", steps_per_epoch - done):
                set_rates(optimiser, settings, step=standing.step, steps_per_epoch=steps_per_epoch)
                torch.manual_seed(settings.seed * 1_000_003 + standing.step)
                share = share_of_trust(
                    settings.predicted_labels, step=standing.step, steps=settings.epochs * steps_per_epoch
                )
                seen.append(_step(checkpoint, batch.to(device), optimiser, settings, loss_settings, share))
                standing.step += 1
                if asked:
                    save_last(run, checkpoint, optimiser, standing)
                    raise Interrupted(f"stopped at step {standing.step}; go on with --resume")
            validation = validate(
                network, load_batches(val_set, batch_settings, padding=padding), precision=settings.precision
            )
            _adopt_thresholds(checkpoint, validation)
            score = _score(validation, settings) if score_reports is None else score_reports(checkpoint)
            better = _is_better(score, standing, settings)
            if better:
                standing.best_score, standing.best_epoch = score, epoch + 1
                save_best(run, checkpoint, standing)
            save_last(run, checkpoint, optimiser, standing)
            journal.write(
                "epoch",
                step=standing.step,
                epoch=epoch + 1,
                train={name: _mean(seen, name) for name in Losses._fields},
                val={
                    "word_loss": validation.word_loss,
                    "findings_f1": validation.findings_f1,
                    settings.best_by: score,
                },
                best=better,
                learning_rate=optimiser.param_groups[0]["lr"],
                seconds=round(time.monotonic() - started, 2),
            )
            if asked:
                raise Interrupted(f"stopped after epoch {epoch + 1}; go on with --resume")
    return standing


def _step(
    checkpoint: Checkpoint,
    batch: Batch,
    optimiser: torch.optim.Optimizer,
    settings: TrainSettings,
    loss_settings: LossSettings,
    trusted_share: float,
) -> Losses:
    """Learn from one batch, a share of it with predicted findings; return its loss terms, detached."""
    network = checkpoint.network
    trusting = settings.predicted_labels > 0 and network.findings_head is not None
    trust = _draw_trust(checkpoint, batch, trusted_share) if trusting else None
    with forward_precision(batch.images.device, settings.precision):
        outputs = network(batch.images, batch.view_mask, batch.words[:, :-1], batch.findings, trust=trust)
        terms = losses(outputs, batch.words[:, 1:], batch.word_mask[:, 1:], batch.findings, loss_settings)
    if not torch.isfinite(terms.total):
        studies = ", ".join(batch.ids[:3])
        raise InputError(
            f"the loss is {terms.total.item()} at a batch with {studies}; lower train.learning_rate or set "
            "train.clip_norm"
        )
    optimiser.zero_grad()
    torch.autograd.backward(terms.total)
    clip_gradients((parameter for group in optimiser.param_groups for parameter in group["params"]), settings)
    optimiser.step()
    return Losses(*(term.detach() for term in terms))


def _draw_trust(checkpoint: Checkpoint, batch: Batch, share: float) -> Trust:
    names = checkpoint.findings
    thresholds = torch.tensor([checkpoint.thresholds[name] for name in names], device=batch.images.device)
    return draw_trust(len(batch.ids), share, thresholds, names.index(NO_FINDING))


def _score(validation: Validation, settings: TrainSettings) -> float:
    if settings.best_by == "word_loss":
        return validation.word_loss
    if validation.findings_f1 is None:
        raise InputError("train.best_by = 'findings_f1': the model has no findings head; choose word_loss")
    return validation.findings_f1


def _is_better(score: float, standing: Standing, settings: TrainSettings) -> bool:
    if standing.best_score is None:
        return True
    return score < standing.best_score if settings.best_by == "word_loss" else score > standing.best_score


def _adopt_thresholds(checkpoint: Checkpoint, validation: Validation) -> None:
    if validation.thresholds is not None:
        checkpoint.thresholds = dict(zip(checkpoint.findings, map(float, validation.thresholds), strict=True))


def _mean(seen: list[Losses], name: str) -> float:
    return float(torch.stack([getattr(terms, name) for terms in seen]).mean()) if seen else math.nan


@contextmanager
def _interrupts() -> Iterator[list[int]]:
    """Collect Ctrl-C and SIGTERM in a list instead of breaking off in the middle of a step."""
    asked: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
