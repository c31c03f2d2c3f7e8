"""Builds what a recipe describes: the network, the data and the prototypes."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from xpronet.data.corpus import Corpus, open_corpus
from xpronet.data.dataset import StudyDataset
from xpronet.data.feature_cache import FeatureCache, open_feature_cache
from xpronet.data.study import Study
from xpronet.encoders.build import (
    as_module,
    build_image_encoder,
    check_image_encoder,
    encoder_fingerprint,
    image_encoder_name,
)
from xpronet.encoders.image_encoder import ImageEncoder
from xpronet.encoders.text_encoders import build_text_encoder, text_encoder_name
from xpronet.errors import InputError
from xpronet.evaluation.epoch_score import EpochScore, protocol_of
from xpronet.experiment.recipe import Recipe
from xpronet.experiment.reward_stage import make_objective, validation_reward
from xpronet.experiment.validation_samples import sample_reports
from xpronet.files import confined
from xpronet.generation.generator import LabelsFrom, ReportGenerator
from xpronet.generation.predictions import write_reports
from xpronet.labels.findings import FINDINGS
from xpronet.labels.label_tables import label_matrix, read_labels
from xpronet.model.build import build_report_model, derive_data
from xpronet.model.checkpoint import DEFAULT_THRESHOLD, Checkpoint, best_device
from xpronet.model.network import XProNet
from xpronet.model.report_model import DerivedData, TrainStudies
from xpronet.model.settings import ModelSettings
from xpronet.precision import Precision, settled_precision
from xpronet.progress import Tracker, silent
from xpronet.prototypes.bank import PrototypeBank
from xpronet.prototypes.cluster import cluster_findings
from xpronet.prototypes.features import extract_features
from xpronet.prototypes.published_bank import SUFFIXES, PublishedOrder, read_published_bank
from xpronet.text.vocabulary import Vocabulary, build_vocabulary
from xpronet.training.checkpoints import TrainerState
from xpronet.training.distributed import DistributedContext
from xpronet.training.loop import fit
from xpronet.training.optimiser import count_steps
from xpronet.training.reward_step import RewardObjective
from xpronet.training.tensorboard import Sample, check_tensorboard

VAL_BATCH = 32
"""Studies per batch when reports are generated to choose the best epoch."""


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
    train_labels, val_labels = _labels(recipe, corpus, train), _labels(recipe, corpus, val)
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
    score_reports = _report_scorer(recipe, corpus, train, val, features, context)
    if start is None:
        if bank is None and wants_bank(recipe) and context.is_main:
            with context.while_others_wait():
                bank = make_bank(recipe, corpus, train, train_labels, backbone, context.device, features, track=track)
        if context.any(bank is not None):
            bank = _broadcast_bank(bank, context)
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


def wants_bank(recipe: Recipe) -> bool:
    """Return whether training starts from prototypes made by clustering; the model's bank settings follow from them."""
    return recipe.bank == "clusters" and recipe.model.visible != "none"


def with_precision(recipe: Recipe, precision: Precision) -> Recipe:
    """Return the recipe with another precision of training."""
    return dataclasses.replace(recipe, train=dataclasses.replace(recipe.train, precision=precision))


def _broadcast_bank(bank: PrototypeBank | None, context: DistributedContext) -> PrototypeBank:
    """Return the main process's bank in all processes."""
    if context.count == 1:
        assert bank is not None
        return bank
    about: dict[str, Any] | None = None
    if bank is not None:
        about = {item.name: getattr(bank, item.name) for item in dataclasses.fields(bank) if item.name != "vectors"}
        about |= {"counts": dict(bank.counts), "images": dict(bank.images), "shape": list(bank.vectors.shape)}
    about = dict(context.broadcast_values(about))
    shape = about.pop("shape")
    vectors = torch.empty(shape) if bank is None else torch.from_numpy(bank.vectors)
    context.broadcast([vectors])
    about |= {"findings": tuple(about["findings"]), "notes": tuple(about["notes"])}
    return PrototypeBank(vectors=vectors.numpy(), **about)


def recipe_corpus(recipe: Recipe) -> Corpus:
    """Read the corpus that a recipe names; of the sections, only the reports.

    Raises:
        InputError: the recipe names no corpus, or there is none.
    """
    if not recipe.corpus:
        raise InputError("no corpus: give --corpus FOLDER, or `corpus = ...` in the recipe")
    return open_corpus(Path(recipe.corpus), with_sections=False)


def initial_bank(recipe: Recipe, *, track: Tracker = silent) -> PrototypeBank:
    """Make the prototypes that training by a recipe starts from, without training.

    Raises:
        InputError: the recipe wants no prototypes, the corpus has no labels or images, or an encoder is missing.
    """
    if not wants_bank(recipe):
        raise InputError(
            f"bank = {recipe.bank!r}, model.visible = {recipe.model.visible!r}: this recipe trains without prototypes "
            "made by clustering; choose bank = 'clusters' and model.visible = 'findings'"
        )
    corpus = recipe_corpus(recipe)
    train = corpus.split("train")
    backbone = build_backbone(recipe)
    features = open_recipe_features(recipe, backbone)
    return make_bank(
        recipe, corpus, train, _labels(recipe, corpus, train), backbone, best_device(), features, track=track
    )


def build_backbone(recipe: Recipe) -> ImageEncoder:
    """Build the image encoder that a recipe names; a recipe is the user's own word, so outside code may run.

    Raises:
        InputError: it is missing, damaged, or does not make square maps of the recipe's images.
    """
    backbone = build_image_encoder(recipe.backbone, recipe.weights, seed=recipe.train.seed, allow_code=True)
    check_image_encoder(backbone, size=recipe.images.size)
    return backbone


def open_recipe_features(recipe: Recipe, backbone: ImageEncoder) -> FeatureCache | None:
    """Return the feature cache that a recipe names, if it names one.

    Raises:
        InputError: the recipe trains its backbone, or another image encoder or image setting made the cache.
    """
    if not recipe.features:
        return None
    if not recipe.train.freeze_backbone:
        raise InputError(
            f"features = {recipe.features!r}: only a frozen image encoder's features stay what they were; set "
            "train.freeze_backbone = true, or leave features out"
        )
    features = open_feature_cache(recipe.features)
    features.check_encoder(name=recipe_encoder_name(recipe), weights=encoder_fingerprint(backbone))
    features.check_images(recipe.images)
    return features


def recipe_encoder_name(recipe: Recipe) -> str:
    """Name the image encoder of a recipe and its weights, for the files made with it."""
    return image_encoder_name(recipe.backbone, recipe.weights, seed=recipe.train.seed)


def load_bank(path: Path, recipe: Recipe, *, published_order: PublishedOrder = "iu-xray") -> PrototypeBank:
    """Read prototypes to train with: a bank of ours, or the authors' own init_prototypes.pt.

    Args:
        path: a bank made by `xpronet prototypes`, or a .pt file.
        recipe: what they are to be used with.
        published_order: the order of the classes in a .pt file.

    Raises:
        InputError: the file is missing, damaged or not a bank, or was made with another image encoder, image setting
            or text encoder; the line names it.
    """
    if path.suffix in SUFFIXES:
        # The authors' file says nothing of what made it: only its width can be checked.
        return read_published_bank(path, image_width=build_backbone(recipe).width_out, order=published_order)
    bank = PrototypeBank.load(path)
    bank.refuse_others(
        path,
        image_encoder=recipe_encoder_name(recipe),
        text_encoder=text_encoder_name(recipe.text),
        images=recipe.images,
        per_finding=recipe.prototypes.per_finding,
    )
    return bank


def label_source(model: ModelSettings) -> LabelsFrom:
    """Return what decides which prototypes a trained model may query when it generates reports.

    Its predicted findings where it has a findings head; those of the reference (an oracle) where it has none and needs
    findings; nothing where it may query all prototypes anyway, or has none.
    """
    if model.findings_head:
        return "predicted"
    return "reference" if model.visible == "findings" else "all"


def make_bank(
    recipe: Recipe,
    corpus: Corpus,
    train: Sequence[Study],
    labels: Float[np.ndarray, "studies findings"],
    backbone: ImageEncoder,
    device: torch.device,
    features: FeatureCache | None = None,
    *,
    track: Tracker = silent,
) -> PrototypeBank:
    """Make the initial prototypes from the train studies (paper, section 3.2), from a feature cache if there is one."""
    as_module(backbone).to(device)
    reports = [study.report for study in train]
    seed = recipe.prototypes.seed
    text = build_text_encoder(recipe.text, reports, seed=seed, device=str(device), allow_code=True)
    if features is not None:
        features.check_studies(corpus, train, max_views=max(len(study.views) for study in train))
    seen = extract_features(
        corpus,
        train,
        backbone=backbone,
        image_encoder=recipe_encoder_name(recipe),
        images=recipe.images,
        text=text,
        text_encoder=text_encoder_name(recipe.text),
        precision=recipe.train.precision,
        features=features,
        track=track,
    )
    return cluster_findings(seen, labels, recipe.prototypes, track=track)


def _report_scorer(
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


def steps_per_epoch(recipe: Recipe, num_studies: int) -> int:
    """Return the optimiser steps of one epoch over a number of train studies."""
    return count_steps(num_studies, batch_size=recipe.batches.size, accumulate=recipe.train.accumulate)


def _labels(recipe: Recipe, corpus: Corpus, studies: Sequence[Study]) -> Float[np.ndarray, "studies findings"]:
    path = confined(corpus.folder, recipe.labels)
    if not path.is_file():
        raise InputError(f"{corpus.folder}: no {recipe.labels}; make it with `xpronet label {corpus.folder}`")
    ids = [study.id for study in studies]
    return label_matrix(read_labels(path, ids), ids)
