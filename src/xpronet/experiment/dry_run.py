"""A rehearsal: a few batches through everything that training does, to know what the whole of it will need."""

import resource
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from xpronet.encoders.text_encoders import TFIDF, build_text_encoder
from xpronet.experiment.build import build_backbone, label_source, prepare, recipe_corpus
from xpronet.experiment.recipe import Recipe
from xpronet.extensions import is_outside
from xpronet.files import check_writable
from xpronet.generation.generator import ReportGenerator
from xpronet.generation.predictions import write_reports
from xpronet.model.checkpoint import load_checkpoint
from xpronet.progress import Item
from xpronet.prototypes.bank import PrototypeBank
from xpronet.prototypes.cluster import random_bank
from xpronet.training.checkpoints import BEST, CHECKPOINTS, LAST
from xpronet.training.loop import spelled
from xpronet.training.optimiser import count_steps

BERT_WIDTH = 768
"""Of the text features that a BERT of the usual size gives."""
STEPS = 3
"""Steps taken; the first, in which everything is set up, is not counted."""


@dataclass(frozen=True, kw_only=True)
class DryRun:
    """What a run was found to need."""

    device: str
    """Where it computed."""
    memory: int
    """Most bytes held at once: of the GPU where there is one, else of the whole process."""
    step_seconds: float
    """One optimiser step, reading of images included."""
    judge_seconds: float
    """Validation, and reports where the best epoch is chosen by them, after each epoch."""
    write_seconds: float
    """A report about one study."""
    save_seconds: float
    """Writing one checkpoint."""
    seconds: float
    """The whole run, without making prototypes."""
    disk: int
    """Bytes of all checkpoints that are kept, and one more while it is written."""
    plan: str
    """Epochs, steps and studies."""

    def lines(self) -> Iterator[str]:
        """Tell it line by line."""
        yield f"Plan: {self.plan}"
        yield f"Memory: {self.memory / 2**30:.2f} GiB at most ({self.device})"
        yield f"A step: {self.step_seconds:.3f} s; an epoch's judging: {spelled(self.judge_seconds)}"
        yield f"A checkpoint: {self.save_seconds:.2f} s; a report: {self.write_seconds:.2f} s"
        yield f"The whole run: about {spelled(self.seconds)}, without making prototypes"
        yield f"Disk: {self.disk / 2**20:.1f} MiB of checkpoints"
        yield "Nothing was kept."


def make_dry_run(recipe: Recipe, out: Path, *, bank: PrototypeBank | None = None) -> DryRun:
    """Take a few batches through data, training, validation, saving and writing, and leave nothing behind.

    Prototypes are drawn at random in their place, since making them takes a pass over all train studies.

    Args:
        recipe: the experiment.
        out: the run folder to be; the rehearsal writes beside it, to meet the same disk.
        bank: prototypes made before.

    Raises:
        InputError: what training itself would refuse.
    """
    train = recipe.train
    prepared = prepare(recipe, bank=bank or _random_bank(recipe))
    size = recipe.batches.size
    steps_per_epoch = count_steps(len(prepared.train_set), batch_size=size, accumulate=train.accumulate)
    few = replace(
        prepared,
        recipe=replace(prepared.recipe, train=replace(train, epochs=1, save_steps=0, log_steps=0, tensorboard=False)),
        train_set=prepared.train_set.first(STEPS * train.accumulate * size),
        val_set=prepared.val_set.first(size),
        # Reports are timed below; here a score is only needed to choose the epoch.
        score_reports=(lambda _: 0.0) if prepared.score_reports else None,
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
        writer = ReportGenerator(
            checkpoint,
            device=prepared.device,
            settings=recipe.generate,
            labels_from=label_source(checkpoint.network.settings),
        )
        corpus = recipe_corpus(recipe)
        studies = corpus.split("val")[:size]
        started = time.monotonic()
        list(write_reports(writer, corpus, studies, batch=size))
        write_seconds = (time.monotonic() - started) / len(studies)
    num_val = len(prepared.val_set)
    judge = max(after - 2 * save_seconds, 0.0) / len(few.val_set) * num_val
    judge += write_seconds * num_val if train.best_by_reports else 0.0
    steps = train.epochs * steps_per_epoch
    saves = 2 * train.epochs + (steps // train.save_steps if train.save_steps else 0)
    return DryRun(
        device=prepared.device.type,
        memory=_memory(prepared.device),
        step_seconds=clock.step_seconds,
        judge_seconds=judge,
        write_seconds=write_seconds,
        save_seconds=save_seconds,
        seconds=steps * clock.step_seconds + train.epochs * judge + saves * save_seconds,
        disk=(train.keep + 1) * sizes[LAST] + 3 * sizes[BEST],
        plan=f"{train.epochs} epochs of {steps_per_epoch} steps, {len(prepared.train_set)} studies to learn from, "
        f"{num_val} to choose by",
    )


class _Clock:
    """Notes when each step ended."""

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
    if recipe.bank != "clusters" or recipe.model.visible == "none":
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
