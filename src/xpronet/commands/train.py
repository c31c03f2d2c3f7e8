"""`xpronet train`: from a recipe to a run folder."""

from pathlib import Path
from typing import Literal

from rich.console import Console

from xpronet.errors import InputError


def train(
    recipe: Path,
    /,
    *,
    out: Path,
    corpus: Path | None = None,
    from_: Path | None = None,
    prototypes: Path | None = None,
    features: Path | None = None,
    prototypes_order: Literal["iu-xray", "mimic-cxr"] = "iu-xray",
    resume: bool = False,
    test: bool = False,
    skip_meteor: bool = False,
    dry_run: bool = False,
    processes: int | None = None,
    set_: tuple[str, ...] = (),
) -> None:
    """Train a model by a recipe.

    On a CPU one process of one thread trains, so that other programs slow it down no more than their share. With
    torchrun, processes of several GPUs or machines train together: torchrun --nproc-per-node 8 -m xpronet train ...

    For example:

        xpronet train phantom --corpus corpus --out run
        xpronet train my.toml --out run --set train.epochs=5 --test
        xpronet train my.toml --out run --resume

    Args:
        recipe: TOML file, or the name of a recipe that comes with the package, such as phantom.
        out: the run folder to make, or to resume.
        corpus: corpus folder, in place of the recipe's.
        from_: run or checkpoint to start from: its weights, vocabulary and thresholds are taken. A recipe with [reward]
            needs it.
        prototypes: prototypes made by `xpronet prototypes`, or the authors' own init_prototypes.pt; by default they are
            made as the recipe says.
        features: feature cache made by `xpronet features`, in place of the recipe's; the image encoder is then frozen.
        prototypes_order: the corpus whose class order an authors' .pt file has; the file does not say.
        resume: continue from the run's last checkpoint.
        test: at the end, generate reports about the test studies with the best checkpoint and score them, once.
        skip_meteor: leave METEOR out of these scores, and with it the seconds that Java takes.
        dry_run: run a few batches through everything, print what the whole run would need, and leave nothing behind.
        processes: how many share each batch on a CPU; a resumed run keeps its number. Where OMP_NUM_THREADS is set,
            each has that many threads.
        set_: change a value of the recipe: --set train.epochs=5; may be given several times.
    """
    from xpronet.experiment.recipe_files import recipe_file

    recipe = recipe_file(recipe)  # before torch is imported: a misspelt name is told at once

    from dataclasses import replace

    from xpronet.evaluation.finding_f1 import MAIN
    from xpronet.experiment.dry_run import make_dry_run
    from xpronet.experiment.initial_prototypes import load_bank
    from xpronet.experiment.recipe import read_recipe
    from xpronet.experiment.run import train_and_test
    from xpronet.experiment.test_scores import SCORECARD_FILE
    from xpronet.progress import on_console

    if processes is not None and processes < 1:
        raise InputError(f"--processes {processes}: must be at least 1")
    settings = read_recipe(recipe, set_)
    if corpus is not None:
        settings = replace(settings, corpus=str(corpus))
    if features is not None:
        frozen = replace(settings.train, freeze_backbone=True)
        settings = replace(settings, features=str(features), train=frozen)
    bank = None if prototypes is None else load_bank(prototypes, settings, published_order=prototypes_order)
    console = Console(soft_wrap=True, highlight=False, markup=False)
    if dry_run:
        for line in make_dry_run(settings, out, bank=bank, first_stage=from_).lines():
            console.print(line)
        return
    outcome = train_and_test(
        settings,
        out,
        bank=bank,
        first_stage=from_,
        resume=resume,
        test=test,
        with_meteor=not skip_meteor,
        processes=processes,
        track=on_console,
        notify=console.print,
    )
    if outcome is None:
        return  # the main process prints
    state = outcome.state
    console.print(
        f"{'Finished before, nothing is left to train:' if outcome.was_finished else 'Trained'} {state.step} steps; "
        f"best {settings.train.best_by} {state.best_score:.4f} after epoch {state.best_epoch}: {out}"
    )
    if outcome.scorecard is not None:
        scores = outcome.scorecard["model"]["scores"]
        values = ", ".join(f"{name} {scores[name]['value']:.3f}" for name in ("BLEU-4", MAIN) if name in scores)
        before = ", scored before" if outcome.was_scored else ""
        console.print(f"Test{before}: {values}; the scorecard is in {out / SCORECARD_FILE}")
