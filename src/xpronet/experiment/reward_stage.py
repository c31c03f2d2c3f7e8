"""Builds what a recipe's [reward] describes: the objective of the stage, and the validation score by reward."""

from collections.abc import Callable, Mapping, Sequence

from xpronet.data.study import Study
from xpronet.experiment.recipe import Recipe
from xpronet.labels.rules import RuleLabeler
from xpronet.model.checkpoint import Checkpoint
from xpronet.text.cleaning import CLEANINGS
from xpronet.training.reward import Reward, count_documents
from xpronet.training.reward_step import RewardObjective, TextSettings


def make_objective(
    recipe: Recipe, checkpoint: Checkpoint, train: Sequence[Study], *, first_stage: Checkpoint | None
) -> RewardObjective:
    """Return the objective of a stage with reward, whose references are the train reports alone.

    Args:
        recipe: with samples to reward.
        checkpoint: the model to train.
        train: the train studies.
        first_stage: the same model once more, for the anchor "kl".

    Raises:
        InputError: the anchor does not fit a trained image encoder.
    """
    return RewardObjective(
        checkpoint.network,
        _make_reward(recipe, train, train),
        text=TextSettings(
            vocabulary=checkpoint.vocabulary, findings=checkpoint.findings, max_words=recipe.generate.max_words
        ),
        loss_settings=recipe.loss,
        freeze_encoder=recipe.train.freeze_backbone,
        first_stage=None if first_stage is None else first_stage.network,
    )


def validation_reward(
    recipe: Recipe, train: Sequence[Study], val: Sequence[Study]
) -> Callable[[Sequence[str]], Mapping[str, float]]:
    """Return what gives the mean reward, and its parts, of reports about the validation studies, in their order."""
    reward = _make_reward(recipe, train, val)
    return lambda reports: reward.means((study.id, text) for study, text in zip(val, reports, strict=True))


def _make_reward(recipe: Recipe, train: Sequence[Study], studies: Sequence[Study]) -> Reward:
    # Lower case as in every score, whatever the model writes.
    clean = CLEANINGS[recipe.vocabulary.cleaning]
    return Reward(
        recipe.reward,
        {study.id: study.report for study in studies},
        cider=count_documents((study.report for study in train), clean, recipe.reward),
        clean=clean,
        labeler=RuleLabeler(),
    )
