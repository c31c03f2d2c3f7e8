"""From a recipe and a corpus to a trained run folder."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from xpronet.data.batches import StudyDataset
from xpronet.data.corpus import LABELS_FILE, Corpus, read_corpus
from xpronet.data.records import Study
from xpronet.data.vocabulary import build_vocabulary
from xpronet.encoders.resnet import ResNet
from xpronet.encoders.texts import TFIDF, BertEncoder, TextEncoder, TfidfEncoder
from xpronet.encoders.weights import backbone_name, load_backbone
from xpronet.errors import InputError
from xpronet.files import write_json, write_text
from xpronet.labels.findings import FINDINGS
from xpronet.labels.tables import label_matrix, read_labels
from xpronet.model.checkpoint import DEFAULT_THRESHOLD, Checkpoint, best_device
from xpronet.model.network import XProNet
from xpronet.progress import Tracker, silent
from xpronet.prototypes.bank import PrototypeBank
from xpronet.prototypes.cluster import cluster_findings
from xpronet.prototypes.features import extract_features
from xpronet.recipe import Recipe
from xpronet.train.loop import fit
from xpronet.train.state import Standing

RECIPE_FILE = "recipe.toml"
BANK_FILE = "prototypes.safetensors"
VOCABULARY_FILE = "vocabulary.json"


def train_run(
    recipe: Recipe,
    run: Path,
    *,
    bank: PrototypeBank | None = None,
    resumed: bool = False,
    track: Tracker = silent,
) -> Standing:
    """Train what a recipe describes and leave recipe, vocabulary, bank, journal and checkpoints in the run folder.

    Args:
        recipe: the experiment; its corpus names the folder.
        run: a new folder, or one to go on with.
        bank: prototypes made before; by default they are made as the recipe says, or taken from the resumed run.
        resumed: go on from the run's last checkpoint.
        track: shows progress.

    Raises:
        InputError: the recipe, corpus, labels or bank do not fit each other, or the folder is taken.
    """
    if not recipe.corpus:
        raise InputError("no corpus: give --corpus FOLDER, or `corpus = ...` in the recipe")
    if run.exists() and any(run.iterdir()) and not resumed:
        raise InputError(f"{run}: already exists; choose another name, or add --resume to go on with it")
    corpus = read_corpus(Path(recipe.corpus))
    train, val = corpus.split("train"), corpus.split("val")
    train_labels, val_labels = _labels(corpus, train), _labels(corpus, val)
    vocabulary = build_vocabulary((study.report for study in train), recipe.vocabulary)
    # Opened before the long work: a missing picture or an empty study should not cost hours first.
    sets = [
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
    ]
    backbone = load_backbone(recipe.backbone, recipe.weights, seed=recipe.train.seed)
    device = best_device()
    if bank is None and resumed and (run / BANK_FILE).is_file():
        bank = PrototypeBank.load(run / BANK_FILE)
    if bank is None and recipe.bank == "clusters" and recipe.model.visible != "none":
        bank = make_bank(recipe, corpus, train, train_labels, backbone, device, track=track)
    if bank is not None:
        model = dataclasses.replace(
            recipe.model, bank_rows=len(bank.vectors), bank_width=bank.width, per_finding=bank.per_finding
        )
        recipe = dataclasses.replace(recipe, model=model)

    torch.manual_seed(recipe.train.seed)
    network = XProNet(
        backbone=backbone,
        settings=recipe.model,
        num_words=len(vocabulary),
        padding=vocabulary.padding,
        num_findings=len(FINDINGS),
    )
    if bank is not None and network.matching is not None:
        with torch.no_grad():
            network.matching.bank.copy_(torch.from_numpy(bank.vectors))
    run.mkdir(parents=True, exist_ok=True)
    write_text(run / RECIPE_FILE, recipe.to_toml(), overwrite=resumed)
    write_json(run / VOCABULARY_FILE, vocabulary.record(), overwrite=resumed)
    if bank is not None:
        bank.save(run / BANK_FILE, overwrite=True)
    checkpoint = Checkpoint(
        network=network,
        vocabulary=vocabulary,
        images=recipe.images,
        max_views=recipe.batches.max_views,
        max_words=recipe.generate.max_words,
        findings=FINDINGS,
        thresholds=dict.fromkeys(FINDINGS, DEFAULT_THRESHOLD),
    )
    return fit(
        run,
        checkpoint,
        *sets,
        settings=recipe.train,
        loss_settings=recipe.loss,
        batch_settings=recipe.batches,
        device=device,
        resumed=resumed,
        track=track,
    )


def make_bank(
    recipe: Recipe,
    corpus: Corpus,
    train: Sequence[Study],
    labels: Float[np.ndarray, "studies findings"],
    backbone: ResNet,
    device: torch.device,
    *,
    track: Tracker = silent,
) -> PrototypeBank:
    """Make the initial prototypes from the train studies (paper, section 3.2)."""
    encoder: TextEncoder
    if recipe.text.encoder == TFIDF:
        reports = [study.report for study in train]
        encoder = TfidfEncoder.fit(reports, width=recipe.text.width, seed=recipe.prototypes.seed)
    else:
        encoder = BertEncoder(recipe.text.encoder, pooling=recipe.text.pooling, device=str(device))
    features = extract_features(
        corpus,
        train,
        backbone=backbone.to(device),
        image_encoder=backbone_name(recipe.backbone, recipe.weights, seed=recipe.train.seed),
        images=recipe.images,
        text_encoder=encoder,
        track=track,
    )
    return cluster_findings(features, labels, recipe.prototypes, track=track)


def _labels(corpus: Corpus, studies: Sequence[Study]) -> Float[np.ndarray, "studies findings"]:
    path = corpus.folder / LABELS_FILE
    if not path.is_file():
        raise InputError(f"{corpus.folder}: no {LABELS_FILE}; make it with `xpronet label {corpus.folder}`")
    ids = [study.id for study in studies]
    return label_matrix(read_labels(path, ids), ids)
