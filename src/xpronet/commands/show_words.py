"""`xpronet show words`: each word's attention and prototypes, the paper's figure 1."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console


def words(
    run: Path,
    study: tuple[str, ...],
    /,
    *,
    out: Path,
    corpus: Path | None = None,
    only: Annotated[tuple[str, ...], Parameter(consume_multiple=True)] = (),
    layer: int | None = None,
    head: int | None = None,
    beams: int | None = None,
    width: float = 12.0,
    allow_code: bool = False,
    overwrite: bool = False,
) -> None:
    """Generate a report about one study and draw each word's attention and prototypes.

    For example:

        xpronet show words run frontal.png lateral.png --out words.png
        xpronet show words run STUDY --corpus corpus --out words.png --only effusion

    Args:
        run: run or checkpoint folder.
        study: the id of a study of CORPUS or, without a corpus, its images, frontal first: PNG, JPEG or DICOM files.
        out: figure to write, .png, .svg or .pdf.
        corpus: corpus folder.
        only: draw these words: --only effusion cardiomegaly, or --only all; by default those that name findings and
            places, or the first ones where none does, as many as fit a page.
        layer: the decoder layer whose attention is drawn, from 1; by default the mean of all.
        head: the head whose attention is drawn, from 1; by default the mean of all.
        beams: beam width; by default as the model was saved with.
        width: of the figure in inches: 3.5 is a column of most journals, 7.16 a page.
        allow_code: let the checkpoint name Python objects of installed packages.
        overwrite: replace an existing file.
    """
    import numpy as np

    from xpronet.commands.show_studies import StudyViews, corpus_study, pictured_study, write_one
    from xpronet.device import best_device
    from xpronet.errors import InputError
    from xpronet.generation.evidence import trace_words
    from xpronet.generation.generator import pad_views
    from xpronet.model.build import XPRONET
    from xpronet.model.checkpoint import load_checkpoint
    from xpronet.show.figures import check_figure, check_width
    from xpronet.show.shown_words import telling_words
    from xpronet.show.word_figure import draw_words, page_of_words

    check_figure(out, overwrite=overwrite)
    check_width(width)
    checkpoint = load_checkpoint(run, allow_code=allow_code)
    if corpus is None:
        shown: StudyViews = pictured_study([Path(name) for name in study], checkpoint)
    elif len(study) != 1:
        raise InputError(f"{len(study)} studies named; with --corpus name the id of one")
    else:
        shown = corpus_study(corpus, study[0], checkpoint)
    for warning in shown.warnings:
        Console(stderr=True, soft_wrap=True).print(f"warning: {warning}", highlight=False, markup=False)
    report = write_one(checkpoint, shown, beams=beams, with_evidence=True)
    images, _ = pad_views([shown.views])
    if report.labels_from == "predicted":
        present = np.array([finding.present for finding in report.findings])
    else:
        present = shown.present(report.labels_from)
    traces = trace_words(checkpoint, report, images, present, device=best_device(), layer=layer, head=head)
    asked = {word.casefold() for word in only}
    most = page_of_words(width, len(shown.views), with_prototypes=traces[0].word_shares is not None) if traces else 0
    if asked == {"all"}:
        chosen = [trace for trace in traces if trace.text != "."]
    elif asked:
        chosen = [trace for trace in traces if trace.text in asked]
    else:
        telling = [traces[number] for number in telling_words([trace.text for trace in traces], most=most)]
        chosen = telling or [trace for trace in traces if trace.text != "."][:most]
    if not chosen:
        said = f"none of {', '.join(only)}" if only else "no word"
        raise InputError(f"{shown.id}: {said} in the report {report.text!r}; choose others with --only")
    settings = checkpoint.network.settings
    if settings.name == XPRONET:
        layers = f"layer {layer}" if layer is not None else f"the mean of {settings.layers} decoder layers"
        heads = f"head {head}" if head is not None else f"the mean of {settings.heads} heads"
        how = f"Cross-attention: {layers} and {heads}."
    else:
        how = f"Where each word of {settings.name} looked."
        if traces[0].language is not None:
            how += " Language: the share of a word that came from what had been written, and from no region."
    oracle = " ORACLE LABELS: the findings were read from the reference." if report.labels_from == "reference" else ""
    draw_words(
        chosen,
        shown.views,
        [name for name in checkpoint.findings for _ in range(settings.per_finding)]
        if settings.visible == "findings"
        else [],
        out,
        title=f"{run.resolve().name} about {shown.id}",
        report=report.text,
        how=how + oracle,
        per_finding=settings.per_finding,
        width=width,
        overwrite=overwrite,
    )
    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.print(report.text)
    console.print(f"Wrote {out}: {len(chosen)} of {sum(trace.text != '.' for trace in traces)} words")
