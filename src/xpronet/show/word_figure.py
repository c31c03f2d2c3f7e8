"""Each word's attention and the prototypes that the word and its region select: the paper's figure 1."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from xpronet.generation.evidence import WordTrace
from xpronet.show.figures import AMBER, BLACK, BLUE, FINDING_MARKERS, GREY, WIDTH, figure_style
from xpronet.show.sheet import Sheet, line_height, paragraph_height, text_width

MARGIN = 0.25
GAP = 0.3
NARROWEST_CARD = 3.0
"""Least width in inches of a word's card."""
PAGE_HEIGHT = 1.35
"""Height of a page relative to its width, captions left out: a figure of the telling words stays below."""
MAX_IMAGE = 1.75
"""Largest side of an image in inches."""
WIDEST_CELL = 0.16
"""Largest width of a prototype's cell in inches: twenty and a label fit a card."""
STRIP_LABEL = 0.5
LEGEND_ENTRY = 2.85
HEAT_COLOUR = np.array([255, 176, 0], np.float64)
"""Amber: visible on black, grey and white, for any colour vision."""
MAX_OPACITY = 0.65


def draw_words(
    traces: Sequence[WordTrace],
    views: Sequence[UInt8[np.ndarray, "size size"]],
    prototype_findings: Sequence[str],
    path: Path,
    *,
    title: str,
    report: str,
    how: str,
    per_finding: int,
    width: float = WIDTH,
    overwrite: bool = False,
) -> None:
    """Draw a card for each word: its attention on each view with the strongest region boxed, and the prototypes.

    Args:
        traces: the words to draw, at least one.
        views: the images as the network saw them.
        prototype_findings: the finding of each prototype; empty where there are none or they are not those of findings.
        path: the .png, .svg or .pdf file.
        title: of the figure.
        report: the whole text.
        how: which layers and heads the attention is averaged over, and where the findings come from.
        per_finding: prototypes of each finding.
        width: of the figure, in inches.
        overwrite: replace an existing file.
    """
    inner = width - 2 * MARGIN
    columns, card, side, card_height = _card(width, len(views), traces[0].word_shares is not None)
    with_prototypes = traces[0].word_shares is not None
    shown = _shown_findings(traces, prototype_findings)
    rows = -(-len(traces) // columns)
    caption = how + " " + (_LEGEND_TEXT if with_prototypes else "This model has no prototypes.")
    head = (
        0.5
        + paragraph_height(report, width=inner, size=11)
        + paragraph_height(caption, width=inner, size=9)
        + _legend_height(shown, inner)
        + 0.35
    )
    with figure_style():
        sheet = Sheet(width, head + rows * (card_height + GAP) + 0.1)
        sheet.text(MARGIN, 0.15, title, size=14, bold=True)
        y = sheet.paragraph(MARGIN, 0.5, report, width=inner, size=11) + 0.05
        y = sheet.paragraph(MARGIN, y, caption, width=inner, size=9, colour=GREY) + 0.1
        _draw_legend(sheet, y, shown, inner)
        for number, trace in enumerate(traces):
            x = MARGIN + number % columns * (card + GAP)
            top = head + number // columns * (card_height + GAP)
            _draw_card(sheet, x, top, trace, views, side)
            if with_prototypes:
                cell = min(WIDEST_CELL, (card - STRIP_LABEL) / 20)
                _draw_strip(sheet, x, top + 0.3 + side + 0.12, trace, prototype_findings, per_finding, cell)
        sheet.save(path, overwrite=overwrite)


def page_of_words(width: float, num_views: int, *, with_prototypes: bool) -> int:
    """Return how many words a figure of one page has room for.

    Args:
        width: of the figure, in inches.
        num_views: views of the study.
        with_prototypes: whether the model has prototypes.
    """
    columns, _, _, height = _card(width, num_views, with_prototypes)
    room = max(PAGE_HEIGHT * width, 9.5) - 2.6
    return columns * max(1, int((room + GAP) / (height + GAP)))


def _card(width: float, num_views: int, with_prototypes: bool) -> tuple[int, float, float, float]:
    """Return columns, width of a card, side of its images and height of a card, in inches."""
    inner = width - 2 * MARGIN
    columns = max(1, int((inner + GAP) / (NARROWEST_CARD + GAP)))
    card = (inner - (columns - 1) * GAP) / columns
    side = min(MAX_IMAGE, (card - 0.08 * (num_views - 1)) / num_views)
    return columns, card, side, 0.3 + side + (0.98 if with_prototypes else 0.12)


_LEGEND_TEXT = (
    "Amber: attention relative to the strongest region; uniform attention is uniformly amber. Box: the strongest "
    "region, with its share of all attention. Below: the ten prototypes with the largest shares in the response to "
    "the word and to the boxed region, darker for larger shares; a black frame marks those selected by both. By "
    "chance: the overlap of random selections among the prototypes that the study may query. A draft by research "
    "software, never a diagnosis."
)


def overlay_attention(
    view: UInt8[np.ndarray, "size size"], grid: Float[np.ndarray, "rows columns"], strongest: float
) -> UInt8[np.ndarray, "size size 3"]:
    """Return a grey image with attention over it; `strongest` is the attention with the highest opacity."""
    size = len(view)
    # Every pixel has its region's attention: interpolation would suggest a finer resolution.
    rows = np.arange(size) * grid.shape[0] // size
    columns = np.arange(size) * grid.shape[1] // size
    opacity = (grid / max(strongest, 1e-12) * MAX_OPACITY)[rows][:, columns, None]
    return np.rint(view[..., None] * (1 - opacity) + HEAT_COLOUR * opacity).clip(0, 255).astype(np.uint8)


def _draw_card(
    sheet: Sheet,
    x: float,
    y: float,
    trace: WordTrace,
    views: Sequence[UInt8[np.ndarray, "size size"]],
    side: float,
) -> None:
    sheet.text(x, y, trace.text, size=13, bold=True)
    sheet.text(
        x + text_width(trace.text, 13, bold=True) + 0.12,
        y + 0.04,
        f"probability {trace.probability:.2f}, box {trace.attention.max():.0%}"
        + ("" if trace.language is None else f", language {trace.language:.0%}"),
        size=9,
        colour=GREY,
    )
    region_view, row, column = trace.region
    for number, (view, grid) in enumerate(zip(views, trace.attention, strict=True)):
        left = x + number * (side + 0.08)
        sheet.image(left, y + 0.3, side, overlay_attention(view, grid, float(trace.attention.max())))
        if number == region_view:
            across = side / grid.shape[0]
            for colour, line in ((BLACK, 3.5), (AMBER, 1.8)):
                sheet.frame(left + column * across, y + 0.3 + row * across, across, across, colour=colour, line=line)


def _draw_strip(
    sheet: Sheet,
    x: float,
    y: float,
    trace: WordTrace,
    prototype_findings: Sequence[str],
    per_finding: int,
    cell: float,
) -> None:
    """Draw the prototypes that word and region selected: a column for each, in the bank's order."""
    by_word, by_region = trace.chosen_by_word(), trace.chosen_by_region()
    assert trace.word_shares is not None
    assert trace.region_shares is not None
    shares = (trace.word_shares, trace.region_shares)
    strongest = max(float(each.max()) for each in shares) or 1.0
    for line, (name, chosen, each) in enumerate(zip(("word", "region"), (by_word, by_region), shares, strict=True)):
        top = y + line * cell
        sheet.text(x, top + 0.01, name, size=8)
        for place, row in enumerate(sorted({*by_word, *by_region})):
            left = x + STRIP_LABEL + place * cell
            fill = _shade(float(each[row]) / strongest) if row in chosen else "white"
            both = row in by_word and row in by_region
            sheet.frame(left, top, cell, cell, colour="0.8", line=0.5, fill=fill)
            if both and line:
                sheet.frame(left, y, cell, 2 * cell, colour=BLACK, line=1.5)
    for place, row in enumerate(sorted({*by_word, *by_region})):
        middle = x + STRIP_LABEL + (place + 0.5) * cell
        if prototype_findings:
            marker = FINDING_MARKERS[prototype_findings[row]]
            sheet.marker(
                middle, y + 2 * cell + 0.09, marker.shape, colour=marker.colour, filled=marker.filled, size=5.5
            )
        number = row % per_finding if prototype_findings else row
        sheet.text(middle, y + 2 * cell + 0.17, str(number), size=8, align="center")
    if by_word:
        summary = f"{trace.overlap()} of {len(by_word)} in both; by chance {trace.overlap_by_chance():.1f}"
    else:
        summary = "no prototype was visible"
    sheet.text(x, y + 2 * cell + 0.34, summary, size=9, colour=BLACK)


def _shade(part: float) -> str:
    """Return a blue that is darker for a larger part, and never so pale that it looks empty."""
    full = np.array([int(BLUE[place : place + 2], 16) for place in (1, 3, 5)], np.float64)
    strength = 0.2 + 0.8 * min(1.0, max(0.0, part))
    mixed = np.rint(255 * (1 - strength) + full * strength).astype(int)
    return "#" + "".join(f"{value:02x}" for value in mixed)


def _shown_findings(traces: Sequence[WordTrace], prototype_findings: Sequence[str]) -> list[str]:
    """Return the findings whose prototypes are in the figure, in the order of the fourteen."""
    if not prototype_findings:
        return []
    named = {
        prototype_findings[row] for trace in traces for row in (*trace.chosen_by_word(), *trace.chosen_by_region())
    }
    return [name for name in FINDING_MARKERS if name in named]


def _legend_height(shown: Sequence[str], inner: float) -> float:
    return (-(-len(shown) // _across(inner))) * line_height(10)


def _across(inner: float) -> int:
    """Return how many findings of the legend stand in a line."""
    return max(1, int(inner / LEGEND_ENTRY))


def _draw_legend(sheet: Sheet, y: float, shown: Sequence[str], inner: float) -> None:
    for number, name in enumerate(shown):
        marker = FINDING_MARKERS[name]
        line, place = divmod(number, _across(inner))
        x, top = MARGIN + 0.08 + place * LEGEND_ENTRY, y + line * line_height(10)
        sheet.marker(x, top + 0.08, marker.shape, colour=marker.colour, filled=marker.filled, size=7)
        sheet.text(x + 0.15, top, name, size=10)
