"""The test split of a run: reports and scores, made once, after every choice was made on the validation split."""

from pathlib import Path
from typing import Any

from xpronet.data.feature_cache import open_feature_cache
from xpronet.device import best_device
from xpronet.evaluation.corpus_context import corpus_context
from xpronet.evaluation.model_origin import SCORECARD_FILE
from xpronet.evaluation.prediction_files import read_predictions
from xpronet.evaluation.render import scorecard_markdown
from xpronet.evaluation.retrieval import most_similar_reports
from xpronet.evaluation.scored_model import open_scored_model
from xpronet.evaluation.scoring import score
from xpronet.evaluation.text_protocol import ProtocolName
from xpronet.experiment.recipe import Recipe
from xpronet.experiment.recipe_parts import label_source, recipe_corpus
from xpronet.files import read_json, write_json, write_text
from xpronet.generation.generator import ReportGenerator
from xpronet.generation.predictions import read_provenance, write_predictions
from xpronet.model.checkpoint import load_checkpoint
from xpronet.progress import Tracker, silent

PREDICTIONS_FILE = "predictions.jsonl"
SPLIT = "test"


def score_test_once(
    recipe: Recipe,
    run: Path,
    *,
    title: str,
    protocol: ProtocolName,
    with_meteor: bool = True,
    with_retrieval: bool = False,
    track: Tracker = silent,
) -> dict[str, Any]:
    """Return the run's scorecard; the first call makes it with the best checkpoint, later ones read it.

    Leaves predictions.jsonl, scorecard.md and scorecard.json in the run folder.

    Args:
        recipe: what was trained, and its corpus.
        run: the run folder.
        title: names the run in the scorecard.
        protocol: the form in which texts are compared.
        with_meteor: whether METEOR is scored, which starts Java.
        with_retrieval: whether the report of the most similar train image is scored beside the model's.
        track: shows the progress of generation.

    Raises:
        InputError: the corpus has no test studies, or the run no checkpoint.
    """
    path = run / SCORECARD_FILE
    if not path.is_file():
        if not (run / PREDICTIONS_FILE).is_file():
            write_test_reports(recipe, run, track=track)
        context = corpus_context(recipe_corpus(recipe), SPLIT)
        predictions = read_predictions(run / PREDICTIONS_FILE, context.references)
        stamp, notes = context.check(predictions)
        retrieved = None
        if with_retrieval:
            source = open_scored_model(
                predictions,
                run=run,
                corpus=recipe_corpus(recipe),
                origin=read_provenance(run / PREDICTIONS_FILE),
                allow_code=True,
                track=track,
            )
            retrieved = most_similar_reports(source)
        card = score(
            predictions,
            train_reports=context.train_reports,
            val=context.val_reports,
            retrieved=retrieved,
            protocol=protocol,
            stamp={"trial": title, **stamp},
            notes=notes,
            with_meteor=with_meteor,
        )
        write_text(path.with_suffix(".md"), scorecard_markdown(card), overwrite=True)
        # Written last: its presence means that the run is scored.
        write_json(path, card.to_dict())
    record: dict[str, Any] = read_json(path)
    return record


def write_test_reports(recipe: Recipe, run: Path, *, track: Tracker = silent) -> None:
    """Generate reports about the test studies with the run's best checkpoint."""
    corpus = recipe_corpus(recipe)
    checkpoint = load_checkpoint(run, allow_code=True)  # the recipe named it
    generator = ReportGenerator(
        checkpoint,
        device=best_device(),
        settings=recipe.generate,
        labels_from=label_source(checkpoint.network.settings),
        features=open_feature_cache(recipe.features) if recipe.features else None,
    )
    # The file beside the predictions may be left over from an attempt that was interrupted.
    write_predictions(
        run / PREDICTIONS_FILE, generator, run=run, corpus=corpus, split=SPLIT, overwrite=True, track=track
    )
