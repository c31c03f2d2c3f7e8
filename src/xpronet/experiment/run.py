"""From a recipe and a corpus to a trained run folder."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from xpronet.data.corpus import Corpus
from xpronet.errors import InputError
from xpronet.experiment.build import prepare, recipe_corpus, steps_per_epoch, with_precision
from xpronet.experiment.recipe import Recipe, read_recipe, shipped_recipe
from xpronet.files import check_writable, make_folder, write_json, write_text
from xpronet.generation.fit_gate import complete_gate
from xpronet.model.checkpoint import best_device
from xpronet.progress import Tracker, silent
from xpronet.prototypes.bank import PrototypeBank
from xpronet.training.checkpoints import TrainerState, last_checkpoint, read_trainer_state
from xpronet.training.distributed import DistributedContext
from xpronet.training.loop import is_finished
from xpronet.training.run_folder import sole_trainer, stamp_run

RECIPE_FILE = "recipe.toml"
BANK_FILE = "prototypes.safetensors"
VOCABULARY_FILE = "vocabulary.json"


def train(
    recipe: str | Path | Recipe,
    *,
    corpus: str | Path | Corpus | None = None,
    out: str | Path,
    overrides: Sequence[str] = (),
    resume: bool = False,
    track: Tracker = silent,
) -> TrainerState:
    """Train a model by a recipe and leave a run folder that `xpronet.load` takes.

    Args:
        recipe: a TOML file, the name of a recipe that comes with the package, or a recipe.
        corpus: corpus (folder); by default the one that the recipe names.
        out: the run folder; a new one, unless `resume` is true.
        overrides: "section.key=value" with a TOML value, each on top of the file.
        resume: continue the run that is there.
        track: shows progress.

    Raises:
        InputError: the recipe, corpus or labels do not fit each other, or the folder is taken.
    """
    if not isinstance(recipe, Recipe):
        path = Path(recipe)
        recipe = read_recipe(path if path.suffix == ".toml" else shipped_recipe(str(recipe)), overrides)
    elif overrides:
        raise InputError("overrides are for a recipe file; change the recipe's own fields instead")
    if corpus is not None:
        recipe = replace(recipe, corpus=str(corpus.folder if isinstance(corpus, Corpus) else corpus))
    return train_run(recipe, Path(out), resumed=resume, track=track)


def train_run(
    recipe: Recipe,
    run: Path,
    *,
    bank: PrototypeBank | None = None,
    resumed: bool = False,
    processes: DistributedContext | None = None,
    track: Tracker = silent,
    tell: Callable[[str], None] | None = None,
) -> TrainerState:
    """Train what a recipe describes and leave recipe, vocabulary, bank, journal and checkpoints in the run folder.

    At the end the best checkpoint is given its gate, as the recipe says.

    Args:
        recipe: the experiment; its corpus names the folder.
        run: a new folder, or one to go on with.
        bank: prototypes made before; by default they are made as the recipe says, or taken from the resumed run.
        resumed: go on from the run's last checkpoint; from the beginning where it was killed before the first. A
            finished run stays as it is, but for a gate that is missing.
        processes: who shares the work; by default this process is alone. Only the main one writes, and all must see
            the same corpus and run folder.
        track: shows progress.
        tell: takes a line about the gate.

    Raises:
        InputError: the recipe, corpus, labels or bank do not fit each other, or the folder is taken.
    """
    processes = processes or DistributedContext(device=best_device())
    if run.exists() and any(run.iterdir()) and not resumed:
        raise InputError(f"{run}: already exists; choose another name, or add --resume to go on with it")
    last = last_checkpoint(run) if resumed else None
    if resumed and last is None and not (run / RECIPE_FILE).is_file():
        raise InputError(f"{run}: nothing to resume (no run is there); leave out --resume")
    finished = finished_standing(recipe, run) if resumed else None
    if finished is not None:
        if processes.is_main:
            _complete(recipe, run, track=track, tell=tell)
        return finished
    if resumed and recipe.train.precision == "auto" and (run / RECIPE_FILE).is_file():
        # Another machine would choose otherwise; a run keeps what it began with.
        recipe = with_precision(recipe, read_recipe(run / RECIPE_FILE).train.precision)
    if bank is None and resumed and (run / BANK_FILE).is_file():
        bank = PrototypeBank.load(run / BANK_FILE)
    last_seen = last_checkpoint(run) is not None
    if processes.is_main:
        # Before the hours that prototypes of a large corpus take.
        check_writable(run)
    # All have looked at the folder before one of them writes into it.
    processes.wait()
    prepared = prepare(recipe, bank=bank, processes=processes, track=track)
    if not processes.is_main:
        return prepared.fit(run, resumed=last_seen, track=track)
    make_folder(run)
    with sole_trainer(run):
        write_text(run / RECIPE_FILE, prepared.recipe.to_toml(), overwrite=resumed)
        write_json(run / VOCABULARY_FILE, prepared.checkpoint.vocabulary.record(), overwrite=resumed)
        if prepared.bank is not None:
            prepared.bank.save(run / BANK_FILE, overwrite=True)
        stamp_run(
            run,
            device=prepared.device,
            seeds={"train": recipe.train.seed, "prototypes": recipe.prototypes.seed},
            plan={
                "epochs": recipe.train.epochs,
                "steps_per_epoch": steps_per_epoch(recipe, len(prepared.train_set)),
                "train_studies": len(prepared.train_set),
                "val_studies": len(prepared.val_set),
                "patience": recipe.train.patience,
            },
        )
        standing = prepared.fit(run, resumed=last_seen, track=track)
        _complete(recipe, run, track=track, tell=tell)
        return standing


def _complete(recipe: Recipe, run: Path, *, track: Tracker, tell: Callable[[str], None] | None) -> None:
    """Give a trained run its gate, where it is to have one and has none; its last step, taken again after a kill."""
    line = complete_gate(run, recipe_corpus(recipe), recipe.gate, track=track)
    if line and tell is not None:
        tell(line)


def finished_standing(recipe: Recipe, run: Path) -> TrainerState | None:
    """Return where a run ended, or None where there is something left to train.

    Raises:
        InputError: the recipe names no corpus, or the run's last checkpoint is damaged.
    """
    last = last_checkpoint(run)
    if last is None:
        return None
    standing = read_trainer_state(last)
    steps = steps_per_epoch(recipe, len(recipe_corpus(recipe).split("train")))
    return standing if is_finished(standing, recipe.train, steps) else None
