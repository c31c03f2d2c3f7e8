"""A dry run: a few batches through all of training, to estimate the time, memory and disk that a run needs."""

import resource
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from xpronet.encoders.text_encoders import TFIDF, build_text_encoder
from xpronet.errors import InputError
from xpronet.experiment.build import prepare
from xpronet.experiment.first_stage import find_first_stage, load_first_stage
from xpronet.experiment.recipe import Recipe
from xpronet.experiment.recipe_parts import build_backbone, label_source, recipe_corpus, wants_bank
from xpronet.extensions import is_outside
from xpronet.files import check_writable
from xpronet.generation.generator import ReportGenerator
from xpronet.generation.predictions import write_reports
from xpronet.launch import read_launch
from xpronet.model.checkpoint import load_checkpoint
from xpronet.progress import Item, format_duration
from xpronet.prototypes.bank import PrototypeBank
from xpronet.prototypes.cluster import random_bank
from xpronet.training.checkpoints import BEST, CHECKPOINTS, LAST
from xpronet.training.optimiser import count_steps

BERT_WIDTH = 768
"""Width of the text features of a BERT of the base size."""
STEPS = 3
"""Steps taken; the first, which includes setting up, is not timed."""


@dataclass(frozen=True, kw_only=True)
class DryRun:
    """What a run will need, measured in a few steps."""

    device: str
    """The kind of device that was used."""
    memory: int
    """Peak memory in bytes: of the GPU where there is one, else of the whole process."""
    step_seconds: float
    """Seconds per optimiser step, reading of images included."""
    validation_seconds: float
    """Seconds per epoch for validation, generated reports included where the best epoch is chosen by them."""
    report_seconds: float
    """Seconds per generated report."""
    save_seconds: float
    """Seconds per checkpoint."""
    seconds: float
    """Seconds for the whole run, without making prototypes."""
    disk: int
    """Bytes of all checkpoints that are kept, and of one more while it is written."""
    plan: str
    """Epochs, steps and studies."""

    def lines(self) -> Iterator[str]:
        """Yield the estimate line by line."""
        yield f"Plan: {self.plan}"
        yield f"Memory: {self.memory / 2**30:.2f} GiB at most ({self.device})"
        yield f"A step: {self.step_seconds:.3f} s; validation per epoch: {format_duration(self.validation_seconds)}"
        yield f"A checkpoint: {self.save_seconds:.2f} s; a report: {self.report_seconds:.2f} s"
        yield f"The whole run: about {format_duration(self.seconds)}, without making prototypes"
        yield f"Disk: {self.disk / 2**20:.1f} MiB of checkpoints"
        yield "Nothing was kept."


def make_dry_run(
    recipe: Recipe, out: Path, *, bank: PrototypeBank | None = None, first_stage: Path | None = None
) -> DryRun:
    """Take a few batches through data, training, validation, saving and generation, and leave nothing behind.

    Prototypes are random, since making them takes a pass over all train studies.

    Args:
        recipe: the experiment.
        out: the run folder that would be made; the dry run writes beside it, to use the same disk.
        bank: prototypes made before.
        first_stage: run or checkpoint that the run would start from.

    Raises:
        InputError: whatever training itself would refuse, or torchrun has started several processes.
    """
    if read_launch().count > 1:
        raise InputError("--dry-run measures a single process; give the command without torchrun")
    start = find_first_stage(recipe, out, first_stage, resumed=False)
    if start is None:
        prepared = prepare(recipe, bank=bank or _random_bank(recipe))
    else:
        prepared = prepare(recipe, load_start=partial(load_first_stage, start, recipe))
    recipe = prepared.recipe
    train = recipe.train
    size = recipe.batches.size
    steps_per_epoch = count_steps(len(prepared.train_set), batch_size=size, accumulate=train.accumulate)
    few = replace(
        prepared,
        recipe=replace(recipe, train=replace(train, epochs=1, save_steps=0, log_steps=0, tensorboard=False)),
        train_set=prepared.train_set.first(STEPS * train.accumulate * size),
        val_set=prepared.val_set.first(size),
        # Reports are timed below; here any score will do to choose the epoch.
        score_reports=(lambda _: {train.best_by: 0.0}) if prepared.score_reports else None,
    )
    if prepared.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    clock = _Clock()
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=check_writable(out.absolute().parent)) as name:
        run = Path(name)
        few.fit(run, resumed=False, track=clock.track)
        after = time.monotonic() - clock.ended
        sizes = {link: _bytes(run / link) for link in (LAST, BEST)}
        saving = time.monotonic()
        few.checkpoint.save(run / CHECKPOINTS / "again")
        save_seconds = (time.monotonic() - saving) * sizes[LAST] / sizes[BEST]
        checkpoint = load_checkpoint(run, allow_code=True)  # the recipe named it
        generator = ReportGenerator(
            checkpoint,
            device=prepared.device,
            settings=recipe.generate,
            labels_from=label_source(checkpoint.network.settings),
        )
        corpus = recipe_corpus(recipe)
        studies = corpus.split("val")[:size]
        started = time.monotonic()
        list(write_reports(generator, corpus, studies, batch=size))
        report_seconds = (time.monotonic() - started) / len(studies)
    num_val = len(prepared.val_set)
    validation = max(after - 2 * save_seconds, 0.0) / len(few.val_set) * num_val
    validation += report_seconds * num_val if train.best_by_reports else 0.0
    steps = train.epochs * steps_per_epoch
    saves = 2 * train.epochs + (steps // train.save_steps if train.save_steps else 0)
    return DryRun(
        device=prepared.device.type,
        memory=_memory(prepared.device),
        step_seconds=clock.step_seconds,
        validation_seconds=validation,
        report_seconds=report_seconds,
        save_seconds=save_seconds,
        seconds=steps * clock.step_seconds + train.epochs * validation + saves * save_seconds,
        disk=(train.keep + 1) * sizes[LAST] + 3 * sizes[BEST],
        plan=f"{train.epochs} epochs of {steps_per_epoch} steps, {len(prepared.train_set)} train studies, "
        f"{num_val} validation studies",
    )


class _Clock:
    """Keeps the times at which steps ended."""

    def __init__(self) -> None:
        self._times = [time.monotonic()]

    def track(self, items: Iterable[Item], description: str, total: int) -> Iterator[Item]:
        for item in items:
            yield item
            self._times.append(time.monotonic())

    @property
    def ended(self) -> float:
        return self._times[-1]

    @property
    def step_seconds(self) -> float:
        counted = self._times[1:] if len(self._times) > 2 else self._times
        return (counted[-1] - counted[0]) / (len(counted) - 1)


def _random_bank(recipe: Recipe) -> PrototypeBank | None:
    if not wants_bank(recipe):
        return None
    return random_bank(
        image_width=build_backbone(recipe).width_out,
        text_width=_text_width(recipe),
        per_finding=recipe.prototypes.per_finding,
        seed=recipe.train.seed,
    )


def _text_width(recipe: Recipe) -> int:
    if recipe.text.encoder == TFIDF:
        return recipe.text.width
    if is_outside(recipe.text.encoder):
        reports = [study.report for study in recipe_corpus(recipe).split("train")]
        return build_text_encoder(recipe.text, reports, allow_code=True).width
    return BERT_WIDTH


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def _memory(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
