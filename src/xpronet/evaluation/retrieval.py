"""The report of the train study whose images look most alike: what a memory without a language scores."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float32

from xpronet.data.corpus import Corpus
from xpronet.data.study import Study
from xpronet.evaluation.scored_model import ScoredModel
from xpronet.generation.predictions import study_batches
from xpronet.precision import forward_precision

CANDIDATES = 20_000
"""At most so many train studies are looked at, drawn at random."""
AT_ONCE = 512
"""Studies compared with all train studies in one go."""


def most_similar_reports(source: ScoredModel, *, seed: int = 0, batch: int = 32) -> tuple[str, ...]:
    """Return for each predicted study the report of the most similar train study, never its own.

    Studies are compared by the cosine of their features: the model's own image backbone, averaged over regions and
    views.

    Args:
        source: the model and the predicted studies.
        seed: of the choice among more than `CANDIDATES` train studies.
        batch: studies at a time.

    Raises:
        InputError: the corpus has no train studies, or one of them has no image.
    """
    train = source.train.split("train")
    if len(train) > CANDIDATES:
        drawn = np.random.default_rng([seed, 6]).permutation(len(train))[:CANDIDATES]
        train = tuple(train[number] for number in np.sort(drawn))
    ours, theirs = (
        study_features(source, corpus, studies, batch=batch)
        for corpus, studies in ((source.corpus, source.studies), (source.train, train))
    )
    own = {study.id: number for number, study in enumerate(train)} if source.train is source.corpus else {}
    reports: list[str] = []
    for start in range(0, len(ours), AT_ONCE):
        likeness = ours[start : start + AT_ONCE] @ theirs.T
        for row, study in zip(likeness, source.studies[start : start + AT_ONCE], strict=True):
            if study.id in own:
                row[own[study.id]] = -np.inf
            reports.append(train[int(row.argmax())].report)
    return tuple(reports)


def study_features(
    source: ScoredModel, corpus: Corpus, studies: Sequence[Study], *, batch: int
) -> Float32[np.ndarray, "studies channels"]:
    """Return a unit vector for each study: the mean of its regions' features over all views."""
    generator = source.generator
    rows = []
    with torch.inference_mode(), forward_precision(generator.device, generator.precision):
        for part in study_batches(
            generator,
            corpus,
            studies,
            batch=batch,
            # A feature cache is of the corpus that the predictions are about.
            from_features=corpus.folder == source.corpus.folder,
            description="Encode images",
            track=source.track,
        ):
            patches = source.network.encode_images(
                part.images.to(generator.device), part.view_mask.to(generator.device)
            )
            mask = patches.mask.unsqueeze(-1)
            rows.append(((patches.features.float() * mask).sum(1) / mask.sum(1)).cpu().numpy())
    features: Float32[np.ndarray, "studies channels"] = np.concatenate(rows)
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
