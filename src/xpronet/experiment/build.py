"""Builds what a recipe describes: the network, the data and the prototypes."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from xpronet.data.dataset import StudyDataset
from xpronet.data.study import Study
from xpronet.device import best_device
from xpronet.encoders.image_encoder import ImageEncoder
from xpronet.errors import InputError
from xpronet.experiment.initial_prototypes import broadcast_bank, make_bank
from xpronet.experiment.recipe import Recipe
from xpronet.experiment.recipe_parts import (
    build_backbone,
    label_source,
    open_recipe_features,
    recipe_corpus,
    recipe_labels,
    wants_bank,
    with_precision,
)
from xpronet.experiment.reward_stage import make_objective
from xpronet.experiment.validation_reports import report_scorer
from xpronet.experiment.validation_samples import sample_reports
from xpronet.generation.generator import ReportGenerator
from xpronet.labels.findings import FINDINGS
from xpronet.model.build import build_report_model, derive_data
from xpronet.model.checkpoint import DEFAULT_THRESHOLD, Checkpoint
from xpronet.model.network import XProNet
from xpronet.model.report_model import DerivedData, TrainStudies
from xpronet.precision import settled_precision
from xpronet.progress import Tracker, silent
from xpronet.prototypes.bank import PrototypeBank
from xpronet.text.vocabulary import Vocabulary, build_vocabulary
from xpronet.training.checkpoints import TrainerState
from xpronet.training.distributed import DistributedContext
from xpronet.training.loop import fit
from xpronet.training.reward_step import RewardObjective
from xpronet.training.tensorboard import Sample, check_tensorboard


@dataclass(frozen=True, kw_only=True)
class PreparedExperiment:
    """What training starts from."""

    recipe: Recipe
    """The recipe, with the settings that follow from the prototypes and the device filled in."""
    checkpoint: Checkpoint
    """The initial network."""
    bank: PrototypeBank | None
    """Its initial prototypes."""
    derived: DerivedData | None
    """What the report model derived from the train studies."""
    train_set: StudyDataset
    """Studies to train on."""
    val_set: StudyDataset
    """Studies to choose the best epoch by."""
    context: DistributedContext
    """The processes that train together, and this one's device."""
    score_reports: Callable[[Checkpoint], Mapping[str, float]] | None
    """Scores generated reports about the validation studies, where the best epoch is chosen by them."""
    objective: RewardObjective | None
    """What a stage with reward minimises."""

    @property
    def device(self) -> torch.device:
        """Return the device to compute on."""
        return self.context.device

    def fit(
        self,
        run: Path,
        *,
        resumed: bool,
        track: Tracker = silent,
        notify: Callable[[str], object] = lambda _: None,
    ) -> TrainerState:
        """Train in a run folder; see `xpronet.training.loop.fit`."""
        return fit(
            run,
            self.checkpoint,
            self.train_set,
            self.val_set,
            settings=self.recipe.train,
            loss_settings=self.recipe.loss,
            batch_settings=self.recipe.batches,
            context=self.context,
            score_reports=self.score_reports,
            generate_samples=self._generate_samples if self.recipe.train.tensorboard else None,
            objective=self.objective,
            resumed=resumed,
            track=track,
            notify=notify,
        )

    def _generate_samples(self, checkpoint: Checkpoint) -> list[Sample]:
        corpus = recipe_corpus(self.recipe)
        generator = ReportGenerator(
            checkpoint,
            device=self.device,
            settings=self.recipe.generate,
            labels_from=label_source(self.recipe.model),
            precision=settled_precision(self.recipe.train.precision, self.device),
        )
        return sample_reports(generator, corpus, corpus.split("val"))


def prepare(
    recipe: Recipe,
    *,
    bank: PrototypeBank | None = None,
    load_start: Callable[[], Checkpoint] | None = None,
    context: DistributedContext | None = None,
    track: Tracker = silent,
) -> PreparedExperiment:
    """Build the network and the data that a recipe describes.

    Args:
        recipe: the experiment.
        bank: prototypes made before; by default the main process makes them as the recipe says. Those that the main
            process has are those of all.
        load_start: reads the model that a later stage starts from (`first_stage.load_first_stage`): its network,
            vocabulary and thresholds are taken, and no prototypes are made.
        context: the processes that train together; by default this process is alone.
        track: shows progress.

    Raises:
        InputError: the recipe, corpus, labels or bank do not fit each other.
    """
    context = context or DistributedContext(device=best_device())
    precision = context.broadcast_values(settled_precision(recipe.train.precision, context.device))
    recipe = with_precision(recipe, precision)
    if recipe.train.tensorboard:
        check_tensorboard()
    corpus = recipe_corpus(recipe)
    train, val = corpus.split("train"), corpus.split("val")
    start = None if load_start is None else load_start()
    train_labels, val_labels = recipe_labels(recipe, corpus, train), recipe_labels(recipe, corpus, val)
    vocabulary = build_vocabulary((study.report for study in train), recipe.vocabulary)
    derived = _derived(recipe, train, train_labels, vocabulary, start)
    if derived is not None:
        vocabulary = derived.vocabulary
    if start is not None:
        vocabulary = start.vocabulary
    backbone = start.network.backbone if start else build_backbone(recipe)
    features = open_recipe_features(recipe, backbone)
    # Checked before the long work: a study without views should not cost hours first.
    train_set, val_set = (
        StudyDataset(
            corpus,
            studies,
            vocabulary=vocabulary,
            findings=labels,
            images=recipe.images,
            max_views=recipe.batches.max_views,
            augment=augment,
            drop_views=recipe.batches.drop_views if augment else 0.0,
            keep_megabytes=recipe.batches.keep_megabytes,
            seed=recipe.train.seed,
            features=features,
            encode=None if derived is None else derived.encode,
        )
        for studies, labels, augment in ((train, train_labels, True), (val, val_labels, False))
    )
    score_reports = report_scorer(recipe, corpus, train, val, features, context)
    if start is None:
        if bank is None and wants_bank(recipe) and context.is_main:
            with context.while_others_wait():
                bank = make_bank(recipe, corpus, train, train_labels, backbone, context.device, features, track=track)
        if context.any(bank is not None):
            bank = broadcast_bank(bank, context)
        recipe, checkpoint = _new_model(recipe, backbone, vocabulary, bank, derived)
    else:
        bank, checkpoint = None, start
        checkpoint.search, checkpoint.gate = recipe.generate, None
        recipe = dataclasses.replace(recipe, model=start.network.settings)
    objective = None
    if recipe.reward.samples:
        again = load_start() if load_start is not None and recipe.reward.anchor == "kl" else None
        objective = make_objective(recipe, checkpoint, train, first_stage=again)
    return PreparedExperiment(
        recipe=recipe,
        checkpoint=checkpoint,
        bank=bank,
        derived=derived,
        train_set=train_set,
        val_set=val_set,
        context=context,
        score_reports=score_reports,
        objective=objective,
    )


def _derived(
    recipe: Recipe,
    train: Sequence[Study],
    labels: Float[np.ndarray, "studies findings"],
    vocabulary: Vocabulary,
    start: Checkpoint | None,
) -> DerivedData | None:
    """Return what the report model derives from the train studies, which is what the model of a first stage derived.

    Raises:
        InputError: the first stage was trained on other studies.
    """
    studies = TrainStudies(
        reports=tuple(study.report for study in train), findings=labels == 1, names=FINDINGS, vocabulary=vocabulary
    )
    derived = derive_data(recipe.model, studies, allow_code=True)  # the recipe named it
    if start is not None and derived is not None and derived.record != start.network.derived:
        raise InputError(
            f"{recipe.corpus}: {recipe.model.name} derives other data from its train studies than the first stage did; "
            "train both stages on one corpus"
        )
    return derived


def _new_model(
    recipe: Recipe,
    backbone: ImageEncoder,
    vocabulary: Vocabulary,
    bank: PrototypeBank | None,
    derived: DerivedData | None,
) -> tuple[Recipe, Checkpoint]:
    """Return the recipe with the settings that follow from the prototypes, and the initial network with these."""
    if bank is not None:
        model = dataclasses.replace(
            recipe.model, bank_rows=len(bank.vectors), bank_width=bank.width, per_finding=bank.per_finding
        )
        recipe = dataclasses.replace(recipe, model=model)

    torch.manual_seed(recipe.train.seed)
    network = build_report_model(
        recipe.model,
        backbone=backbone,
        num_words=len(vocabulary),
        padding=vocabulary.padding,
        num_findings=len(FINDINGS),
        derived=None if derived is None else derived.record,
        allow_code=True,  # the recipe named it
    )
    if bank is not None and isinstance(network, XProNet) and network.matching is not None:
        with torch.no_grad():
            network.matching.bank.copy_(torch.from_numpy(bank.vectors))
    checkpoint = Checkpoint(
        network=network,
        vocabulary=vocabulary,
        images=recipe.images,
        max_views=recipe.batches.max_views,
        search=recipe.generate,
        findings=FINDINGS,
        thresholds=dict.fromkeys(FINDINGS, DEFAULT_THRESHOLD),
    )
    return recipe, checkpoint
