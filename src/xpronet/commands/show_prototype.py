"""`xpronet show prototype` and `xpronet show prototypes`: the train regions and words nearest to prototypes."""

from pathlib import Path

from rich.console import Console


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
        out: figure to write, .png, .svg or .pdf.
        regions: how many regions to show.
        words: how many words to list.
        studies: train studies with the finding to search, evenly sampled.
        allow_code: let the checkpoint name Python objects of installed packages.
        overwrite: replace an existing file.
    """
    from xpronet.data.corpus import open_corpus
    from xpronet.device import best_device
    from xpronet.errors import InputError
    from xpronet.progress import on_console
    from xpronet.show.figures import check_figure
    from xpronet.show.find_examples import labelled_train, with_prototypes
    from xpronet.show.nearest import nearest_neighbours, studies_with_findings
    from xpronet.show.prototype import draw_prototype

    if regions < 1 or words < 1 or studies < 1:
        raise InputError("--regions, --words and --studies must be at least 1")
    check_figure(out, overwrite=overwrite)
    checkpoint = with_prototypes(run, allow_code=allow_code)
    column = _column(finding, checkpoint.findings)
    per_finding = checkpoint.network.settings.per_finding
    if not 0 <= index < per_finding:
        raise InputError(f"{run}: no prototype {index} of {finding}; there are 0 to {per_finding - 1}")
    folder = open_corpus(corpus)
    train, labels = labelled_train(folder)
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
    from xpronet.data.corpus import open_corpus
    from xpronet.errors import InputError
    from xpronet.progress import on_console
    from xpronet.show.find_examples import ExampleSettings, run_examples

    if regions < 1 or words < 1 or studies < 1:
        raise InputError("--regions, --words and --studies must be at least 1")
    settings = ExampleSettings(regions=regions, words=words, studies=studies)
    line = run_examples(
        run, open_corpus(corpus), settings, allow_code=allow_code, overwrite=overwrite, track=on_console
    )
    Console(soft_wrap=True).print(line, highlight=False, markup=False)


def _column(finding: str, findings: tuple[str, ...]) -> int:
    from xpronet.errors import InputError

    named = [name.casefold() for name in findings]
    if finding.casefold() not in named:
        raise InputError(f"{finding!r} is no finding; choose one of {', '.join(findings)}")
    return named.index(finding.casefold())
