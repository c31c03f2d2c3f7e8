"""Word by word: where the model looked, and which prototypes the word and that place chose: the paper's figure 1."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from xpronet.generation.evidence import WordTrace
from xpronet.show.figures import AMBER, BLACK, BLUE, FINDING_MARKS, GREY, WIDTH, house_style
from xpronet.show.sheet import Sheet, line_height, paragraph_height, text_width

COLUMNS = 3
MARGIN = 0.25
GAP = 0.3
CARD = (WIDTH - 2 * MARGIN - (COLUMNS - 1) * GAP) / COLUMNS
LARGEST_PICTURE = 1.75
CELL = 0.16
"""Width of a prototype's cell: twice ten of them and their name fit a card."""
STRIP_LABEL = 0.5
HEAT = np.array([255, 176, 0], np.float64)
"""Amber: seen on black, grey and white, by any eye."""
STRONGEST_HEAT = 0.65


def draw_words(
    traces: Sequence[WordTrace],
    views: Sequence[UInt8[np.ndarray, "size size"]],
    owners: Sequence[str],
    path: Path,
    *,
    title: str,
    report: str,
    how: str,
    per_finding: int,
    overwrite: bool = False,
) -> None:
    """Draw a card a word: its heat on each view with the strongest region boxed, and the prototypes chosen.

    Args:
        traces: the words to draw, at least one.
        views: the squares that the network saw.
        owners: the finding of each prototype; empty where prototypes belong to no finding or there are none.
        path: the .png or .svg file.
        title: what stands above.
        report: the whole text.
        how: which layers and heads the attention is averaged over, and where the findings came from.
        per_finding: prototypes of each finding.
        overwrite: replace the file if it is there.
    """
    inner = WIDTH - 2 * MARGIN
    side = min(LARGEST_PICTURE, (CARD - 0.08 * (len(views) - 1)) / len(views))
    with_prototypes = traces[0].word_shares is not None
    card_height = 0.3 + side + (0.98 if with_prototypes else 0.12)
    used = _used(traces, owners)
    rows = -(-len(traces) // COLUMNS)
    explained = how + " " + (_EXPLAINED if with_prototypes else "This model has no prototypes.")
    head = (
        0.5
        + paragraph_height(report, width=inner, size=11)
        + paragraph_height(explained, width=inner, size=9)
        + _legend_height(used)
        + 0.35
    )
    with house_style():
        canvas = Sheet(WIDTH, head + rows * (card_height + GAP) + 0.1)
        canvas.text(MARGIN, 0.15, title, size=14, bold=True)
        y = canvas.paragraph(MARGIN, 0.5, report, width=inner, size=11) + 0.05
        y = canvas.paragraph(MARGIN, y, explained, width=inner, size=9, colour=GREY) + 0.1
        _draw_legend(canvas, y, used)
        for number, trace in enumerate(traces):
            x = MARGIN + number % COLUMNS * (CARD + GAP)
            top = head + number // COLUMNS * (card_height + GAP)
            _draw_card(canvas, x, top, trace, views, side)
            if with_prototypes:
                _draw_strip(canvas, x, top + 0.3 + side + 0.12, trace, owners, per_finding)
        canvas.save(path, overwrite=overwrite)


_EXPLAINED = (
    "Amber: the share of a word's attention, relative to its strongest region; even attention is even amber. Box: that "
    "region, and the share it has of the whole. Below: the ten prototypes with the largest shares in the response to "
    "the word and to the boxed region, darker for larger shares; a black frame marks those that both chose. By chance: "
    "the overlap of choices at random among the prototypes that the study could query. A draft by research software, "
    "never a diagnosis."
)


def heated(
    view: UInt8[np.ndarray, "size size"], grid: Float[np.ndarray, "rows columns"], strongest: float
) -> UInt8[np.ndarray, "size size 3"]:
    """Return a grey image with a grid of attention over it; `strongest` is the attention with the fullest colour."""
    size = len(view)
    # Each pixel takes its region's attention: smoothing would show more than the model has.
    rows = np.arange(size) * grid.shape[0] // size
    columns = np.arange(size) * grid.shape[1] // size
    cover = (grid / max(strongest, 1e-12) * STRONGEST_HEAT)[rows][:, columns, None]
    return np.rint(view[..., None] * (1 - cover) + HEAT * cover).clip(0, 255).astype(np.uint8)


def _draw_card(
    canvas: Sheet,
    x: float,
    y: float,
    trace: WordTrace,
    views: Sequence[UInt8[np.ndarray, "size size"]],
    side: float,
) -> None:
    canvas.text(x, y, trace.text, size=13, bold=True)
    canvas.text(
        x + text_width(trace.text, 13, bold=True) + 0.12,
        y + 0.04,
        f"probability {trace.probability:.2f}, box {trace.attention.max():.0%}",
        size=9,
        colour=GREY,
    )
    region_view, row, column = trace.region
    for number, (view, grid) in enumerate(zip(views, trace.attention, strict=True)):
        left = x + number * (side + 0.08)
        canvas.picture(left, y + 0.3, side, heated(view, grid, float(trace.attention.max())))
        if number == region_view:
            across = side / grid.shape[0]
            for colour, line in ((BLACK, 3.5), (AMBER, 1.8)):
                canvas.frame(left + column * across, y + 0.3 + row * across, across, across, colour=colour, line=line)


def _draw_strip(canvas: Sheet, x: float, y: float, trace: WordTrace, owners: Sequence[str], per_finding: int) -> None:
    """Draw which prototypes word and region chose: a column a prototype, in the bank's order."""
    by_word, by_region = trace.chosen_by_word(), trace.chosen_by_region()
    assert trace.word_shares is not None
    assert trace.region_shares is not None
    shares = (trace.word_shares, trace.region_shares)
    strongest = max(float(each.max()) for each in shares) or 1.0
    for line, (name, chosen, each) in enumerate(zip(("word", "region"), (by_word, by_region), shares, strict=True)):
        top = y + line * CELL
        canvas.text(x, top + 0.01, name, size=8)
        for place, row in enumerate(sorted({*by_word, *by_region})):
            left = x + STRIP_LABEL + place * CELL
            fill = _shade(float(each[row]) / strongest) if row in chosen else "white"
            both = row in by_word and row in by_region
            canvas.frame(left, top, CELL, CELL, colour="0.8", line=0.5, fill=fill)
            if both and line:
                canvas.frame(left, y, CELL, 2 * CELL, colour=BLACK, line=1.5)
    for place, row in enumerate(sorted({*by_word, *by_region})):
        middle = x + STRIP_LABEL + (place + 0.5) * CELL
        if owners:
            mark = FINDING_MARKS[owners[row]]
            canvas.mark(middle, y + 2 * CELL + 0.09, mark.shape, colour=mark.colour, filled=mark.filled, size=5.5)
        number = row % per_finding if owners else row
        canvas.text(middle, y + 2 * CELL + 0.17, str(number), size=8, align="center")
    if by_word:
        told = f"{trace.overlap()} of {len(by_word)} in both; by chance {trace.overlap_by_chance():.1f}"
    else:
        told = "no prototype was visible"
    canvas.text(x, y + 2 * CELL + 0.34, told, size=9, colour=BLACK)


def _shade(part: float) -> str:
    """Return blue, the fuller the larger the part, and never so pale that it looks empty."""
    full = np.array([int(BLUE[place : place + 2], 16) for place in (1, 3, 5)], np.float64)
    strength = 0.2 + 0.8 * min(1.0, max(0.0, part))
    mixed = np.rint(255 * (1 - strength) + full * strength).astype(int)
    return "#" + "".join(f"{value:02x}" for value in mixed)


def _used(traces: Sequence[WordTrace], owners: Sequence[str]) -> list[str]:
    """Return the findings whose prototypes stand in the figure, in the order of the fourteen."""
    if not owners:
        return []
    named = {owners[row] for trace in traces for row in (*trace.chosen_by_word(), *trace.chosen_by_region())}
    return [name for name in FINDING_MARKS if name in named]


def _legend_height(used: Sequence[str]) -> float:
    return (-(-len(used) // 4)) * line_height(10)


def _draw_legend(canvas: Sheet, y: float, used: Sequence[str]) -> None:
    for number, name in enumerate(used):
        mark = FINDING_MARKS[name]
        x, top = MARGIN + 0.08 + number % 4 * 2.9, y + number // 4 * line_height(10)
        canvas.mark(x, top + 0.08, mark.shape, colour=mark.colour, filled=mark.filled, size=7)
        canvas.text(x + 0.15, top, name, size=10)
