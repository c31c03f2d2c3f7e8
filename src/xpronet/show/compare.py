"""Reports of several models note the reference, shared words marked: the paper's figure 4."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import UInt8

from xpronet.show.figures import BLACK, BLUE, GREY, ORANGE, WIDTH, figure_style
from xpronet.show.sheet import Sheet, line_height, text_width, wrapped
from xpronet.show.wording import TextWord, find_words, matched_spans, shared_words

MarkUnit = Literal["words", "phrases"]
"""What is marked: every shared word (as in the paper), or shared phrases of three words and sentences only."""

MARGIN = 0.25
IMAGE = 1.9
"""Side of an image in inches, as the margin and padding."""
FONT_SIZE = 11
PAD = 0.1


@dataclass(frozen=True, kw_only=True)
class ModelReport:
    """One model's report about a study."""

    model: str
    """Name of the model."""
    text: str
    """The report."""
    oracle: bool
    """Whether its findings were read from the reference."""


@dataclass(frozen=True, kw_only=True)
class ComparedStudy:
    """One study, its reference and the models' reports."""

    id: str
    """The study's id."""
    views: tuple[UInt8[np.ndarray, "size size"], ...]
    """Its images."""
    reference: str
    """The radiologist's report."""
    reports: tuple[ModelReport, ...]
    """One for each model."""


@dataclass(frozen=True, kw_only=True)
class MarkedText:
    """A report split at words and spaces, and which pieces the other report shares."""

    pieces: tuple[tuple[str, bool], ...]
    """Text and whether it is marked; together they are the whole report."""
    shared: int
    """Number of marked words."""
    words: int
    """Number of words, without full stops."""


def mark_text(text: str, reference: str, mark: MarkUnit) -> MarkedText:
    """Mark what a text shares with another.

    With "words", a word is marked as often as the other text has it, so that repeating "no" ten times gains nothing.

    Args:
        text: the report to mark.
        reference: the other report.
        mark: what is marked.
    """
    words, others = find_words(text), find_words(reference)
    if mark == "phrases":
        matched = [bool(match) for match in shared_words(words, others)]
    else:
        matched = _count_shared(words, others)
    spans = matched_spans(text, words, ["phrase" if each else "" for each in matched])
    pieces = [(piece.text, bool(span.match)) for span in spans for piece in span.pieces]
    spaced = [(part, marked) for whole, marked in pieces for part in re.split(r"(\s+)", whole) if part]
    without_stops = [each for word, each in zip(words, matched, strict=True) if word.key != "."]
    return MarkedText(pieces=tuple(spaced), shared=sum(without_stops), words=len(without_stops))


def plain_text(marked: MarkedText) -> str:
    """Return a marked text without colours: what is shared is in [brackets]."""
    whole = "".join(f"[{text}]" if shared and not text.isspace() else text for text, shared in marked.pieces)
    # Adjacent words share their brackets.
    return re.sub(r"\](\s*)\[", r"\1", whole)


def draw_comparison(
    studies: Sequence[ComparedStudy], path: Path, *, mark: MarkUnit = "words", overwrite: bool = False
) -> None:
    """Draw each study's images, its reference in a dashed frame, and the reports with shared words marked.

    Marked words are blue and underlined, so that they are visible without colours too.

    Args:
        studies: at least one.
        path: the .png or .svg file.
        mark: what is marked.
        overwrite: replace an existing file.
    """
    what = "Words" if mark == "words" else "Phrases of three words or more, and sentences,"
    with figure_style():
        heights = [_study(None, 0.0, study, mark) for study in studies]
        sheet = Sheet(WIDTH, 0.85 + sum(heights) + 0.3 * len(heights))
        sheet.text(MARGIN, 0.15, "Reports note the reference", size=14, bold=True)
        note = f"{what} shared with the reference are blue and underlined. Drafts by research software, not diagnoses."
        sheet.text(MARGIN, 0.48, note, size=10, colour=GREY)
        y = 0.85
        for study, height in zip(studies, heights, strict=True):
            _study(sheet, y, study, mark)
            y += height + 0.3
        sheet.save(path, overwrite=overwrite)


def _study(sheet: Sheet | None, y: float, study: ComparedStudy, mark: MarkUnit) -> float:
    """Draw a study from `y` downwards and return its height; without a sheet, measure only."""
    start = y
    if sheet is not None:
        sheet.text(MARGIN, y, study.id, size=12, bold=True)
    y += 0.3
    for number, view in enumerate(study.views[:2]):
        if sheet is not None:
            sheet.image(MARGIN, y + number * (IMAGE + 0.08), IMAGE, view)
    images_end = y + len(study.views[:2]) * (IMAGE + 0.08)
    left = MARGIN + IMAGE + 0.3
    reference = MarkedText(
        pieces=tuple((part, False) for part in re.split(r"(\s+)", study.reference) if part), shared=0, words=0
    )
    y = _block(sheet, left, y, "Reference", "", reference, dashed=True)
    for report in study.reports:
        marked = mark_text(report.text, study.reference, mark)
        note = f"{marked.shared} of {marked.words} words"
        if report.oracle:
            note += "; ORACLE LABELS: its findings were read from the reference"
        y = _block(sheet, left, y, report.model, note, marked, dashed=False)
    return max(y, images_end) - start


def _block(sheet: Sheet | None, x: float, y: float, name: str, note: str, marked: MarkedText, *, dashed: bool) -> float:
    """Draw a text under its title, in a dashed frame if asked for; return where the next begins."""
    width = WIDTH - MARGIN - x
    texts = [text for text, _ in marked.pieces]
    lines = wrapped(texts, width - 2 * PAD, FONT_SIZE)
    height = 0.3 + max(1, len(lines)) * line_height(FONT_SIZE) + PAD
    if sheet is not None:
        if dashed:
            sheet.frame(x, y, width, height, colour=BLUE, line=1.4, dashed=True)
        sheet.text(x + PAD, y + 0.07, name, size=FONT_SIZE, bold=True)
        colour = ORANGE if "ORACLE" in note else GREY
        sheet.text(x + PAD + text_width(name, FONT_SIZE, bold=True) + 0.15, y + 0.09, note, size=9, colour=colour)
        if not lines:
            sheet.text(x + PAD, y + 0.3, "(empty)", size=FONT_SIZE, colour=GREY)
        for number, line in enumerate(lines):
            _draw_line(sheet, x + PAD, y + 0.3 + number * line_height(FONT_SIZE), line, marked)
    return y + height + 0.12


def _draw_line(sheet: Sheet, x: float, y: float, line: Sequence[tuple[float, int]], marked: MarkedText) -> None:
    below = y + line_height(FONT_SIZE) - 0.04
    before: tuple[float, float] | None = None
    for start, number in line:
        text, shared = marked.pieces[number]
        sheet.text(x + start, y, text, size=FONT_SIZE, colour=BLUE if shared else BLACK)
        if not shared:
            before = None
            continue
        end = x + start + text_width(text, FONT_SIZE)
        # Adjacent words share one underline.
        begin = before[1] if before is not None else x + start
        sheet.line((begin, below), (end, below), colour=BLUE, line=1.0)
        before = (begin, end)


def _count_shared(words: Sequence[TextWord], others: Sequence[TextWord]) -> list[bool]:
    left = Counter(word.key for word in others if word.key != ".")
    shared = []
    for word in words:
        shared.append(left[word.key] > 0)
        left[word.key] -= 1
    return shared
