"""Reports for the studies of a corpus, as lines of predictions.jsonl, and where they came from."""

import dataclasses
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import UInt8
from torch import Tensor

from xpronet import __version__
from xpronet.data.corpus import LABELS_FILE, Corpus
from xpronet.data.dataset import Batch, BatchSettings, StudyDataset
from xpronet.data.loader import load_batches
from xpronet.data.study import Study
from xpronet.errors import InputError
from xpronet.files import file_hash, read_json, write_json, write_json_lines
from xpronet.generation.generator import LabelsFrom, ReportGenerator
from xpronet.generation.report import Report
from xpronet.labels.findings import FINDINGS
from xpronet.labels.label_tables import label_matrix, read_labels
from xpronet.model.checkpoint_files import fingerprint
from xpronet.progress import Tracker, silent

Alteration = Callable[[UInt8[Tensor, "studies views height width"]], UInt8[Tensor, "studies views height width"]]


def predictions(
    generator: ReportGenerator,
    corpus: Corpus,
    studies: Sequence[Study],
    *,
    batch: int = 32,
    workers: int = 0,
    track: Tracker = silent,
) -> Iterator[dict[str, Any]]:
    """Yield one JSON record a study, reference included, in the studies' order."""
    references = {study.id: study.report for study in studies}
    for report in write_reports(generator, corpus, studies, batch=batch, workers=workers, track=track):
        record = report.record()
        yield {"id": report.id, "report": report.text, "reference": references[report.id], **record}


def write_reports(
    generator: ReportGenerator,
    corpus: Corpus,
    studies: Sequence[Study],
    *,
    batch: int = 32,
    workers: int = 0,
    with_evidence: bool = False,
    altered: Alteration | None = None,
    track: Tracker = silent,
) -> Iterator[Report]:
    """Yield a report about each study, in order.

    Args:
        generator: the model.
        corpus: where the images are.
        studies: which studies.
        batch: studies at a time.
        workers: processes that read images.
        with_evidence: note for each word where it came from.
        altered: changes the images before the model sees them, to find out what they are worth to it.
        track: tells how far the work is.

    Raises:
        InputError: reference labels are asked for and the corpus has none, or a study has no view.
    """
    batches = study_batches(
        generator,
        corpus,
        studies,
        batch=batch,
        workers=workers,
        from_features=altered is None,
        description="Write reports",
        track=track,
    )
    for part in batches:
        images = part.images if altered is None else altered(part.images)
        yield from generator.generate(part.ids, images, part.view_mask, part.findings, with_evidence=with_evidence)


def study_batches(
    generator: ReportGenerator,
    corpus: Corpus,
    studies: Sequence[Study],
    *,
    batch: int,
    workers: int = 0,
    from_features: bool = True,
    description: str,
    track: Tracker = silent,
) -> Iterable[Batch]:
    """Return studies as the generator's network is shown them, in order: images, or features where it has a cache.

    Raises:
        InputError: reference labels are asked for and the corpus has none, or a study has no view.
    """
    checkpoint = generator.checkpoint
    ids = [study.id for study in studies]
    labels = np.zeros((len(studies), len(FINDINGS)), np.float32)
    if generator.labels_from == "reference":
        path = corpus.folder / LABELS_FILE
        if not path.is_file():
            raise InputError(f"{corpus.folder}: no {LABELS_FILE} to take the reference's findings from")
        labels = label_matrix(read_labels(path, ids), ids)
    dataset = StudyDataset(
        corpus,
        studies,
        vocabulary=checkpoint.vocabulary,
        findings=labels,
        images=checkpoint.images,
        max_views=checkpoint.max_views,
        augment=False,
        features=generator.features if from_features else None,
    )
    settings = BatchSettings(size=batch, max_views=checkpoint.max_views, workers=workers)
    batches = load_batches(dataset, settings, padding=checkpoint.vocabulary.padding)
    return track(batches, description, -(-len(studies) // batch))


SUFFIX = ".run.json"
FORMAT = 1
CHOICES = {
    "labels_from": get_args(LabelsFrom),
    "choose": ("likeliest", "agreeing"),
    "precision": ("fp32", "bf16", "fp16"),
}


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What wrote a file of predictions, about what, and how fast."""

    run: Path
    """Run or checkpoint folder."""
    model: str
    """Fingerprint of its weights."""
    corpus: Path
    """Corpus folder."""
    split: str
    """The split that was predicted."""
    labels_from: LabelsFrom
    """What decided which prototypes were visible."""
    beams: int
    """Width of the search."""
    choose: Literal["likeliest", "agreeing"]
    """Which of the finished reports was taken."""
    evidence: float = 0.0
    """How much the claims of partial reports counted."""
    precision: Literal["fp32", "bf16", "fp16"]
    """Arithmetic of the backbone."""
    device: str
    """Where it was computed: cpu or cuda."""
    studies: int
    """How many reports were written."""
    seconds: float
    """How long that took, from the first image read to the last report written."""
    version: str = __version__
    """Of XProNet."""
    features: Path | None = None
    """The feature cache that stood for the images, if one did."""

    @property
    def rate(self) -> float:
        """Studies per second."""
        return self.studies / max(self.seconds, 1e-9)


def provenance_path(written: Path) -> Path:
    """Return the file that tells where predictions came from: predictions.run.json beside predictions.jsonl."""
    return written.with_suffix(SUFFIX)


def write_predictions(
    path: Path,
    generator: ReportGenerator,
    *,
    run: Path,
    corpus: Corpus,
    split: str,
    batch: int = 32,
    overwrite: bool = False,
    track: Tracker = silent,
) -> Provenance:
    """Write a report about every study of a split, and beside them where they came from.

    Args:
        path: predictions.jsonl to write, one study a line.
        generator: the model.
        run: the folder that it was loaded from.
        corpus: where the studies are.
        split: which of them.
        batch: studies at a time.
        overwrite: replace files that are there.
        track: tells how far the work is.

    Raises:
        InputError: a file is there already or cannot be written, or the studies cannot be used.
    """
    # Told before the long work, not after it.
    if provenance_path(path).exists() and not overwrite:
        raise InputError(f"{provenance_path(path)}: already exists; choose another name or add --overwrite")
    studies = corpus.split(split)
    model = fingerprint(run)
    started = time.monotonic()
    write_json_lines(path, predictions(generator, corpus, studies, batch=batch, track=track), overwrite=overwrite)
    origin = Provenance(
        run=run,
        model=model,
        corpus=corpus.folder,
        split=split,
        labels_from=generator.labels_from,
        beams=generator.settings.beams,
        choose=generator.settings.choose,
        evidence=generator.settings.evidence,
        precision=generator.precision,
        device=generator.device.type,
        features=None if generator.features is None else generator.features.folder,
        studies=len(studies),
        seconds=round(time.monotonic() - started, 3),
    )
    write_provenance(path, origin, overwrite=overwrite)
    return origin


def write_provenance(written: Path, origin: Provenance, *, overwrite: bool = False) -> None:
    """Write beside a finished file of predictions where they came from.

    The folders are kept relative to the file, so that all may move together.
    """
    home = written.resolve().parent
    record = {
        "format": FORMAT,
        "predictions": file_hash(written)[:16],
        **dataclasses.asdict(origin),
        "run": os.path.relpath(origin.run.resolve(), home),
        "corpus": os.path.relpath(origin.corpus.resolve(), home),
        "features": None if origin.features is None else os.path.relpath(origin.features.resolve(), home),
    }
    write_json(provenance_path(written), record, overwrite=overwrite)


def read_provenance(written: Path) -> Provenance | None:
    """Return where predictions came from; None where nothing beside them tells, or it tells of other predictions.

    Raises:
        InputError: the file beside them is damaged.
    """
    path = provenance_path(written)
    if not path.is_file() or not written.is_file():
        return None
    record = read_json(path)
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise InputError(f"{path}: does not tell where predictions came from; remove it, or write them again")
    if record.get("predictions") != file_hash(written)[:16]:
        return None
    try:
        return _origin(record, written.resolve().parent)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: damaged ({error}); remove it, or write the predictions again") from None


def _beside(home: Path, name: object) -> Path | None:
    return None if name is None else Path(os.path.normpath(home / str(name)))


def _origin(record: dict[str, Any], home: Path) -> Provenance:
    for name, choices in CHOICES.items():
        if record[name] not in choices:
            raise ValueError(f"{name} {record[name]!r}")
    return Provenance(
        run=Path(os.path.normpath(home / str(record["run"]))),
        model=str(record["model"]),
        corpus=Path(os.path.normpath(home / str(record["corpus"]))),
        features=_beside(home, record.get("features")),
        split=str(record["split"]),
        labels_from=record["labels_from"],
        beams=int(record["beams"]),
        choose=record["choose"],
        evidence=float(record.get("evidence", 0.0)),
        precision=record["precision"],
        device=str(record["device"]),
        studies=int(record["studies"]),
        seconds=float(record["seconds"]),
        version=str(record["version"]),
    )
