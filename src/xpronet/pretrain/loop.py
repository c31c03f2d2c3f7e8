"""Training an image encoder on findings, to be read top to bottom.

Order and augmentation are drawn from the seed, the epoch and the study or film, dropout from the seed and the step: a
run that was stopped and goes on takes the same steps as one that never stopped.
"""

import copy
import hashlib
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from xpronet.encoders.build import build_image_encoder
from xpronet.encoders.resnet import ResNet
from xpronet.errors import InputError
from xpronet.labels.findings import FINDINGS
from xpronet.precision import forward_precision, settled_precision
from xpronet.pretrain.augment import augment, draws_of, whole
from xpronet.pretrain.classifier import FindingsClassifier, masked_loss, pool_views, positive_weights
from xpronet.pretrain.films import FilmSet
from xpronet.pretrain.scores import finding_scores, mean_auroc
from xpronet.pretrain.settings import FitSettings, PretrainRecipe
from xpronet.pretrain.state import BEST_FILE, LAST_FILE, PretrainState, load_state, save_state, write_tensors
from xpronet.progress import Noted, Tracker, format_duration, silent
from xpronet.training.interrupts import Interrupted, collect_interrupts
from xpronet.training.recorder import Throughput
from xpronet.training.run_folder import Journal

IMAGES_AT_A_TIME = 32
"""Images that the network sees at once when it is not trained."""


def fit_encoder(
    recipe: PretrainRecipe,
    run: Path,
    train: FilmSet,
    val: FilmSet,
    *,
    device: torch.device,
    resumed: bool = False,
    track: Tracker = silent,
) -> PretrainState:
    """Train backbone and findings; leave last.safetensors, best.safetensors and journal.jsonl in the run folder.

    Args:
        recipe: the experiment.
        run: folder that is there.
        train: studies to learn from.
        val: studies to choose the epoch by.
        device: where to compute.
        resumed: go on from last.safetensors, where it is.
        track: shows how far each epoch is.

    Raises:
        InputError: the weights do not fit, or the run began with another recipe or other films.
        Interrupted: a signal asked to stop; last.safetensors holds everything up to then.
    """
    training = _Training(recipe, run, train, val, device)
    if resumed and (run / LAST_FILE).is_file():
        training.resume()
    journal = Journal(run, step=training.state.step)
    settings, state = recipe.fit, training.state
    with collect_interrupts() as asked:
        for epoch in range(state.step // training.steps_per_epoch, settings.epochs):
            if stopped_early(state, settings, epoch):
                break
            started = time.monotonic()
            training.learn(epoch, asked=asked, track=track)
            logits = training.validate(track=track)
            scores = finding_scores(logits, val.targets)
            score = mean_auroc(scores) or mean_auroc(scores, fewest=1)
            if score is None:
                raise InputError("no finding has validation studies both with and without it; give a larger corpus")
            better = state.best_score is None or score > state.best_score
            loss, state.loss = state.loss / training.steps_per_epoch, 0.0
            state.seconds += time.monotonic() - started
            if better:
                state.best_score, state.best_epoch = score, epoch + 1
                state.scores = {one.finding: one.auroc for one in scores}
                training.keep_best()
            journal.write(
                "epoch",
                step=state.step,
                epoch=epoch + 1,
                train={"loss": loss},
                val={"auroc": score, **{one.finding: one.auroc for one in scores}},
                best=better,
                seconds=round(time.monotonic() - started, 1),
            )
            journal.sync()
            training.keep_last()
            if asked:
                raise Interrupted(f"stopped after epoch {epoch + 1}; continue with --resume")
    return state


def stopped_early(state: PretrainState, settings: FitSettings, epoch: int) -> bool:
    """Say whether training ends before an epoch, counted from 0, because it got no better for too long."""
    return bool(settings.patience) and state.best_score is not None and epoch - state.best_epoch >= settings.patience


def rate_factor(settings: FitSettings, *, step: int, steps: int) -> float:
    """Return the share of the peak rate at a step, counted from 0: a rise, then a cosine to nothing."""
    warm = max(1, round(settings.warm_up * steps))
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm + 1) / (steps - warm + 1)))


def predict(
    network: FindingsClassifier,
    films: FilmSet,
    settings: FitSettings,
    *,
    device: torch.device,
    precision: str,
    track: Tracker = silent,
) -> Float32[np.ndarray, "studies findings"]:
    """Return the logits of studies, from whole films as they are seen in use."""
    network.eval()
    starts = range(0, len(films.pixels), IMAGES_AT_A_TIME)
    found = []
    with torch.inference_mode(), forward_precision(device, precision):
        for start in track(starts, "Films seen", len(starts)):
            images = whole(films.pixels[start : start + IMAGES_AT_A_TIME], size=settings.size)
            found.append(network(images.to(device)).float().cpu())
    _, owners = films.films_of(np.arange(len(films)))
    return pool_views(torch.cat(found), torch.from_numpy(owners), len(films), settings.pool_views).numpy()


class _Training:
    """What an epoch works on."""

    def __init__(self, recipe: PretrainRecipe, run: Path, train: FilmSet, val: FilmSet, device: torch.device) -> None:
        settings = recipe.fit
        backbone = build_image_encoder(recipe.backbone, recipe.weights, seed=settings.seed)
        if not isinstance(backbone, ResNet):
            raise InputError(
                f"backbone.name = {recipe.backbone.name!r}: pretraining knows the parts of a resnet; choose resnet"
            )
        network = FindingsClassifier(backbone, len(FINDINGS), settings).to(device)
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.averaged = copy.deepcopy(self.network) if settings.average else self.network
        self.recipe, self.settings, self.run = recipe, settings, run
        self.train, self.val, self.device = train, val, device
        self.precision = settled_precision(settings.precision, device)
        self.weights = positive_weights(train.targets, settings).to(device)
        self.steps_per_epoch = math.ceil(len(train) / settings.batch_size)
        self.steps = settings.epochs * self.steps_per_epoch
        self.optimiser = _make_optimiser(self.network, settings)
        self.state = PretrainState(fingerprint=fingerprint(recipe, train, val))
        self.pace = Throughput()

    def resume(self) -> None:
        before = self.state.fingerprint
        self.state = load_state(self.run / LAST_FILE, self.network, self.averaged, self.optimiser)
        if self.state.fingerprint != before:
            raise InputError(f"{self.run}: began with another recipe, other films or labels; choose another folder")

    def learn(self, epoch: int, *, asked: list[int], track: Tracker) -> None:
        """Take the steps of an epoch that are left."""
        settings, state = self.settings, self.state
        started = time.monotonic()
        end = (epoch + 1) * self.steps_per_epoch
        batches = Noted(self._batches(epoch, state.step - epoch * self.steps_per_epoch))
        self.network.train()
        for batch in track(batches, f"epoch {epoch + 1}/{settings.epochs}", end - state.step):
            loss = self._step(batch)
            if not math.isfinite(loss):
                raise InputError(f"the loss is {loss} at step {state.step}; lower fit.learning_rate")
            state.step += 1
            state.loss += loss
            self.pace.add(batch.num_studies)
            left = self.pace.seconds_left(self.steps - state.step)
            batches.note = (
                f"{self.pace.studies_per_second:.1f} studies/s, {format_duration(left)} left, loss {loss:.3f}"
            )
            if state.step < end and (asked or not state.step % settings.save_steps):
                state.seconds += time.monotonic() - started
                started = time.monotonic()
                self.keep_last()
                if asked:
                    raise Interrupted(f"stopped at step {state.step}; continue with --resume")

    def validate(self, *, track: Tracker) -> Float32[np.ndarray, "studies findings"]:
        return predict(
            self.averaged, self.val, self.settings, device=self.device, precision=self.precision, track=track
        )

    def keep_last(self) -> None:
        save_state(self.run / LAST_FILE, self.state, self.network, self.averaged, self.optimiser)

    def keep_best(self) -> None:
        write_tensors(self.run / BEST_FILE, self.averaged.state_dict(), {"epoch": str(self.state.best_epoch)})

    def _batches(self, epoch: int, start: int) -> Iterator["_FilmBatch"]:
        settings, train = self.settings, self.train
        order = np.random.default_rng([settings.seed, epoch]).permutation(len(train))
        size = settings.small_size if epoch < settings.small_epochs else settings.size
        for first in range(start * settings.batch_size, len(train), settings.batch_size):
            studies = order[first : first + settings.batch_size]
            films, owners = train.films_of(studies)
            draws = draws_of(films, seed=settings.seed, epoch=epoch)
            yield _FilmBatch(
                images=augment(train.pixels[films], draws, self.recipe.augment, size=size),
                owners=torch.from_numpy(owners),
                targets=torch.from_numpy(train.targets[studies]),
            )

    def _step(self, batch: "_FilmBatch") -> float:
        settings = self.settings
        factor = rate_factor(settings, step=self.state.step, steps=self.steps)
        for group in self.optimiser.param_groups:
            group["lr"] = group["peak"] * factor
        dropout = torch.Generator().manual_seed(settings.seed * 1_000_003 + self.state.step)
        owners, targets = batch.owners.to(self.device), batch.targets.to(self.device)
        with forward_precision(self.device, self.precision):
            logits = self.network(batch.images.to(self.device), dropout)
        if settings.loss_on == "study":
            logits = pool_views(logits.float(), owners, batch.num_studies, settings.pool_views)
        else:
            targets = targets[owners]
        loss = masked_loss(logits.float(), targets, self.weights)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        trained = [parameter for _, parameter in self.network.trained()]
        torch.nn.utils.clip_grad_norm_(trained, settings.clip_norm, foreach=True)
        self.optimiser.step()
        if self.averaged is not self.network:
            _follow(self.averaged, self.network, settings.average, self.state.step)
        return float(loss.detach())


@dataclass(frozen=True, kw_only=True)
class _FilmBatch:
    images: Float32[Tensor, "images size size"]
    owners: Int64[Tensor, " images"]
    targets: Float32[Tensor, "studies findings"]

    @property
    def num_studies(self) -> int:
        return len(self.targets)


def fingerprint(recipe: PretrainRecipe, train: FilmSet, val: FilmSet) -> str:
    """Name what a run began with: its settings, studies, labels and numbers of films."""
    settings = (recipe.backbone, recipe.augment, recipe.fit, recipe.short_side)
    digest = hashlib.sha256(repr(settings).encode())
    for films in (train, val):
        digest.update("\n".join(films.ids).encode())
        digest.update(np.ascontiguousarray(films.starts).tobytes())
        digest.update(np.nan_to_num(films.targets, nan=-1).tobytes())
    return digest.hexdigest()[:16]


def _make_optimiser(network: FindingsClassifier, settings: FitSettings) -> torch.optim.Optimizer:
    """Return AdamW; biases and normalisation do not decay."""
    groups = []
    for head in (False, True):
        for decays in (True, False):
            chosen = [
                parameter
                for name, parameter in network.trained()
                if name.startswith("fc.") is head and (parameter.dim() > 1) is decays
            ]
            rate = settings.head_learning_rate if head else settings.learning_rate
            weight_decay = settings.weight_decay if decays else 0.0
            if chosen:
                groups.append({"params": chosen, "lr": rate, "peak": rate, "weight_decay": weight_decay})
    return torch.optim.AdamW(groups, fused=True)


@torch.no_grad()
def _follow(averaged: torch.nn.Module, network: torch.nn.Module, decay: float, step: int) -> None:
    """Move the average towards the network; at the beginning faster, so that it forgets where it began."""
    share = 1 - min(decay, (1 + step) / (10 + step))
    pairs = list(zip(averaged.state_dict().values(), network.state_dict().values(), strict=True))
    moving = [(mean, now) for mean, now in pairs if mean.is_floating_point()]
    torch._foreach_lerp_([mean for mean, _ in moving], [now for _, now in moving], share)
    for mean, now in pairs:
        if not mean.is_floating_point():
            mean.copy_(now)
