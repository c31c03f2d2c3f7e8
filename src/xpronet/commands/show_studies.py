"""Studies that `xpronet show` draws: from a corpus, by id, or from images."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, UInt8

from xpronet.data.corpus import LABELS_FILE, Corpus, open_corpus
from xpronet.device import best_device
from xpronet.errors import InputError
from xpronet.experiment.recipe_parts import label_source
from xpronet.generation.generator import ReportGenerator, pad_views
from xpronet.generation.report import Report
from xpronet.generation.study_images import read_study
from xpronet.images.read import read_grey
from xpronet.images.transforms import test_view
from xpronet.labels.findings import FINDINGS
from xpronet.labels.label_tables import label_matrix, read_labels
from xpronet.model.checkpoint import Checkpoint


@dataclass(frozen=True, kw_only=True)
class StudyViews:
    """One study as a network sees it."""

    id: str
    """Its id, or the name of its first image."""
    views: tuple[UInt8[np.ndarray, "size size"], ...]
    """The squares that the network is shown."""
    reference: str | None = None
    """The report a radiologist wrote, where there is one."""
    findings: Bool[np.ndarray, " findings"] | None = None
    """What the corpus's labels say; None where there are none."""
    warnings: tuple[str, ...] = ()
    """What the DICOM headers leave open about patient and study."""

    def present(self, labels_from: str) -> Bool[np.ndarray, " findings"]:
        """Return the findings whose prototypes are visible where the model does not predict them.

        Raises:
            InputError: they are to be read from the reference, and the study has no labels.
        """
        if labels_from == "all":
            return np.ones(len(FINDINGS), bool)
        if self.findings is None:
            raise InputError(
                "this model cannot predict findings and needs the reference's: name a study of a --corpus that has "
                f"{LABELS_FILE}"
            )
        return self.findings


def pictured_study(images: Sequence[Path], checkpoint: Checkpoint) -> StudyViews:
    """Read a study from its images.

    Raises:
        InputError: an image cannot be read, or two are of different patients or studies.
    """
    study = read_study(list(images))
    views = tuple(test_view(image, checkpoint.images) for image in study.images)
    return StudyViews(id=study.id, views=views, warnings=study.warnings)


def corpus_study(folder: Path, study_id: str, checkpoint: Checkpoint) -> StudyViews:
    """Read a study of a corpus.

    Raises:
        InputError: the folder is no corpus, has no such study or lacks its images.
    """
    return study_of(open_corpus(folder), study_id, checkpoint)


def study_of(corpus: Corpus, study_id: str, checkpoint: Checkpoint) -> StudyViews:
    """Read a study of a corpus that has been read.

    Raises:
        InputError: the corpus has no such study, or lacks its images.
    """
    named = [study for study in corpus.studies if study.id == study_id]
    if not named:
        some = ", ".join(study.id for study in corpus.studies[:3])
        raise InputError(f"{corpus.folder}: no study {study_id!r}; its ids are like {some}")
    [study] = named
    if not study.views:
        raise InputError(f"{corpus.folder}: study {study_id!r} has no view; a corpus of texts cannot be drawn")
    labels = corpus.folder / LABELS_FILE
    findings = None
    if labels.is_file():
        findings = label_matrix(read_labels(labels, [study_id]), [study_id])[0] == 1
    return StudyViews(
        id=study_id,
        views=tuple(
            test_view(read_grey(corpus.view_path(view)), checkpoint.images)
            for view in study.views[: checkpoint.max_views]
        ),
        reference=study.report,
        findings=findings,
    )


def write_one(checkpoint: Checkpoint, study: StudyViews, *, beams: int | None, with_evidence: bool = False) -> Report:
    """Write the report about a study, with the findings from where this model has to take them.

    Raises:
        InputError: the model needs the reference's findings and the study has none.
    """
    labels_from = label_source(checkpoint.network.settings)
    settings = checkpoint.search.override(beams=beams)
    generator = ReportGenerator(checkpoint, device=best_device(), settings=settings, labels_from=labels_from)
    findings = None if labels_from == "predicted" else torch.from_numpy(study.present(labels_from))[None]
    [report] = generator.generate([study.id], *pad_views([study.views]), findings, with_evidence=with_evidence)
    return report
