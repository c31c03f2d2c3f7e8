"""What training begins with: the network, the data and the prototypes that a recipe describes."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from xpronet.data.corpus import LABELS_FILE, Corpus, open_corpus
from xpronet.data.dataset import StudyDataset
from xpronet.data.study import Study
from xpronet.encoders.build import as_module, build_image_encoder, check_image_encoder, image_encoder_name
from xpronet.encoders.image_encoder import ImageEncoder
from xpronet.encoders.text_encoders import build_text_encoder, text_encoder_name
from xpronet.errors import InputError
from xpronet.evaluation.epoch_score import EpochScore, protocol_of
from xpronet.experiment.recipe import Recipe
from xpronet.experiment.validation_samples import sample_reports
from xpronet.generation.generator import LabelsFrom, ReportGenerator
from xpronet.generation.predictions import write_reports
from xpronet.labels.findings import FINDINGS
from xpronet.labels.label_tables import label_matrix, read_labels
from xpronet.model.build import build_report_model
from xpronet.model.checkpoint import DEFAULT_THRESHOLD, Checkpoint, best_device
from xpronet.model.network import XProNet
from xpronet.model.precision import Precision, settled_precision
from xpronet.model.settings import ModelSettings
from xpronet.progress import Tracker, silent
from xpronet.prototypes.bank import PrototypeBank
from xpronet.prototypes.cluster import cluster_findings
from xpronet.prototypes.features import extract_features
from xpronet.text.vocabulary import build_vocabulary
from xpronet.training.checkpoints import TrainerState
from xpronet.training.distributed import DistributedContext
from xpronet.training.loop import fit
from xpronet.training.optimiser import count_steps
from xpronet.training.tensorboard import Sample, load_tensorboard

JUDGED_AT_A_TIME = 32
"""Studies in a batch of the reports that the best epoch is chosen by."""


@dataclass(frozen=True, kw_only=True)
class PreparedExperiment:
    """What training begins with."""

    recipe: Recipe
    """With what follows from the prototypes filled in."""
    checkpoint: Checkpoint
    """The network as it begins."""
    bank: PrototypeBank | None
    """The prototypes in it."""
    train_set: StudyDataset
    """Studies to learn from."""
    val_set: StudyDataset
    """Studies to choose by."""
    processes: DistributedContext
    """Who shares the work, and where this process computes."""
    score_reports: Callable[[Checkpoint], float] | None
    """Scores reports about the validation studies, where the best epoch is chosen by them."""

    @property
    def device(self) -> torch.device:
        """Return where to compute."""
        return self.processes.device

    def fit(self, run: Path, *, resumed: bool, track: Tracker = silent) -> TrainerState:
        """Train in a run folder; see `xpronet.training.loop.fit`."""
        return fit(
            run,
            self.checkpoint,
            self.train_set,
            self.val_set,
            settings=self.recipe.train,
            loss_settings=self.recipe.loss,
            batch_settings=self.recipe.batches,
            processes=self.processes,
            score_reports=self.score_reports,
            write_samples=self._write_samples if self.recipe.train.tensorboard else None,
            resumed=resumed,
            track=track,
        )

    def _write_samples(self, checkpoint: Checkpoint) -> list[Sample]:
        corpus = recipe_corpus(self.recipe)
        writer = ReportGenerator(
            checkpoint,
            device=self.device,
            settings=self.recipe.generate,
            labels_from=label_source(self.recipe.model),
            precision=settled_precision(self.recipe.train.precision, self.device),
        )
        return sample_reports(writer, corpus, corpus.split("val"))


def prepare(
    recipe: Recipe,
    *,
    bank: PrototypeBank | None = None,
    processes: DistributedContext | None = None,
    track: Tracker = silent,
) -> PreparedExperiment:
    """Make the network and the data that a recipe describes.

    Args:
        recipe: the experiment.
        bank: prototypes made before; by default the main process makes them as the recipe says.
        processes: who shares the work; by default this process is alone.
        track: shows progress.

    Raises:
        InputError: the recipe, corpus, labels or bank do not fit each other.
    """
    processes = processes or DistributedContext(device=best_device())
    precision = processes.from_main(settled_precision(recipe.train.precision, processes.device))
    recipe = with_precision(recipe, precision)
    if recipe.train.tensorboard:
        load_tensorboard()
    corpus = recipe_corpus(recipe)
    train, val = corpus.split("train"), corpus.split("val")
    train_labels, val_labels = _labels(corpus, train), _labels(corpus, val)
    vocabulary = build_vocabulary((study.report for study in train), recipe.vocabulary)
    # Opened before the long work: a missing image or an empty study should not cost hours first.
    train_set, val_set = (
        StudyDataset(
            corpus,
            studies,
            vocabulary=vocabulary,
            findings=labels,
            images=recipe.images,
            max_views=recipe.batches.max_views,
            augment=augment,
            seed=recipe.train.seed,
        )
        for studies, labels, augment in ((train, train_labels, True), (val, val_labels, False))
    )
    score_reports = _report_scorer(recipe, corpus, train, val, processes)
    backbone = build_backbone(recipe)
    if bank is None and recipe.bank == "clusters" and recipe.model.visible != "none":
        if processes.is_main:
            bank = make_bank(recipe, corpus, train, train_labels, backbone, processes.device, track=track)
        bank = _bank_of_main(bank, processes)
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
    return PreparedExperiment(
        recipe=recipe,
        checkpoint=checkpoint,
        bank=bank,
        train_set=train_set,
        val_set=val_set,
        processes=processes,
        score_reports=score_reports,
    )


def with_precision(recipe: Recipe, precision: Precision) -> Recipe:
    """Return the recipe with another arithmetic to train in."""
    return dataclasses.replace(recipe, train=dataclasses.replace(recipe.train, precision=precision))


def _bank_of_main(bank: PrototypeBank | None, processes: DistributedContext) -> PrototypeBank:
    """Return the bank that the main process made, in all processes."""
    if processes.count == 1:
        assert bank is not None
        return bank
    about: dict[str, Any] | None = None
    if bank is not None:
        about = {item.name: getattr(bank, item.name) for item in dataclasses.fields(bank) if item.name != "vectors"}
        about |= {"counts": dict(bank.counts), "images": dict(bank.images), "shape": list(bank.vectors.shape)}
    about = dict(processes.from_main(about))
    shape = about.pop("shape")
    vectors = torch.empty(shape) if bank is None else torch.from_numpy(bank.vectors)
    processes.copy_from_main([vectors])
    about |= {"findings": tuple(about["findings"]), "notes": tuple(about["notes"])}
    return PrototypeBank(vectors=vectors.numpy(), **about)


def recipe_corpus(recipe: Recipe) -> Corpus:
    """Read the corpus that a recipe names, with reports and without what else their authors wrote.

    Raises:
        InputError: it names none, or there is none.
    """
    if not recipe.corpus:
        raise InputError("no corpus: give --corpus FOLDER, or `corpus = ...` in the recipe")
    return open_corpus(Path(recipe.corpus), with_sections=False)


def initial_bank(recipe: Recipe, *, track: Tracker = silent) -> PrototypeBank:
    """Make the prototypes that a recipe's training starts from.

    Raises:
        InputError: the corpus has no labels or images, or an encoder is out of reach.
    """
    corpus = recipe_corpus(recipe)
    train = corpus.split("train")
    return make_bank(recipe, corpus, train, _labels(corpus, train), build_backbone(recipe), best_device(), track=track)


def load_bank(path: Path, recipe: Recipe) -> PrototypeBank:
    """Read prototypes made before, if they are those that a recipe would make.

    Raises:
        InputError: the file is missing or no bank, or was made with another image encoder, image setting or text
            encoder; the line names it.
    """
    bank = PrototypeBank.load(path)
    bank.refuse_others(
        path,
        image_encoder=image_encoder_name(recipe.backbone, recipe.weights, seed=recipe.train.seed),
        text_encoder=text_encoder_name(recipe.text),
        images=recipe.images,
        per_finding=recipe.prototypes.per_finding,
    )
    return bank


def build_backbone(recipe: Recipe) -> ImageEncoder:
    """Build the image encoder that a recipe names; a recipe is the user's own word, so outside code may run.

    Raises:
        InputError: it is missing, damaged, or does not make square maps of the recipe's images.
    """
    backbone = build_image_encoder(recipe.backbone, recipe.weights, seed=recipe.train.seed, allow_code=True)
    check_image_encoder(backbone, size=recipe.images.size)
    return backbone


def label_source(model: ModelSettings) -> LabelsFrom:
    """Return what decides which prototypes a trained model may query when it writes reports.

    Its own findings where it predicts them; the reference's, an oracle, where it cannot and needs them; nothing where
    it may query all prototypes anyway or has none.
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
    *,
    track: Tracker = silent,
) -> PrototypeBank:
    """Make the initial prototypes from the train studies (paper, section 3.2)."""
    as_module(backbone).to(device)
    reports = [study.report for study in train]
    seed = recipe.prototypes.seed
    text = build_text_encoder(recipe.text, reports, seed=seed, device=str(device), allow_code=True)
    features = extract_features(
        corpus,
        train,
        backbone=backbone,
        image_encoder=image_encoder_name(recipe.backbone, recipe.weights, seed=recipe.train.seed),
        images=recipe.images,
        text=text,
        text_encoder=text_encoder_name(recipe.text),
        track=track,
    )
    return cluster_findings(features, labels, recipe.prototypes, track=track)


def _report_scorer(
    recipe: Recipe, corpus: Corpus, train: Sequence[Study], val: Sequence[Study], processes: DistributedContext
) -> Callable[[Checkpoint], float] | None:
    """Return what writes and scores reports about the validation studies, where the best epoch is chosen by them."""
    if recipe.train.best_by not in ("bleu4", "published"):
        return None
    score = EpochScore(
        by=recipe.train.best_by,
        references=tuple(study.report for study in val),
        train_reports=tuple(study.report for study in train),
        protocol=protocol_of(recipe.vocabulary.cleaning),
    )
    score.check()

    def score_reports(checkpoint: Checkpoint) -> float:
        writer = ReportGenerator(
            checkpoint,
            device=processes.device,
            settings=recipe.generate,
            labels_from=label_source(recipe.model),
            precision=settled_precision(recipe.train.precision, processes.device),
        )
        # Whole batches go round, so that each study is written about beside the same others as in one process.
        batches = [val[first : first + JUDGED_AT_A_TIME] for first in range(0, len(val), JUDGED_AT_A_TIME)]
        own = [study for batch in batches[processes.rank :: processes.count] for study in batch]
        written = write_reports(writer, corpus, own, batch=JUDGED_AT_A_TIME)
        parts = processes.gather_values([[report.id, report.text] for report in written])
        texts = dict(chain.from_iterable(parts))
        reports = [texts[study.id] for study in val]
        return float(processes.from_main(score(reports) if processes.is_main else None))

    return score_reports


def steps_per_epoch(recipe: Recipe, num_studies: int) -> int:
    """Return the optimiser steps of one epoch over so many train studies."""
    return count_steps(num_studies, batch_size=recipe.batches.size, accumulate=recipe.train.accumulate)


def _labels(corpus: Corpus, studies: Sequence[Study]) -> Float[np.ndarray, "studies findings"]:
    path = corpus.folder / LABELS_FILE
    if not path.is_file():
        raise InputError(f"{corpus.folder}: no {LABELS_FILE}; make it with `xpronet label {corpus.folder}`")
    ids = [study.id for study in studies]
    return label_matrix(read_labels(path, ids), ids)
