"""`xpronet train`: from a recipe to a run folder."""

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from xpronet.errors import InputError
from xpronet.launch import read_launch

if TYPE_CHECKING:
    from collections.abc import Callable

    from xpronet.experiment.recipe import Recipe
    from xpronet.prototypes.bank import PrototypeBank
    from xpronet.training.checkpoints import TrainerState


def train(
    recipe: Path,
    /,
    *,
    out: Path,
    corpus: Path | None = None,
    prototypes: Path | None = None,
    resume: bool = False,
    test: bool = False,
    skip_meteor: bool = False,
    dry_run: bool = False,
    set_: tuple[str, ...] = (),
) -> None:
    """Train a model by a recipe.

    Args:
        recipe: TOML file; see recipes/.
        out: the run folder to make, or to go on with.
        corpus: corpus folder, in place of the recipe's.
        prototypes: bank made by `xpronet prototypes`; by default one is made as the recipe says.
        resume: go on from the run's last checkpoint.
        test: at the end, write reports about the test studies with the best checkpoint and score them, once.
        skip_meteor: leave METEOR out of that score, and with it the seconds that Java takes.
        dry_run: take one batch through everything, tell what the whole run would need, and leave nothing behind.
        set_: change a value of the recipe: --set train.epochs=5; may be given several times.
    """
    import dataclasses

    from xpronet.evaluation.epoch_score import protocol_of
    from xpronet.evaluation.finding_f1 import MAIN
    from xpronet.experiment.build import load_bank
    from xpronet.experiment.dry_run import make_dry_run
    from xpronet.experiment.recipe import read_recipe
    from xpronet.experiment.run import finished_standing
    from xpronet.experiment.test_scores import SCORECARD_FILE, score_test_once
    from xpronet.progress import on_console

    settings = read_recipe(recipe, set_)
    if corpus is not None:
        settings = dataclasses.replace(settings, corpus=str(corpus))
    bank = load_bank(prototypes, settings) if prototypes is not None else None
    console = Console(soft_wrap=True, highlight=False, markup=False)
    if dry_run and read_launch().count > 1:
        raise InputError("--dry-run rehearses one process; leave torchrun away")
    if dry_run:
        for line in make_dry_run(settings, out, bank=bank).lines():
            console.print(line)
        return
    before = finished_standing(settings, out) if resume else None
    standing = _train(settings, recipe, out, bank=bank, resumed=resume, tell=console.print)
    if read_launch().rank:
        return  # the main process tells and scores
    console.print(
        f"{'Finished before, nothing is left to train:' if before else 'Trained'} {standing.step} steps; "
        f"best {settings.train.best_by} {standing.best_score:.4f} after epoch {standing.best_epoch}: {out}"
    )
    if test:
        scored = (out / SCORECARD_FILE).is_file()
        card = score_test_once(
            settings,
            out,
            title=str(out),
            protocol=protocol_of(settings.vocabulary.cleaning),
            with_meteor=not skip_meteor,
            track=on_console,
        )
        scores = card["model"]["scores"]
        told = ", ".join(f"{name} {scores[name]['value']:.3f}" for name in ("BLEU-4", MAIN) if name in scores)
        console.print(f"Test{', scored before' if scored else ''}: {told}; the whole is in {out / SCORECARD_FILE}")


def _train(
    settings: "Recipe",
    recipe: Path,
    out: Path,
    *,
    bank: "PrototypeBank | None",
    resumed: bool,
    tell: "Callable[[str], None]",
) -> "TrainerState":
    """Train, alone or with the other processes that torchrun started; say how to go on where one is lost."""
    from xpronet.errors import ProcessLostError
    from xpronet.experiment.run import train_run
    from xpronet.progress import on_console, silent
    from xpronet.training.distributed import start_distributed

    try:
        with start_distributed() as processes:
            track = on_console if processes.is_main else silent
            return train_run(settings, out, bank=bank, resumed=resumed, processes=processes, track=track, tell=tell)
    except ProcessLostError as error:
        remedy = f"go on with any number of them: torchrun ... -m xpronet train {recipe} --out {out} --resume"
        raise ProcessLostError(str(error) and f"{error}; {remedy}") from error
