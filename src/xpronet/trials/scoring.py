"""The test split of a run, written about and scored once, when everything has been decided on the validation split."""

from pathlib import Path
from typing import Any

from xpronet.evaluate.predictions import read_predictions
from xpronet.evaluate.protocol import ProtocolName
from xpronet.evaluate.scorecard import score
from xpronet.evaluate.surroundings import surroundings
from xpronet.evaluate.tables import scorecard_markdown
from xpronet.files import read_json, write_json, write_text
from xpronet.generate.origin import write_predictions
from xpronet.generate.writer import Writer
from xpronet.model.checkpoint import best_device, load_checkpoint
from xpronet.preparation import label_source, recipe_corpus
from xpronet.progress import Tracker, silent
from xpronet.recipe import Recipe

PREDICTIONS_FILE = "predictions.jsonl"
SCORECARD_FILE = "scorecard.json"
SPLIT = "test"


def score_test_once(
    recipe: Recipe,
    run: Path,
    *,
    title: str,
    protocol: ProtocolName,
    with_meteor: bool = True,
    track: Tracker = silent,
) -> dict[str, Any]:
    """Return the run's scorecard, made with its best checkpoint at the first call and never again.

    Leaves predictions.jsonl, scorecard.md and scorecard.json in the run folder.

    Args:
        recipe: what was trained, and its corpus.
        run: the run folder.
        title: names the run in the scorecard.
        protocol: the form in which texts are compared.
        with_meteor: whether METEOR is scored, which starts Java.
        track: tells how far the writing is.

    Raises:
        InputError: the corpus has no test studies, or the run no checkpoint.
    """
    path = run / SCORECARD_FILE
    if not path.is_file():
        if not (run / PREDICTIONS_FILE).is_file():
            write_test_reports(recipe, run, track=track)
        around = surroundings(recipe_corpus(recipe), SPLIT)
        scored = read_predictions(run / PREDICTIONS_FILE, around.references)
        stamp, notes = around.check(scored)
        card = score(
            scored,
            train_reports=around.train_reports,
            val=around.val_reports,
            protocol=protocol,
            stamp={"trial": title, **stamp},
            notes=notes,
            with_meteor=with_meteor,
        )
        write_text(path.with_suffix(".md"), scorecard_markdown(card), overwrite=True)
        # Last of all: this file says that the run is scored.
        write_json(path, card.record())
    record: dict[str, Any] = read_json(path)
    return record


def write_test_reports(recipe: Recipe, run: Path, *, track: Tracker = silent) -> None:
    """Write reports about the test studies with the run's best checkpoint."""
    corpus = recipe_corpus(recipe)
    checkpoint = load_checkpoint(run, allow_code=True)  # the recipe named it
    writer = Writer(
        checkpoint,
        device=best_device(),
        settings=recipe.generate,
        labels_from=label_source(checkpoint.network.settings),
    )
    # The file beside the predictions may be left of an attempt that was broken off.
    write_predictions(run / PREDICTIONS_FILE, writer, run=run, corpus=corpus, split=SPLIT, overwrite=True, track=track)
