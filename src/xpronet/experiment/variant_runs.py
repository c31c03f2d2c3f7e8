"""Trials: variants of one recipe, each trained and tested once, in a folder that can be continued.

A folder of trials holds recipe.toml (what all variants derive from), banks/ (prototypes, made once for all trials that
start from the same), and for each variant and seed a run folder with predictions.jsonl and scorecard.json.
"""

import dataclasses
import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from xpronet.encoders.build import AUTO, RANDOM
from xpronet.errors import InputError
from xpronet.evaluation.finding_f1 import MAIN
from xpronet.evaluation.model_origin import SCORECARD_FILE
from xpronet.evaluation.scoring import RETRIEVAL
from xpronet.evaluation.text_protocol import ProtocolName
from xpronet.experiment.initial_prototypes import initial_bank
from xpronet.experiment.recipe import Recipe, differences, read_recipe
from xpronet.experiment.recipe_parts import recipe_corpus, wants_bank
from xpronet.experiment.run import RECIPE_FILE, train_together
from xpronet.experiment.test_scores import PREDICTIONS_FILE, SPLIT, score_test_once
from xpronet.experiment.variant_table import RowNotes, VariantTable, baseline_rows, best_constants, make_variant
from xpronet.experiment.variants import with_seed
from xpronet.files import read_json, write_text
from xpronet.progress import Item, Tracker, silent
from xpronet.prototypes.bank import PrototypeBank
from xpronet.training.checkpoints import last_checkpoint
from xpronet.training.interrupts import Interrupted

BANKS_FOLDER = "banks"
TABLE_FILE = "table.json"
STAMP = (
    "corpus",
    "split",
    "protocol",
    "cleaning",
    "truncation",
    "rare words",
    "findings",
    "METEOR",
    "intervals",
    "versions",
)
"""Entries of a scorecard's stamp that are the same for all trials."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One variant of a recipe with one seed."""

    variant: str
    """What the variant is called."""
    recipe: Recipe
    """What is trained, seed included."""

    @property
    def title(self) -> str:
        """Return the trial's name in messages."""
        return f"{self.variant}, seed {self.recipe.train.seed}"

    @property
    def path(self) -> Path:
        """Return the trial's run folder, relative to the folder of trials."""
        words = re.sub(r"[^a-z0-9.]+", "-", self.variant.lower().replace("w/o", "without")).strip("-")
        return Path(words) / f"seed-{self.recipe.train.seed}"


@dataclass(frozen=True, kw_only=True)
class TrialOutcome:
    """The outcome of a trial."""

    trial: Trial
    """The trial."""
    card: Mapping[str, Any]
    """Its scorecard, as in scorecard.json."""
    was_finished: bool
    """Whether it had been finished before, so that nothing was done."""

    @property
    def line(self) -> str:
        """Return the outcome in a line."""
        scores = self.card["model"]["scores"]
        values = (f"{name} {scores[name]['value']:.3f}" for name in ("BLEU-4", MAIN) if name in scores)
        return f"{self.trial.title}: {', '.join(values)}{' (was finished before)' if self.was_finished else ''}"


@dataclass(frozen=True, kw_only=True)
class TrialFolder:
    """A folder of trials of one recipe; `open_trials` makes or reopens it."""

    folder: Path
    """The folder."""
    recipe: Recipe
    """What all variants derive from."""
    protocol: ProtocolName
    """The form in which texts are compared."""
    with_meteor: bool = True
    """Whether METEOR is scored, which starts Java."""
    with_retrieval: bool = False
    """Whether one scorecard has the row of the most similar train image, whose features are those of its model."""

    def run(
        self, variants: Mapping[str, Recipe], seeds: Sequence[int], *, track: Tracker = silent
    ) -> Iterator[TrialOutcome]:
        """Run each variant with each seed, all variants with the first seed first; finished trials are not repeated.

        Args:
            variants: recipes by the name of the variant; their own seeds are ignored.
            seeds: of training. The seed of the prototypes is the recipe's, so that all seeds start from the same ones
                (with random backbone weights each seed has a backbone, and so prototypes, of its own).
            track: shows the progress of each trial.

        Raises:
            InputError: a variant cannot be trained or scored, or was scored under another protocol.
            Interrupted: a signal asked to stop; the same call continues from there.
        """
        for seed in dict.fromkeys(seeds):
            for variant, recipe in variants.items():
                trial = Trial(variant=variant, recipe=with_seed(recipe, seed))
                yield self._run(trial, _titled(track, trial.title))

    def compare(
        self,
        title: str,
        variants: Mapping[str, Recipe],
        seeds: Sequence[int],
        *,
        notes: Mapping[str, RowNotes] | None = None,
        baselines: Mapping[str, RowNotes] | None = None,
        track: Tracker = silent,
        notify: Callable[[str], object],
    ) -> VariantTable:
        """Run each variant with each seed, and return all scores side by side.

        Args:
            title: what is compared.
            variants: as in `run`.
            seeds: as in `run`.
            notes: what a reader must know of a variant, by its name.
            baselines: rows of the scorecards that stand below the variants, with their notes; by default the best
                constants.
            track: as in `run`.
            notify: takes a line after each trial.

        Raises:
            InputError: as in `run`.
            Interrupted: as in `run`.
        """
        cards: dict[str, list[Mapping[str, Any]]] = {name: [] for name in variants}
        for outcome in self.run(variants, seeds, track=track):
            cards[outcome.trial.variant].append(outcome.card)
            notify(outcome.line)
        first = next(iter(cards.values()))[0]
        shared = {name: first["stamp"][name] for name in STAMP if name in first["stamp"]}
        return VariantTable(
            title=f"{title}: {first['studies']} test studies, {first['abnormal_studies']} of them abnormal",
            stamp={**shared, "seeds": ", ".join(map(str, dict.fromkeys(seeds)))},
            variants=tuple(make_variant(name, each, (notes or {}).get(name)) for name, each in cards.items()),
            # Constants depend on the corpus alone: those of one scorecard are those of all.
            constants=best_constants(first)
            if baselines is None
            else baseline_rows([*chain.from_iterable(cards.values()), *self._scorecards()], baselines),
        )

    def bank(self, recipe: Recipe, *, track: Tracker = silent) -> PrototypeBank:
        """Return the prototypes that a recipe starts from; the first call makes them for all trials that share them."""
        path = self.folder / BANKS_FOLDER / f"{_bank_key(recipe)}.safetensors"
        if not path.is_file():
            initial_bank(recipe, track=track).save(path)
        return PrototypeBank.load(path)

    def _scorecards(self) -> Iterator[Mapping[str, Any]]:
        """Yield the scorecards of all finished trials."""
        for path in sorted(self.folder.glob(f"*/*/{SCORECARD_FILE}")):
            yield read_json(path)

    def _has_retrieval(self) -> bool:
        return any(row["name"] == RETRIEVAL for card in self._scorecards() for row in card["baselines"])

    def _run(self, trial: Trial, track: Tracker) -> TrialOutcome:
        run = self.folder / trial.path
        finished = (run / SCORECARD_FILE).is_file()
        if not finished and not (run / PREDICTIONS_FILE).is_file():
            self._train(trial, run, track)
        card = score_test_once(
            trial.recipe,
            run,
            title=trial.title,
            protocol=self.protocol,
            with_meteor=self.with_meteor,
            with_retrieval=self.with_retrieval and not finished and not self._has_retrieval(),
            track=track,
        )
        if card["stamp"]["protocol"] != self.protocol:
            raise InputError(
                f"{run / SCORECARD_FILE}: scored under protocol {card['stamp']['protocol']}, not {self.protocol}; "
                "ask for that one, or remove the file to score its predictions again"
            )
        return TrialOutcome(trial=trial, card=card, was_finished=finished)

    def _train(self, trial: Trial, run: Path, track: Tracker) -> None:
        resumed = last_checkpoint(run) is not None
        if run.is_dir() and not resumed:
            # Interrupted before the first checkpoint: nothing there is worth keeping.
            shutil.rmtree(run)
        recipe = trial.recipe
        bank = self.bank(recipe, track=track) if wants_bank(recipe) else None
        try:
            train_together(recipe, run, bank=bank, resumed=resumed, track=track)
        except Interrupted as stopped:
            reason = str(stopped).partition(";")[0]
            raise Interrupted(f"{trial.title}: {reason}; the same command continues from there") from None


def open_trials(
    folder: Path,
    recipe: Recipe,
    *,
    protocol: ProtocolName,
    with_meteor: bool = True,
    with_retrieval: bool = False,
) -> TrialFolder:
    """Make a folder of trials, or reopen one that was begun with the same recipe.

    Raises:
        InputError: the recipe names no corpus with train, validation and test studies; or the folder holds something
            else, or trials of another recipe.
    """
    corpus = recipe_corpus(recipe)
    for split in ("train", "val", SPLIT):
        corpus.split(split)
    path = folder / RECIPE_FILE
    if path.is_file():
        changed = differences(read_recipe(path), recipe)
        if changed:
            name, (before, now) = next(iter(changed.items()))
            more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
            raise InputError(
                f"{folder}: was begun with another recipe ({name} = {before!r}, now {now!r}{more}); "
                "choose another folder"
            )
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: holds something other than trials; choose another name")
    else:
        write_text(path, recipe.to_toml())
    return TrialFolder(
        folder=folder, recipe=recipe, protocol=protocol, with_meteor=with_meteor, with_retrieval=with_retrieval
    )


def _bank_key(recipe: Recipe) -> str:
    """Return a name for the prototypes that a recipe starts from: the same name for the same prototypes."""
    tree = dataclasses.asdict(recipe)
    settings = {name: tree[name] for name in ("corpus", "images", "backbone", "weights", "text", "prototypes")}
    if recipe.weights in (AUTO, RANDOM):
        settings["seed"] = recipe.train.seed
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]


def _titled(track: Tracker, title: str) -> Tracker:
    """Return a tracker that puts the trial's title before each description."""

    def tracked(items: Iterable[Item], description: str, total: int) -> Iterable[Item]:
        return track(items, f"{title}: {description}", total)

    return tracked
