"""Reports about the validation studies after an epoch, and their score, where the best epoch is chosen by it."""

from collections.abc import Callable, Mapping, Sequence
from itertools import chain

from xpronet.data.corpus import Corpus
from xpronet.data.feature_cache import FeatureCache
from xpronet.data.study import Study
from xpronet.errors import InputError
from xpronet.evaluation.epoch_score import EpochScore, protocol_of
from xpronet.experiment.recipe import Recipe
from xpronet.experiment.recipe_parts import label_source
from xpronet.experiment.reward_stage import validation_reward
from xpronet.generation.generator import ReportGenerator
from xpronet.generation.predictions import write_reports
from xpronet.model.checkpoint import Checkpoint
from xpronet.precision import settled_precision
from xpronet.training.distributed import DistributedContext

VAL_BATCH = 32
"""Studies per batch when reports are generated to choose the best epoch."""


def report_scorer(
    recipe: Recipe,
    corpus: Corpus,
    train: Sequence[Study],
    val: Sequence[Study],
    features: FeatureCache | None,
    context: DistributedContext,
) -> Callable[[Checkpoint], Mapping[str, float]] | None:
    """Return what generates and scores reports about the validation studies, where the best epoch is chosen by them."""
    score = _score_of_reports(recipe, train, val)
    if score is None:
        return None

    def score_reports(checkpoint: Checkpoint) -> Mapping[str, float]:
        generator = ReportGenerator(
            checkpoint,
            device=context.device,
            settings=recipe.generate,
            labels_from=label_source(recipe.model),
            precision=settled_precision(recipe.train.precision, context.device),
            features=features,
        )
        # Processes take whole batches, so that each study is in the same batch as in a single process.
        batches = [val[first : first + VAL_BATCH] for first in range(0, len(val), VAL_BATCH)]
        own = [study for batch in batches[context.rank :: context.count] for study in batch]
        generated = write_reports(generator, corpus, own, batch=VAL_BATCH)
        parts = context.gather_values([[report.id, report.text] for report in generated])
        texts = dict(chain.from_iterable(parts))
        reports = [texts[study.id] for study in val]
        return dict(context.broadcast_values(score(reports) if context.is_main else None))

    return score_reports


def _score_of_reports(
    recipe: Recipe, train: Sequence[Study], val: Sequence[Study]
) -> Callable[[Sequence[str]], Mapping[str, float]] | None:
    """Return what scores reports about the validation studies, in their order, by name; None where nothing is wanted.

    Raises:
        InputError: the score needs METEOR, which is not there, or a reward, which the recipe has not.
    """
    by = recipe.train.best_by
    if by == "reward":
        if not recipe.reward.samples:
            raise InputError("train.best_by = 'reward': the recipe has no [reward]; set reward.samples = 5")
        return validation_reward(recipe, train, val)
    if by not in ("bleu4", "published"):
        return None
    score = EpochScore(
        by=by,
        references=tuple(study.report for study in val),
        train_reports=tuple(study.report for study in train),
        protocol=protocol_of(recipe.vocabulary.cleaning),
    )
    score.check()
    return lambda reports: {by: score(reports)}
