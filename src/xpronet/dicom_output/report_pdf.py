"""A report as a PDF: films with the regions of findings, text, findings and model, on A4 pages."""

import io
import textwrap
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
from jaxtyping import UInt8

from xpronet.dicom_output.described_model import DescribedModel
from xpronet.dicom_output.edited_text import EditedText
from xpronet.dicom_output.finding_regions import finding_regions
from xpronet.dicom_output.plain_text import paragraphs
from xpronet.dicom_output.report_content import EDITED, NOTICE, numbered_views
from xpronet.generation.report import Report
from xpronet.images.transforms import ImageSettings
from xpronet.show.figures import ORANGE, check_plots, figure_style

PAGE = (8.27, 11.69)
"""A4 in inches."""
MARGIN = 0.08
"""Of the page's width and height."""
CHARACTERS = 88
"""In a line; more are wrapped."""
LINE = 0.0185
"""Height of a line, of the page."""
FILMS = 0.3
"""Height of the films on the first page, of the page."""


def report_pdf(report: Report, *, model: DescribedModel, edited: EditedText | None = None) -> bytes:
    """Return a report as a PDF; the same report gives the same bytes.

    It holds no patient data but what is in text and films: the DICOM object around it says whose it is.

    Args:
        report: the draft, with its images; with the regions of its findings, where it was generated with evidence.
        model: what wrote the draft.
        edited: the text as a person left it, instead of the draft.

    Raises:
        InputError: the extra [plots] is not installed.
    """
    check_plots()
    from matplotlib.backends.backend_pdf import PdfPages
    from matplotlib.figure import Figure

    stream = io.BytesIO()
    lines = _lines(report, model, edited)
    metadata = {
        "Title": "Draft report",
        "Subject": NOTICE,
        "Creator": model.name,
        "CreationDate": None,
        "Producer": None,
    }
    with figure_style(), PdfPages(stream, metadata=metadata) as pages:
        top = 1 - MARGIN
        if report.images is not None:
            top -= FILMS + LINE
        while True:
            figure = Figure(figsize=PAGE)
            if top < 1 - MARGIN:
                assert report.images is not None
                _draw_films(figure, report, report.images)
            fitting = list(islice(lines, int((top - MARGIN) / LINE)))
            if not fitting:
                break
            for number, (line, weight) in enumerate(fitting, 1):
                figure.text(MARGIN, top - number * LINE, line, size=10, weight=weight)
            pages.savefig(figure)
            top = 1 - MARGIN
    return stream.getvalue()


def _draw_films(figure: Any, report: Report, views: UInt8[np.ndarray, "views height width"]) -> None:
    """Draw the views as the network saw them, with the strongest region of each finding that counts as present."""
    from matplotlib.patches import Rectangle

    axes = figure.subplots(
        1,
        len(views),
        squeeze=False,
        gridspec_kw={
            "left": MARGIN,
            "right": 1 - MARGIN,
            "top": 1 - MARGIN,
            "bottom": 1 - MARGIN - FILMS,
            "wspace": 0.02,
        },
    )[0]
    as_seen = ImageSettings(test="squash")  # the view is the whole image here
    for number, (axis, view) in enumerate(zip(axes, views, strict=True)):
        axis.imshow(view, cmap="gray", vmin=0, vmax=255, interpolation="bilinear")
        axis.set_axis_off()
        sizes = [view.shape if each == number else None for each in range(len(views))]
        for region in finding_regions(report, sizes, as_seen).values():
            box = region.box
            width, height = box.right - box.left, box.bottom - box.top
            axis.add_patch(Rectangle((box.left, box.top), width, height, fill=False, edgecolor=ORANGE, linewidth=1))
            axis.text(box.left, box.top, region.finding, size=6, color=ORANGE, va="bottom")


def _lines(report: Report, model: DescribedModel, edited: EditedText | None) -> Iterator[tuple[str, str]]:
    """Yield each line of the document with its weight."""
    yield NOTICE, "bold"
    for warning in numbered_views(report).warnings:
        yield from ((line, "bold") for line in textwrap.wrap(f"Warning: {warning}", CHARACTERS))
    if edited is not None:
        yield EDITED + (f": {edited.person.replace('^', ' ')}" if edited.person else ""), "bold"
    yield "", "normal"
    text = report.text if edited is None else edited.text
    for paragraph in paragraphs(text):
        for line in paragraph.splitlines():
            yield from ((part, "normal") for part in textwrap.wrap(line, CHARACTERS))
    yield "", "normal"
    if report.findings:
        yield "Findings predicted by software (probability, threshold)", "bold"
    for finding in report.findings:
        state = "present" if finding.present else "absent"
        line = f"{finding.name}: {state} ({finding.probability:.2f}, {finding.threshold:.2f})"
        yield line, "bold" if finding.present else "normal"
    yield "", "normal"
    for line in (f"{model.name} {model.version}", *model.parameters):
        yield from ((part, "normal") for part in textwrap.wrap(line, CHARACTERS))
