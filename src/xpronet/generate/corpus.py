"""Reports for the studies of a corpus, as lines of predictions.jsonl."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import UInt8
from torch import Tensor

from xpronet.data.batches import Batch, BatchSettings, StudyDataset
from xpronet.data.corpus import LABELS_FILE, Corpus
from xpronet.data.loader import load_batches
from xpronet.data.records import Study
from xpronet.errors import InputError
from xpronet.generate.report import Report
from xpronet.generate.writer import Writer
from xpronet.labels.findings import FINDINGS
from xpronet.labels.tables import label_matrix, read_labels
from xpronet.progress import Tracker, silent

Alteration = Callable[[UInt8[Tensor, "studies views height width"]], UInt8[Tensor, "studies views height width"]]


def predictions(
    writer: Writer,
    corpus: Corpus,
    studies: Sequence[Study],
    *,
    batch: int = 32,
    workers: int = 0,
    track: Tracker = silent,
) -> Iterator[dict[str, Any]]:
    """Yield one JSON record a study, reference included, in the studies' order."""
    references = {study.id: study.report for study in studies}
    for report in write_reports(writer, corpus, studies, batch=batch, workers=workers, track=track):
        record = report.record()
        yield {"id": report.id, "report": report.text, "reference": references[report.id], **record}


def write_reports(
    writer: Writer,
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
        writer: the model.
        corpus: where the pictures are.
        studies: which studies.
        batch: studies at a time.
        workers: processes that read pictures.
        with_evidence: note for each word where it came from.
        altered: changes the pictures before the model sees them, to find out what they are worth to it.
        track: tells how far the work is.

    Raises:
        InputError: reference labels are asked for and the corpus has none, or a study has no view.
    """
    batches = study_batches(
        writer, corpus, studies, batch=batch, workers=workers, description="Write reports", track=track
    )
    for part in batches:
        images = part.images if altered is None else altered(part.images)
        yield from writer.write(part.ids, images, part.view_mask, part.findings, with_evidence=with_evidence)


def study_batches(
    writer: Writer,
    corpus: Corpus,
    studies: Sequence[Study],
    *,
    batch: int,
    workers: int = 0,
    description: str,
    track: Tracker = silent,
) -> Iterable[Batch]:
    """Return studies as the writer's network is shown them, in order.

    Raises:
        InputError: reference labels are asked for and the corpus has none, or a study has no view.
    """
    checkpoint = writer.checkpoint
    ids = [study.id for study in studies]
    labels = np.zeros((len(studies), len(FINDINGS)), np.float32)
    if writer.labels_from == "reference":
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
    )
    settings = BatchSettings(size=batch, max_views=checkpoint.max_views, workers=workers)
    batches = load_batches(dataset, settings, padding=checkpoint.vocabulary.padding)
    return track(batches, description, -(-len(studies) // batch))
