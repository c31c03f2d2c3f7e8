"""From a run and its corpus to the example regions and words of all its prototypes, which pages show."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from xpronet.data.corpus import LABELS_FILE, Corpus
from xpronet.data.study import Study
from xpronet.device import best_device
from xpronet.errors import InputError
from xpronet.labels.label_tables import label_matrix, read_labels
from xpronet.model.checkpoint import Checkpoint, load_checkpoint
from xpronet.model.checkpoint_files import fingerprint
from xpronet.progress import Tracker, silent
from xpronet.show.examples import EXAMPLES_FILE, SPRITE_FILE, write_examples
from xpronet.show.nearest import nearest_neighbours, studies_with_findings


@dataclass(frozen=True, kw_only=True)
class ExampleSettings:
    """How many examples, and how far to look for them."""

    regions: int = 3
    """Example regions of each prototype."""
    words: int = 8
    """Words of each."""
    studies: int = 200
    """Train studies with each finding to search, evenly sampled."""


def run_examples(
    run: Path,
    corpus: Corpus,
    settings: ExampleSettings,
    *,
    allow_code: bool = False,
    overwrite: bool = False,
    track: Tracker = silent,
) -> str:
    """Write example regions and words of all prototypes into a run folder; return a line about it.

    Args:
        run: run folder.
        corpus: what the model was trained on.
        settings: how many.
        allow_code: whether the checkpoint may name Python objects of installed packages.
        overwrite: replace existing files.
        track: shows progress.

    Raises:
        InputError: the model has no prototypes of findings, files are there already, or the corpus lacks labels.
    """
    for name in (EXAMPLES_FILE, SPRITE_FILE):
        if (run / name).exists() and not overwrite:
            raise InputError(f"{run / name}: already exists; add --overwrite")
    checkpoint = with_prototypes(run, allow_code=allow_code)
    train, labels = labelled_train(corpus)
    columns = range(len(checkpoint.findings))
    chosen = studies_with_findings(labels, columns, limit=settings.studies)
    found = nearest_neighbours(
        checkpoint,
        corpus,
        [train[number] for number in chosen],
        labels[chosen],
        [(column, index) for column in columns for index in range(checkpoint.network.settings.per_finding)],
        num_regions=settings.regions,
        num_words=settings.words,
        device=best_device(),
        track=track,
    )
    write_examples(
        run,
        found,
        corpus,
        checkpoint.images,
        model=fingerprint(run),
        findings=checkpoint.findings,
        num_studies=len(chosen),
        overwrite=overwrite,
    )
    return f"Wrote {run / EXAMPLES_FILE} and {run / SPRITE_FILE}: {len(found)} prototypes"


def with_prototypes(run: Path, *, allow_code: bool) -> Checkpoint:
    """Return a run's model.

    Raises:
        InputError: it has no prototypes of findings.
    """
    checkpoint = load_checkpoint(run, allow_code=allow_code)
    visible = checkpoint.network.settings.visible
    if visible != "findings":
        raise InputError(f"{run}: this model has no prototypes of findings (model.visible = {visible})")
    return checkpoint


def labelled_train(corpus: Corpus) -> tuple[Sequence[Study], Float[np.ndarray, "studies findings"]]:
    """Return the train studies of a corpus and their labels."""
    train = corpus.split("train")
    ids = [study.id for study in train]
    return train, label_matrix(read_labels(corpus.folder / LABELS_FILE, ids), ids)
