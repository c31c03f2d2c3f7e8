"""From a recipe and a corpus to a trained run folder."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from xpronet.data.corpus import Corpus
from xpronet.data.feature_cache import open_feature_cache
from xpronet.device import best_device
from xpronet.errors import InputError, ProcessLostError
from xpronet.evaluation.epoch_score import protocol_of
from xpronet.evaluation.model_origin import SCORECARD_FILE
from xpronet.experiment.build import prepare
from xpronet.experiment.first_stage import FROM_BANK, find_first_stage, keep_first_stage, load_first_stage
from xpronet.experiment.pack import write_run_card
from xpronet.experiment.recipe import Recipe, differences, read_recipe
from xpronet.experiment.recipe_parts import recipe_corpus, steps_per_epoch, wants_bank, with_precision
from xpronet.experiment.test_scores import score_test_once
from xpronet.files import check_writable, make_folder, read_json, write_json, write_text
from xpronet.generation.fit_gate import complete_gate
from xpronet.generation.fit_texture import complete_texture_gate
from xpronet.launch import THREADS_VARIABLE, divide, read_launch
from xpronet.model.checkpoint_files import DERIVED_FILE
from xpronet.model.report_model import DerivedData
from xpronet.progress import Tracker, silent
from xpronet.prototypes.bank import PrototypeBank
from xpronet.training.checkpoints import TrainerState, last_checkpoint, read_trainer_state
from xpronet.training.distributed import DistributedContext
from xpronet.training.loop import is_finished
from xpronet.training.processes import work_together
from xpronet.training.run_folder import RUN_FILE, read_starts, sole_trainer, stamp_run
from xpronet.training.training_data import note_training_data

RECIPE_FILE = "recipe.toml"
BANK_FILE = "prototypes.safetensors"
VOCABULARY_FILE = "vocabulary.json"

MAY_CHANGE = frozenset(
    {"corpus", "features", "preset", "batches.workers", "batches.keep_megabytes"}
    | {
        f"train.{name}"
        for name in (
            *("epochs", "learning_rate", "backbone_learning_rate", "schedule", "decay", "decay_epochs", "warm_up"),
            *("weight_decay", "clip_norm", "clip_value", "precision", "compile", "on_nan", "patience"),
            *("save_steps", "keep", "log_steps", "tensorboard"),
        )
    }
)
"""Settings that may differ when a run is resumed, beside those of the sections `generate` and `gate`."""


def train(
    recipe: str | Path | Recipe,
    *,
    corpus: str | Path | Corpus | None = None,
    out: str | Path,
    first_stage: str | Path | None = None,
    overrides: Sequence[str] = (),
    resume: bool = False,
    track: Tracker = silent,
) -> TrainerState:
    """Train a model by a recipe, into a run folder that `xpronet.load` takes.

    Args:
        recipe: a TOML file, the name of a recipe that comes with the package, or a recipe.
        corpus: corpus (folder); by default the one that the recipe names.
        out: the run folder; a new one, unless `resume` is true.
        first_stage: run or checkpoint whose model training starts from; a recipe with a [reward] needs it.
        overrides: "section.key=value" with a TOML value; they take precedence over the file.
        resume: continue the run that is there.
        track: shows progress.

    Raises:
        InputError: the recipe, corpus or labels do not fit each other, or the folder is taken.
    """
    if not isinstance(recipe, Recipe):
        recipe = read_recipe(recipe, overrides)
    elif overrides:
        raise InputError("overrides are for a recipe file; change the recipe's own fields instead")
    if corpus is not None:
        recipe = replace(recipe, corpus=str(corpus.folder if isinstance(corpus, Corpus) else corpus))
    start = None if first_stage is None else Path(first_stage)
    return train_run(recipe, Path(out), first_stage=start, resumed=resume, track=track)


@dataclass(frozen=True, kw_only=True)
class TrainingOutcome:
    """The outcome of `train_and_test`."""

    state: TrainerState
    """The state of the run at its end."""
    was_finished: bool
    """Whether the run had been finished before, so that nothing was trained."""
    scorecard: Mapping[str, Any] | None
    """The scorecard of the test split as in scorecard.json, if it was wanted."""
    was_scored: bool
    """Whether the test split had been scored before."""


def train_and_test(
    recipe: Recipe,
    run: Path,
    *,
    bank: PrototypeBank | None = None,
    first_stage: Path | None = None,
    resume: bool = False,
    test: bool = False,
    with_meteor: bool = True,
    processes: int | None = None,
    track: Tracker = silent,
    notify: Callable[[str], object] = lambda _: None,
) -> TrainingOutcome | None:
    """Train, with other processes where that pays or torchrun started them, and score the test split if it is wanted.

    Args:
        recipe: as `train_run` takes it.
        run: as `train_run` takes it.
        bank: as `train_run` takes it.
        first_stage: as `train_run` takes it.
        resume: as `train_run` takes it.
        test: generate and score reports about the test studies with the best checkpoint, once.
        with_meteor: whether METEOR is scored, which starts Java.
        processes: as `train_together` takes it.
        track: shows progress, in the main process.
        notify: takes a line about what the report model derived from the train studies, the validation scores of each
            epoch, and the gate.

    Returns:
        The outcome in the main process, None in the others.

    Raises:
        InputError: as in `train_run`, or the corpus has no test studies.
        ProcessLostError: another process has ended; the message says how to continue.
    """
    before = finished_state(recipe, run) if resume else None
    try:
        state = train_together(
            recipe,
            run,
            bank=bank,
            first_stage=first_stage,
            resumed=resume,
            processes=processes,
            track=track,
            notify=notify,
        )
    except ProcessLostError as error:
        remedy = "resume with any number of processes: give the same command with --resume"
        raise ProcessLostError(str(error) and f"{error}; {remedy}") from error
    if read_launch().rank:
        return None
    was_scored = (run / SCORECARD_FILE).is_file()
    card = None
    if test:
        protocol = protocol_of(recipe.vocabulary.cleaning)
        card = score_test_once(recipe, run, title=str(run), protocol=protocol, with_meteor=with_meteor, track=track)
        if not was_scored:
            write_run_card(run)
    return TrainingOutcome(state=state, was_finished=before is not None, scorecard=card, was_scored=was_scored)


def train_together(
    recipe: Recipe,
    run: Path,
    *,
    bank: PrototypeBank | None = None,
    first_stage: Path | None = None,
    resumed: bool = False,
    processes: int | None = None,
    track: Tracker = silent,
    notify: Callable[[str], object] = lambda _: None,
) -> TrainerState:
    """Train as `train_run` does, each batch divided among processes that are started for it, or that torchrun started.

    A resumed run is divided as it was, so that it ends with the same bits.

    Args:
        recipe: as `train_run` takes it.
        run: as `train_run` takes it.
        bank: as `train_run` takes it.
        first_stage: as `train_run` takes it.
        resumed: as `train_run` takes it.
        processes: how many share each batch on a CPU; by default one, of one thread.
        track: shows progress, in the main process.
        notify: takes lines as in `train_run`, in the main process.

    Raises:
        InputError: as in `train_run`.
        ProcessLostError: another process has ended.
    """
    if resumed and processes is None and (run / RUN_FILE).is_file() and THREADS_VARIABLE not in os.environ:
        starts = read_starts(run)
        processes = starts[-1].get("processes") if starts else None

    def arguments(folder: Path) -> list[str]:
        write_text(folder / RECIPE_FILE, recipe.to_toml())
        start = [] if first_stage is None else ["--from", str(first_stage)]
        return ["train", str(folder / RECIPE_FILE), "--out", str(run), *start, *(["--resume"] if resumed else [])]

    nothing_left = resumed and finished_state(recipe, run) is not None
    # Two processes of one thread trained the phantom recipe at 0.8 of the speed of one (docs, performance).
    division = divide(recipe.batches.size, processes=1 if nothing_left or processes is None else processes)
    with work_together(arguments, division) as context:
        return train_run(
            recipe,
            run,
            bank=bank,
            first_stage=first_stage,
            resumed=resumed,
            context=context,
            track=track if context.is_main else silent,
            notify=notify,
        )


def train_run(
    recipe: Recipe,
    run: Path,
    *,
    bank: PrototypeBank | None = None,
    first_stage: Path | None = None,
    resumed: bool = False,
    context: DistributedContext | None = None,
    track: Tracker = silent,
    notify: Callable[[str], object] = lambda _: None,
) -> TrainerState:
    """Train by a recipe and leave recipe, vocabulary, prototypes, journal and checkpoints in the run folder.

    At the end the best checkpoint is given its out-of-distribution gate, if the recipe wants one.

    Args:
        recipe: the experiment; it names the corpus.
        run: a new folder, or one to resume.
        bank: prototypes made before; by default they are made as the recipe says, or those of the resumed run.
        first_stage: run or checkpoint to start from: its model goes on with other losses or data. The run keeps a copy,
            so that it can be resumed without.
        resumed: continue from the run's last checkpoint, or from the beginning where it was killed before the first. A
            finished run stays as it is, except that a missing gate is fitted.
        context: the processes that train together; by default this process is alone. Only the main one writes, and all
            must see the same corpus and run folder.
        track: shows progress.
        notify: takes a line about what the report model derived from the train studies, the validation scores of each
            epoch, and the gate.

    Raises:
        InputError: recipe, corpus, labels, prototypes or the resumed run do not fit each other, or the folder is taken.
    """
    context = context or DistributedContext(device=best_device())
    if run.exists() and any(run.iterdir()) and not resumed:
        raise InputError(f"{run}: already exists; choose another name, or add --resume to continue it")
    if resumed:
        _check_resumable(recipe, run)
    start = find_first_stage(recipe, run, first_stage, resumed=resumed)
    if start is not None and bank is not None:
        raise InputError(f"{start}: has prototypes of its own; leave out --prototypes")
    if resumed:
        finished = finished_state(recipe, run)
        if finished is not None:
            if context.is_main:
                _fit_gate(recipe, run, track=track, notify=notify)
            return finished
        recipe, bank = _as_begun(recipe, bank, run)
    from_checkpoint = last_checkpoint(run) is not None
    if context.is_main:
        # Before the hours that prototypes of a large corpus take.
        check_writable(run)
        recipe.to_toml()
    # All have looked at the folder before one of them writes into it.
    context.barrier()
    load_start = None if start is None else partial(load_first_stage, start, recipe)
    prepared = prepare(recipe, bank=bank, load_start=load_start, context=context, track=track)
    if not context.is_main:
        return prepared.fit(run, resumed=from_checkpoint, track=track)
    make_folder(run)
    with sole_trainer(run):
        write_text(run / RECIPE_FILE, prepared.recipe.to_toml(), overwrite=resumed)
        write_json(run / VOCABULARY_FILE, prepared.checkpoint.vocabulary.record(), overwrite=resumed)
        note_training_data(run, prepared.train_set.corpus, weights=recipe.weights, first_stage=first_stage)
        if prepared.bank is not None:
            prepared.bank.save(run / BANK_FILE, overwrite=True)
        if prepared.derived is not None:
            _keep_derived(prepared.derived, run, notify=notify)
        if start is not None:
            keep_first_stage(start, run)
        stamp_run(
            run,
            device=prepared.device,
            processes=context.count,
            seeds={"train": recipe.train.seed, "prototypes": recipe.prototypes.seed},
            plan={
                "epochs": recipe.train.epochs,
                "steps_per_epoch": steps_per_epoch(recipe, len(prepared.train_set)),
                "train_studies": len(prepared.train_set),
                "val_studies": len(prepared.val_set),
                "patience": recipe.train.patience,
            },
        )
        state = prepared.fit(run, resumed=from_checkpoint, track=track, notify=notify)
        with context.while_others_wait():
            _fit_gate(recipe, run, track=track, notify=notify)
            write_run_card(run)
        return state


def finished_state(recipe: Recipe, run: Path) -> TrainerState | None:
    """Return the state of a run at its end, or None where something is left to train.

    Raises:
        InputError: the recipe names no corpus, or the run's last checkpoint is damaged.
    """
    last = last_checkpoint(run)
    if last is None:
        return None
    state = read_trainer_state(last)
    steps = steps_per_epoch(recipe, len(recipe_corpus(recipe).split("train")))
    return state if is_finished(state, recipe.train, steps) else None


def _check_resumable(recipe: Recipe, run: Path) -> None:
    """Make sure that there is a run to resume, and that it was begun with this recipe.

    Raises:
        InputError: there is none, or a setting differs that a run keeps; the line names the first.
    """
    if not (run / RECIPE_FILE).is_file():
        if last_checkpoint(run) is None:
            raise InputError(f"{run}: nothing to resume (no run is there); leave out --resume")
        raise InputError(
            f"{run / RECIPE_FILE}: no such file, so the run cannot be resumed; copy it from where it began"
        )
    found = differences(read_recipe(run / RECIPE_FILE), recipe)
    free = MAY_CHANGE | (FROM_BANK if wants_bank(recipe) else frozenset())
    changed = [name for name in found if name not in free and name.partition(".")[0] not in ("generate", "gate")]
    if changed:
        before, now = found[changed[0]]
        others = f"; also {', '.join(changed[1:4])}" if len(changed) > 1 else ""
        more = f" and {len(changed) - 4} more" if len(changed) > 4 else ""
        raise InputError(
            f"{run}: cannot be resumed with another recipe: {changed[0]} is {before} in the run and {now} in the "
            f"recipe{others}{more}; give {run / RECIPE_FILE}, or train into another folder"
        )


def _as_begun(recipe: Recipe, bank: PrototypeBank | None, run: Path) -> tuple[Recipe, PrototypeBank | None]:
    """Return recipe and prototypes with what was decided when the run began."""
    if recipe.train.precision == "auto":
        # Another machine might decide otherwise.
        recipe = with_precision(recipe, read_recipe(run / RECIPE_FILE).train.precision)
    if bank is None and (run / BANK_FILE).is_file():
        bank = PrototypeBank.load(run / BANK_FILE)
    return recipe, bank


def _keep_derived(derived: DerivedData, run: Path, *, notify: Callable[[str], object]) -> None:
    """Write what the report model derived from the train studies, and say it where a run begins.

    Raises:
        InputError: the run was begun with something else.
    """
    path = run / DERIVED_FILE
    if not path.is_file():
        for line in derived.summary:
            notify(line)
        write_json(path, derived.record)
    elif read_json(path) != derived.record:
        raise InputError(
            f"{path}: differs from what the train studies give now; give the corpus that the run began with"
        )


def _fit_gate(recipe: Recipe, run: Path, *, track: Tracker, notify: Callable[[str], object]) -> None:
    """Fit the gates that a trained run is to have and lacks: also after a kill during this last step."""
    # The recipe is the user's own, and so is any outside code that it names.
    features = open_feature_cache(recipe.features) if recipe.features else None
    line = complete_gate(run, recipe_corpus(recipe), recipe.gate, features=features, allow_code=True, track=track)
    texture = complete_texture_gate(run, recipe_corpus(recipe), recipe.gate, allow_code=True, track=track)
    for told in filter(None, (line, texture)):
        notify(told)
