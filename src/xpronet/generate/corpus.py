"""Reports for the studies of a corpus, as lines of predictions.jsonl."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from xpronet.data.batches import BatchSettings, StudyDataset, load_batches
from xpronet.data.corpus import LABELS_FILE, Corpus
from xpronet.data.records import Study
from xpronet.errors import InputError
from xpronet.generate.report import Report
from xpronet.generate.writer import Writer
from xpronet.labels.findings import FINDINGS
from xpronet.labels.tables import label_matrix, read_labels
from xpronet.progress import Tracker, silent


def predictions(
    writer: Writer, corpus: Corpus, studies: Sequence[Study], *, batch: int = 32, track: Tracker = silent
) -> Iterator[dict[str, Any]]:
    """Yield one JSON record a study, reference included, in the studies' order."""
    references = {study.id: study.report for study in studies}
    for report in write_reports(writer, corpus, studies, batch=batch, track=track):
        record = report.record()
        yield {"id": report.id, "report": report.text, "reference": references[report.id], **record}


def write_reports(
    writer: Writer,
    corpus: Corpus,
    studies: Sequence[Study],
    *,
    batch: int = 32,
    with_evidence: bool = False,
    track: Tracker = silent,
) -> Iterator[Report]:
    """Yield a report about each study, in order.

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
    settings = BatchSettings(size=batch, max_views=checkpoint.max_views)
    batches = load_batches(dataset, settings, padding=checkpoint.vocabulary.padding)
    for part in track(batches, "Write reports", -(-len(studies) // batch)):
        yield from writer.write(part.ids, part.images, part.view_mask, part.findings, with_evidence=with_evidence)
