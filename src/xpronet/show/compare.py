"""Reports of several models beside the reference, with the words that it has too: the paper's figure 4."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import UInt8

from xpronet.show.figures import BLACK, BLUE, GREY, ORANGE, WIDTH, house_style
from xpronet.show.sheet import Sheet, line_height, text_width, wrapped
from xpronet.show.wording import Word, find_words, marked_runs, shared_words

Mark = Literal["words", "phrases"]
"""What is marked: each word that the other report has (as the paper does), or phrases of three words and sentences."""

MARGIN = 0.25
PICTURE = 1.9
SIZE = 11
PAD = 0.1


@dataclass(frozen=True, kw_only=True)
class Told:
    """What one model wrote about a study."""

    name: str
    """The model."""
    text: str
    """The report."""
    oracle: bool
    """Whether its findings were read from the reference."""


@dataclass(frozen=True, kw_only=True)
class ComparedStudy:
    """One study, its reference and what each model wrote."""

    id: str
    """The study."""
    views: tuple[UInt8[np.ndarray, "size size"], ...]
    """Its images."""
    reference: str
    """What a radiologist wrote."""
    told: tuple[Told, ...]
    """What the models wrote."""


@dataclass(frozen=True, kw_only=True)
class MarkedText:
    """A report cut at its words and spaces, and which pieces the other report has too."""

    pieces: tuple[tuple[str, bool], ...]
    """Text and whether it is marked; nothing of the report is left out."""
    shared: int
    """Words that are marked."""
    words: int
    """Words in all, full stops not counted."""


def mark_text(text: str, reference: str, mark: Mark) -> MarkedText:
    """Mark what a text shares with another.

    With "words" a word counts as often as the other text has it, so that writing "no" ten times earns nothing.

    Args:
        text: the report to mark.
        reference: the other one.
        mark: what is marked.
    """
    words, others = find_words(text), find_words(reference)
    if mark == "phrases":
        matched = [bool(match) for match in shared_words(words, others)]
    else:
        matched = _shared_singly(words, others)
    runs = marked_runs(text, words, ["phrase" if each else "" for each in matched])
    pieces = [(piece.text, bool(run.match)) for run in runs for piece in run.pieces]
    spaced = [(part, marked) for whole, marked in pieces for part in re.split(r"(\s+)", whole) if part]
    real = [each for word, each in zip(words, matched, strict=True) if word.key != "."]
    return MarkedText(pieces=tuple(spaced), shared=sum(real), words=len(real))


def plain_text(marked: MarkedText) -> str:
    """Return a marked text for places without colours: what is shared stands in [brackets]."""
    whole = "".join(f"[{text}]" if shared and not text.isspace() else text for text, shared in marked.pieces)
    # Neighbours share their brackets.
    return re.sub(r"\](\s*)\[", r"\1", whole)


def draw_comparison(
    studies: Sequence[ComparedStudy], path: Path, *, mark: Mark = "words", overwrite: bool = False
) -> None:
    """Draw each study's images, its reference in a dashed frame and the reports with shared words marked.

    Marked words are blue, bold-looking by a line below them, so that they are seen without colours too.

    Args:
        studies: at least one.
        path: the .png or .svg file.
        mark: what is marked.
        overwrite: replace the file if it is there.
    """
    what = "Words" if mark == "words" else "Phrases of three words and more, and sentences,"
    with house_style():
        heights = [_study(None, 0.0, study, mark) for study in studies]
        canvas = Sheet(WIDTH, 0.85 + sum(heights) + 0.3 * len(heights))
        canvas.text(MARGIN, 0.15, "Reports beside the reference", size=14, bold=True)
        note = f"{what} that the reference has too are blue and underlined. Drafts by research software, no diagnoses."
        canvas.text(MARGIN, 0.48, note, size=10, colour=GREY)
        y = 0.85
        for study, height in zip(studies, heights, strict=True):
            _study(canvas, y, study, mark)
            y += height + 0.3
        canvas.save(path, overwrite=overwrite)


def _study(canvas: Sheet | None, y: float, study: ComparedStudy, mark: Mark) -> float:
    """Draw a study from `y` on; return its height, also where there is no canvas to draw on."""
    start = y
    if canvas is not None:
        canvas.text(MARGIN, y, study.id, size=12, bold=True)
    y += 0.3
    for number, view in enumerate(study.views[:2]):
        if canvas is not None:
            canvas.picture(MARGIN, y + number * (PICTURE + 0.08), PICTURE, view)
    pictures = y + len(study.views[:2]) * (PICTURE + 0.08)
    left = MARGIN + PICTURE + 0.3
    whole = MarkedText(
        pieces=tuple((part, False) for part in re.split(r"(\s+)", study.reference) if part), shared=0, words=0
    )
    y = _block(canvas, left, y, "Reference", "", whole, dashed=True)
    for told in study.told:
        marked = mark_text(told.text, study.reference, mark)
        beside = f"{marked.shared} of {marked.words} words"
        if told.oracle:
            beside += "; ORACLE LABELS: its findings were read from the reference"
        y = _block(canvas, left, y, told.name, beside, marked, dashed=False)
    return max(y, pictures) - start


def _block(
    canvas: Sheet | None, x: float, y: float, name: str, beside: str, marked: MarkedText, *, dashed: bool
) -> float:
    """Draw a named text, in a dashed frame if asked; return where what follows begins."""
    width = WIDTH - MARGIN - x
    texts = [text for text, _ in marked.pieces]
    lines = wrapped(texts, width - 2 * PAD, SIZE)
    height = 0.3 + max(1, len(lines)) * line_height(SIZE) + PAD
    if canvas is not None:
        if dashed:
            canvas.frame(x, y, width, height, colour=BLUE, line=1.4, dashed=True)
        canvas.text(x + PAD, y + 0.07, name, size=SIZE, bold=True)
        colour = ORANGE if "ORACLE" in beside else GREY
        canvas.text(x + PAD + text_width(name, SIZE, bold=True) + 0.15, y + 0.09, beside, size=9, colour=colour)
        if not lines:
            canvas.text(x + PAD, y + 0.3, "(nothing)", size=SIZE, colour=GREY)
        for number, line in enumerate(lines):
            _draw_line(canvas, x + PAD, y + 0.3 + number * line_height(SIZE), line, marked)
    return y + height + 0.12


def _draw_line(canvas: Sheet, x: float, y: float, line: Sequence[tuple[float, int]], marked: MarkedText) -> None:
    below = y + line_height(SIZE) - 0.04
    before: tuple[float, float] | None = None
    for start, number in line:
        text, shared = marked.pieces[number]
        canvas.text(x + start, y, text, size=SIZE, colour=BLUE if shared else BLACK)
        if not shared:
            before = None
            continue
        end = x + start + text_width(text, SIZE)
        # Neighbours share one line below them.
        begin = before[1] if before is not None else x + start
        canvas.line((begin, below), (end, below), colour=BLUE, line=1.0)
        before = (begin, end)


def _shared_singly(words: Sequence[Word], others: Sequence[Word]) -> list[bool]:
    left = Counter(word.key for word in others if word.key != ".")
    shared = []
    for word in words:
        shared.append(left[word.key] > 0)
        left[word.key] -= 1
    return shared
