"""The model behind a file of predictions, ready to be asked again."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from xpronet.data.corpus import Corpus
from xpronet.data.records import Study
from xpronet.errors import InputError
from xpronet.evaluate.predictions import Prediction
from xpronet.generate.beam import BeamSettings
from xpronet.generate.corpus import Alteration, write_reports
from xpronet.generate.origin import Origin
from xpronet.generate.report import Report
from xpronet.generate.writer import LabelsFrom, Writer
from xpronet.model.checkpoint import best_device, fingerprint, load_checkpoint
from xpronet.model.network import XProNet
from xpronet.progress import Tracker, silent


@dataclass(frozen=True, kw_only=True)
class Source:
    """What wrote predictions, and about which studies."""

    writer: Writer
    """The model with the settings that the predictions were written with."""
    network: XProNet
    """Its network, in evaluation mode."""
    corpus: Corpus
    """Where the pictures are."""
    studies: tuple[Study, ...]
    """The predicted studies, in the order of the predictions."""
    track: Tracker = silent
    """Tells how far the work is."""

    def reports(self, studies: Sequence[Study], altered: Alteration | None = None) -> tuple[str, ...]:
        """Write a report about each study, from its pictures or from what `altered` makes of them."""
        found = write_reports(self.writer, self.corpus, studies, altered=altered, track=self.track)
        return tuple(report.text for report in found)

    def explained(self, studies: Sequence[Study]) -> list[Report]:
        """Write a report about each study, with the evidence for every word."""
        return list(write_reports(self.writer, self.corpus, studies, batch=len(studies), with_evidence=True))


def open_source(
    predictions: Sequence[Prediction],
    *,
    run: Path | None = None,
    corpus: Corpus | None = None,
    origin: Origin | None = None,
    track: Tracker = silent,
) -> Source:
    """Load the model that wrote predictions.

    Args:
        predictions: one a study.
        run: run or checkpoint folder, where the user names one.
        corpus: where the pictures are.
        origin: what stands beside the predictions; it names the run where the user does not.
        track: tells how far the model's work is.

    Raises:
        InputError: the run or corpus is not known, the run holds other weights than those that wrote the
            predictions, or a study is not in the corpus.
    """
    run = run or (origin.run if origin is not None else None)
    if run is None or corpus is None:
        raise InputError(
            "this needs the model and the pictures, and nothing beside the predictions tells where they are: "
            "name --run and --corpus"
        )
    by_id = {study.id: study for study in corpus.studies}
    stray = [prediction.id for prediction in predictions if prediction.id not in by_id]
    if stray:
        raise InputError(f"{corpus.folder}: {len(stray)} predicted studies are not in it, first {stray[0]}")
    checkpoint = load_checkpoint(run)
    if origin is not None and fingerprint(run) != origin.model:
        raise InputError(
            f"{run}: holds other weights than those that wrote the predictions; write new ones with `xpronet generate`"
        )
    settings = BeamSettings(max_words=checkpoint.max_words)
    if origin is not None:
        settings = dataclasses.replace(settings, beams=origin.beams, choose=origin.choose)
    writer = Writer(
        checkpoint,
        device=best_device(),
        settings=settings,
        labels_from=_labels_from(predictions, origin),
        precision="fp32" if origin is None else origin.precision,
    )
    studies = tuple(by_id[prediction.id] for prediction in predictions)
    return Source(writer=writer, network=checkpoint.network, corpus=corpus, studies=studies, track=track)


def _labels_from(predictions: Sequence[Prediction], origin: Origin | None) -> LabelsFrom:
    if origin is not None:
        return origin.labels_from
    said = {prediction.labels_from for prediction in predictions}
    for source in ("reference", "all"):
        if said == {source}:
            return source
    return "predicted"
