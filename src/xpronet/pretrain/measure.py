"""What a trained encoder is worth: on the validation split of its corpus, and on films of other hospitals."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32

from xpronet.errors import InputError
from xpronet.labels.findings import ABNORMALITIES, FINDINGS
from xpronet.precision import settled_precision
from xpronet.pretrain.encoder_file import EncoderFile
from xpronet.pretrain.films import open_films
from xpronet.pretrain.loop import predict
from xpronet.pretrain.scores import calibration_error, finding_scores, mean_auroc, mean_auroc_interval
from xpronet.pretrain.settings import LabelSettings, PretrainRecipe
from xpronet.pretrain.studies import LabelledStudy, corpus_studies, covid_studies, nih_studies
from xpronet.progress import Tracker, silent
from xpronet.training.validation import Calibration, best_thresholds, calibrated, fit_calibration

FOLDS = 5
"""Parts of the validation split: each is scored with the calibration and thresholds of the others."""
Kind = Literal["labels", "nih", "covid"]
MAPPINGS: Mapping[Kind, str] = {
    "labels": "another table of labels of the same studies",
    "nih": (
        "NIH's labels: Effusion is Pleural Effusion, Infiltration is Lung Opacity, Mass and Nodule are Lung Lesion, "
        "Pleural_Thickening is Pleural Other, equal names are themselves; Lung Opacity is unknown beside other "
        "opacities; Enlarged Cardiomediastinum, Fracture and Support Devices are unknown"
    ),
    "covid": (
        "frontal films; a diagnosis of any pneumonia is Pneumonia, No Finding is itself, other diagnoses are left out; "
        "of other findings only the absence in No Finding is known"
    ),
}


@dataclass(frozen=True, kw_only=True)
class FilmSource:
    """Studies to measure on besides the recipe's validation split."""

    kind: Kind
    """How labels are read."""
    path: Path
    """Table of labels of the corpus's studies, or folder of films."""

    @classmethod
    def parse(cls, text: str) -> "FilmSource":
        """Read "nih:FOLDER", "covid:FOLDER" or "labels:FILE".

        Raises:
            InputError: it is none of them.
        """
        kind, _, path = text.partition(":")
        if kind not in MAPPINGS or not path:
            raise InputError(f"--measure {text}: give nih:FOLDER, covid:FOLDER or labels:FILE")
        return cls(kind=kind, path=Path(path))  # type: ignore[arg-type]

    @property
    def name(self) -> str:
        """Name the studies in tables."""
        corpus = f"validation, labels of {self.path.name}"
        return {"labels": corpus, "nih": "NIH validation", "covid": "covid-chestxray"}[self.kind]

    def studies(self, recipe: PretrainRecipe) -> list[LabelledStudy]:
        """Return the labelled studies.

        Raises:
            InputError: there are none.
        """
        if self.kind == "labels":
            return _validation(recipe, table=self.path)
        return nih_studies(self.path, "val") if self.kind == "nih" else covid_studies(self.path)


@dataclass(frozen=True, kw_only=True)
class Operating:
    """What turns logits into probabilities and probabilities into findings."""

    calibration: Calibration
    """Scale and shift of each finding's logit."""
    thresholds: Float[np.ndarray, " findings"]
    """From which probability on a finding counts as present."""

    def probabilities(self, logits: Float[np.ndarray, "studies findings"]) -> Float[np.ndarray, "studies findings"]:
        """Return calibrated probabilities."""
        return calibrated(logits, self.calibration)


def fit_operating(
    logits: Float[np.ndarray, "studies findings"], targets: Float32[np.ndarray, "studies findings"]
) -> Operating:
    """Calibrate logits and choose thresholds by F1 (`best_thresholds`); unknown labels count as absent."""
    present = targets == 1
    calibration = fit_calibration(logits, present)
    return Operating(calibration=calibration, thresholds=best_thresholds(calibrated(logits, calibration), present))


def measure_encoder(
    encoder: EncoderFile,
    recipe: PretrainRecipe,
    sources: Sequence[FilmSource],
    *,
    cache: Path,
    device: torch.device,
    track: Tracker = silent,
) -> list[dict[str, Any]]:
    """Score an encoder on its validation split and on other studies.

    Calibration and thresholds come from the validation split; on that split itself, of which each fifth is scored
    with those of the other four.

    Args:
        encoder: see `read_encoder`.
        recipe: what it was trained by; its corpus is where it is now.
        sources: what else to measure on.
        cache: folder for decoded films.
        device: where to compute.
        track: shows progress.

    Returns:
        One record for each set of studies, in order.

    Raises:
        InputError: a corpus, its labels or a film is missing or damaged.
    """
    settings, network = recipe.fit, encoder.network.to(device)
    validation = _validation(recipe)

    def logits_of(studies: Sequence[LabelledStudy]) -> Float32[np.ndarray, "studies findings"]:
        films = open_films(studies, cache, side=recipe.short_side, track=track)
        precision = settled_precision(settings.precision, device)
        return predict(network, films, settings, device=device, precision=precision, track=track)

    logits, targets = logits_of(validation), _targets(validation)
    operating = fit_operating(logits, targets)
    said, predicted = cross_fitted(logits, targets, seed=settings.seed)
    name = f"validation, labels of {recipe.labels.table}"
    records = [_record(name, "the labels that the epoch was chosen by", validation, logits, targets, said, predicted)]
    for source in sources:
        studies = source.studies(recipe)
        other, truth = logits if source.kind == "labels" else logits_of(studies), _targets(studies)
        if source.kind != "labels":
            said = operating.probabilities(other)
            predicted = said >= operating.thresholds
        records.append(_record(source.name, MAPPINGS[source.kind], studies, other, truth, said, predicted))
    return records


def cross_fitted(
    logits: Float[np.ndarray, "studies findings"], targets: Float32[np.ndarray, "studies findings"], *, seed: int
) -> tuple[Float[np.ndarray, "studies findings"], Bool[np.ndarray, "studies findings"]]:
    """Return probabilities and predicted findings, each study's by what was fitted without it."""
    said = np.zeros(logits.shape)
    predicted = np.zeros(logits.shape, bool)
    order = np.random.default_rng(seed).permutation(len(logits))
    for fold in range(FOLDS):
        held, rest = order[fold::FOLDS], np.delete(order, slice(fold, None, FOLDS))
        operating = fit_operating(logits[rest], targets[rest])
        said[held] = operating.probabilities(logits[held])
        predicted[held] = said[held] >= operating.thresholds
    return said, predicted


def _validation(recipe: PretrainRecipe, *, table: Path | None = None) -> list[LabelledStudy]:
    return corpus_studies(
        Path(recipe.corpus), "val", judged_labels(recipe.labels), max_views=recipe.fit.max_views, table=table
    )


def judged_labels(settings: LabelSettings) -> LabelSettings:
    """Return what labels are judged by, whatever was learned: uncertain is present, not mentioned is absent."""
    return dataclasses.replace(settings, uncertain="positive", blank="negative")


def _targets(studies: Sequence[LabelledStudy]) -> Float32[np.ndarray, "studies findings"]:
    return np.stack([study.targets for study in studies])


def _record(
    name: str,
    labels: str,
    studies: Sequence[LabelledStudy],
    logits: Float[np.ndarray, "studies findings"],
    targets: Float32[np.ndarray, "studies findings"],
    said: Float[np.ndarray, "studies findings"],
    predicted: Bool[np.ndarray, "studies findings"],
) -> dict[str, Any]:
    scores = finding_scores(logits, targets)
    f1 = _f1(targets, predicted)
    abnormal = len(ABNORMALITIES)
    known = ~np.isnan(targets[:, :abnormal])
    judged = [f1[one.finding] for one in scores if one.finding in ABNORMALITIES and one.positives and one.negatives]
    return {
        "name": name,
        "labels": labels,
        "studies": len(studies),
        "films": sum(len(study.films) for study in studies),
        "findings": [dataclasses.asdict(one) | {"f1": f1[one.finding]} for one in scores],
        "mean_auroc": mean_auroc(scores),
        "mean_auroc_interval": mean_auroc_interval(logits, targets),
        "macro_f1": float(np.mean(judged)) if judged else None,
        "calibration_error": calibration_error(said, targets),
        "mean_probability": float(said[:, :abnormal][known].mean()),
        "prevalence": float(targets[:, :abnormal][known].mean()),
    }


def _f1(
    targets: Float32[np.ndarray, "studies findings"], predicted: Bool[np.ndarray, "studies findings"]
) -> dict[str, float]:
    known = ~np.isnan(targets)
    hits = ((targets == 1) & predicted).sum(0)
    sizes = (targets == 1).sum(0) + (predicted & known).sum(0)
    return {name: float(2 * hits[column] / max(1, sizes[column])) for column, name in enumerate(FINDINGS)}
