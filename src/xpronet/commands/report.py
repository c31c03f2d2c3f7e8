"""`xpronet report`: a draft report about the pictures of one study. The main job."""

from pathlib import Path
from typing import Literal

from rich.console import Console


def report(
    run: Path,
    images: tuple[Path, ...],
    /,
    *,
    json: Path | None = None,
    html: Path | None = None,
    labels_from: Literal["predicted", "all"] = "predicted",
    beams: int | None = None,
    choose: Literal["likeliest", "agreeing"] | None = None,
    overwrite: bool = False,
) -> None:
    """Write a draft report about one study.

    Args:
        run: run or checkpoint folder.
        images: the study's views, frontal first: PNG, JPEG or DICOM files.
        json: also write findings, evidence and text to this JSON file.
        html: also write a page with pictures, findings and evidence to this file.
        labels_from: what decides which prototypes are visible: the model's own findings, or nothing, so that all are.
        beams: width of the search; by default as the run's recipe says, else 3.
        choose: take the likeliest report that the search meets, or of as many as there are beams the one that agrees
            best with the findings; by default as the run's recipe says, else the likeliest.
        overwrite: replace files that are there.
    """
    from xpronet.commands.searching import search_settings
    from xpronet.data.images import read_grey
    from xpronet.data.transforms import test_view
    from xpronet.errors import InputError
    from xpronet.files import write_json
    from xpronet.generate.writer import Writer, pad_views
    from xpronet.model.checkpoint import best_device, fingerprint, load_checkpoint

    if not images:
        raise InputError("no picture given: name at least one PNG, JPEG or DICOM file")
    for path in (json, html):
        if path is not None and path.exists() and not overwrite:
            raise InputError(f"{path}: already exists; choose another name or add --overwrite")
    # Pictures first: a wrong file is told before the model is loaded.
    pictures = [read_grey(path) for path in images]
    checkpoint = load_checkpoint(run)
    views = [test_view(picture, checkpoint.images) for picture in pictures]
    writer = Writer(
        checkpoint,
        device=best_device(),
        settings=search_settings(run, checkpoint, beams=beams, choose=choose),
        labels_from=labels_from,
    )
    with_evidence = json is not None or html is not None
    [written] = writer.write([images[0].stem], *pad_views([views]), with_evidence=with_evidence)
    Console(soft_wrap=True).print(written.text, highlight=False, markup=False)
    if json is not None:
        answer = written.answer(model=fingerprint(run), views=[path.name for path in images])
        write_json(json, answer, overwrite=overwrite)
    if html is not None:
        from xpronet.show.page import PageStudy, write_page

        study = PageStudy(report=written, views=tuple(views), positions=(None,) * len(views))
        write_page(html, [study], title="Draft report", overwrite=overwrite)
