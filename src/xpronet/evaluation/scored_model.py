"""The model that wrote predictions, loaded with the settings that they were written with."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from xpronet.data.corpus import Corpus
from xpronet.data.feature_cache import INFO_FILE, open_feature_cache
from xpronet.data.study import Study
from xpronet.device import best_device
from xpronet.errors import InputError
from xpronet.evaluation.prediction_files import Prediction
from xpronet.generation.generator import LabelsFrom, ReportGenerator
from xpronet.generation.predictions import Alteration, Provenance, write_reports
from xpronet.generation.report import Report
from xpronet.model.checkpoint import load_checkpoint
from xpronet.model.checkpoint_files import fingerprint
from xpronet.model.report_model import ReportModel
from xpronet.progress import Tracker, silent


@dataclass(frozen=True, kw_only=True)
class ScoredModel:
    """What wrote predictions, and about which studies."""

    generator: ReportGenerator
    """The model with the settings that the predictions were written with."""
    network: ReportModel
    """Its network, in evaluation mode."""
    corpus: Corpus
    """Where the images are."""
    studies: tuple[Study, ...]
    """The predicted studies, in the order of the predictions."""
    train: Corpus
    """The corpus that the model learned from."""
    track: Tracker = silent
    """Tells how far the work is."""

    def reports(self, studies: Sequence[Study], altered: Alteration | None = None) -> tuple[str, ...]:
        """Write a report about each study, from its images or from what `altered` makes of them."""
        found = write_reports(self.generator, self.corpus, studies, altered=altered, track=self.track)
        return tuple(report.text for report in found)

    def explained(self, studies: Sequence[Study]) -> list[Report]:
        """Write a report about each study, with the evidence for every word."""
        return list(write_reports(self.generator, self.corpus, studies, batch=len(studies), with_evidence=True))


def open_scored_model(
    predictions: Sequence[Prediction],
    *,
    run: Path | None = None,
    corpus: Corpus | None = None,
    train: Corpus | None = None,
    origin: Provenance | None = None,
    allow_code: bool = False,
    track: Tracker = silent,
) -> ScoredModel:
    """Load the model that wrote predictions.

    Args:
        predictions: one a study.
        run: run or checkpoint folder, where the user names one.
        corpus: where the images are.
        train: what the model learned from, if that is another corpus.
        origin: what stands beside the predictions; it names the run where the user does not.
        allow_code: whether the checkpoint may name Python objects of installed packages.
        track: tells how far the model's work is.

    Raises:
        InputError: the run or corpus is not known, the run holds other weights than those that wrote the
            predictions, or a study is not in the corpus.
    """
    run = run or (origin.run if origin is not None else None)
    if run is None or corpus is None:
        raise InputError(
            "this needs the model and the images, and nothing beside the predictions tells where they are: "
            "name --run and --corpus"
        )
    by_id = {study.id: study for study in corpus.studies}
    stray = [prediction.id for prediction in predictions if prediction.id not in by_id]
    if stray:
        raise InputError(f"{corpus.folder}: {len(stray)} predicted studies are not in it, first {stray[0]}")
    checkpoint = load_checkpoint(run, allow_code=allow_code)
    if origin is not None and fingerprint(run) != origin.model:
        raise InputError(
            f"{run}: holds other weights than those that wrote the predictions; write new ones with `xpronet generate`"
        )
    settings = checkpoint.search
    if origin is not None:
        settings = settings.override(beams=origin.beams, choose=origin.choose, evidence=origin.evidence)
    cache = None if origin is None else origin.features
    features = open_feature_cache(cache) if cache is not None and (cache / INFO_FILE).is_file() else None
    generator = ReportGenerator(
        checkpoint,
        device=best_device(),
        settings=settings,
        features=features,
        labels_from=_labels_from(predictions, origin),
        precision="fp32" if origin is None else origin.precision,
    )
    studies = tuple(by_id[prediction.id] for prediction in predictions)
    return ScoredModel(
        generator=generator,
        network=checkpoint.network,
        corpus=corpus,
        studies=studies,
        train=train or corpus,
        track=track,
    )


def _labels_from(predictions: Sequence[Prediction], origin: Provenance | None) -> LabelsFrom:
    if origin is not None:
        return origin.labels_from
    said = {prediction.labels_from for prediction in predictions}
    for source in ("reference", "all"):
        if said == {source}:
            return source
    return "predicted"
