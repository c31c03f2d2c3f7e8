"""`xpronet show prototype` and `xpronet show prototypes`: the train regions and words nearest to prototypes."""

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    import numpy as np

    from xpronet.data.corpus import Corpus
    from xpronet.data.study import Study
    from xpronet.model.checkpoint import Checkpoint


def prototype(
    run: Path,
    finding: str,
    index: int,
    /,
    *,
    corpus: Path,
    out: Path,
    regions: int = 8,
    words: int = 12,
    studies: int = 500,
    allow_code: bool = False,
    overwrite: bool = False,
) -> None:
    """Draw the train regions and words nearest to one prototype.

    For example:

        xpronet show prototype run "Pleural Effusion" 0 --corpus corpus --out prototype.png

    Args:
        run: run or checkpoint folder.
        finding: the finding of the prototype: "Pleural Effusion".
        index: which of the finding's prototypes, from 0.
        corpus: the corpus folder that the model was trained on.
        out: figure to write, .png or .svg.
        regions: how many regions to show.
        words: how many words to list.
        studies: train studies with the finding to search, evenly sampled.
        allow_code: let the checkpoint name Python objects of installed packages.
        overwrite: replace an existing file.
    """
    from xpronet.errors import InputError
    from xpronet.model.checkpoint import best_device
    from xpronet.progress import on_console
    from xpronet.show.figures import check_figure
    from xpronet.show.nearest import nearest_neighbours, studies_with_findings
    from xpronet.show.prototype import draw_prototype

    if regions < 1 or words < 1 or studies < 1:
        raise InputError("--regions, --words and --studies must be at least 1")
    check_figure(out, overwrite=overwrite)
    checkpoint = _with_prototypes(run, allow_code)
    column = _column(finding, checkpoint.findings)
    per_finding = checkpoint.network.settings.per_finding
    if not 0 <= index < per_finding:
        raise InputError(f"{run}: no prototype {index} of {finding}; there are 0 to {per_finding - 1}")
    folder, train, labels = _train(corpus)
    chosen = studies_with_findings(labels, [column], limit=studies)
    if not len(chosen):
        raise InputError(f"{corpus}: no train study with {finding}; its prototypes were never used")
    [found] = nearest_neighbours(
        checkpoint,
        folder,
        [train[number] for number in chosen],
        labels[chosen],
        [(column, index)],
        num_regions=regions,
        num_words=words,
        device=best_device(),
        track=on_console,
    )
    draw_prototype(found, folder, checkpoint.images, out, overwrite=overwrite)
    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.print(f"Words: {', '.join(f'{word.text} {word.cosine:.2f}' for word in found.words)}")
    console.print(f"Wrote {out}")


def prototypes(
    run: Path,
    /,
    *,
    corpus: Path,
    regions: int = 3,
    words: int = 8,
    studies: int = 200,
    overwrite: bool = False,
    allow_code: bool = False,
) -> None:
    """Write example regions and words of all prototypes into the run folder, for the reading page.

    The examples contain parts of train images: the run folder is then subject to the corpus's terms of use.

    For example:

        xpronet show prototypes run --corpus corpus

    Args:
        run: run folder.
        corpus: the corpus folder that the model was trained on.
        regions: examples of each prototype.
        words: words of each.
        studies: train studies with each finding to search, evenly sampled.
        overwrite: replace existing files.
        allow_code: let the checkpoint name Python objects of installed packages.
    """
    from xpronet.errors import InputError
    from xpronet.model.checkpoint import best_device, fingerprint
    from xpronet.progress import on_console
    from xpronet.show.examples import EXAMPLES_FILE, SPRITE_FILE, write_examples
    from xpronet.show.nearest import nearest_neighbours, studies_with_findings

    if regions < 1 or words < 1 or studies < 1:
        raise InputError("--regions, --words and --studies must be at least 1")
    for name in (EXAMPLES_FILE, SPRITE_FILE):
        if (run / name).exists() and not overwrite:
            raise InputError(f"{run / name}: already exists; add --overwrite")
    checkpoint = _with_prototypes(run, allow_code)
    folder, train, labels = _train(corpus)
    columns = range(len(checkpoint.findings))
    chosen = studies_with_findings(labels, columns, limit=studies)
    found = nearest_neighbours(
        checkpoint,
        folder,
        [train[number] for number in chosen],
        labels[chosen],
        [(column, index) for column in columns for index in range(checkpoint.network.settings.per_finding)],
        num_regions=regions,
        num_words=words,
        device=best_device(),
        track=on_console,
    )
    write_examples(
        run,
        found,
        folder,
        checkpoint.images,
        model=fingerprint(run),
        findings=checkpoint.findings,
        num_studies=len(chosen),
        overwrite=overwrite,
    )
    Console(soft_wrap=True).print(
        f"Wrote {run / EXAMPLES_FILE} and {run / SPRITE_FILE}: {len(found)} prototypes", highlight=False, markup=False
    )


def _with_prototypes(run: Path, allow_code: bool) -> "Checkpoint":
    from xpronet.errors import InputError
    from xpronet.model.checkpoint import load_checkpoint

    checkpoint = load_checkpoint(run, allow_code=allow_code)
    visible = checkpoint.network.settings.visible
    if visible != "findings":
        raise InputError(f"{run}: this model has no prototypes of findings (model.visible = {visible})")
    return checkpoint


def _column(finding: str, findings: tuple[str, ...]) -> int:
    from xpronet.errors import InputError

    named = [name.casefold() for name in findings]
    if finding.casefold() not in named:
        raise InputError(f"{finding!r} is no finding; choose one of {', '.join(findings)}")
    return named.index(finding.casefold())


def _train(corpus: Path) -> "tuple[Corpus, tuple[Study, ...], np.ndarray]":
    """Return a corpus, its train studies and their labels."""
    from xpronet.data.corpus import LABELS_FILE, open_corpus
    from xpronet.labels.label_tables import label_matrix, read_labels

    folder = open_corpus(corpus)
    train = folder.split("train")
    ids = [study.id for study in train]
    return folder, train, label_matrix(read_labels(corpus / LABELS_FILE, ids), ids)
