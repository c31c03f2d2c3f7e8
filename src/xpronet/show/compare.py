"""Reports of several models note the reference, shared words marked: the paper's figure 4."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import UInt8

from xpronet.labels.findings import NO_FINDING, State
from xpronet.labels.rules import find_claims
from xpronet.show.figures import BLACK, BLUE, GREY, ORANGE, WIDTH, figure_style
from xpronet.show.sheet import Sheet, line_height, paragraph_height, text_width, wrapped
from xpronet.show.wording import TextWord, find_words, matched_spans, shared_words

MarkUnit = Literal["findings", "words", "phrases"]
"""What is marked: findings that both reports state alike, and those that they contradict each other about; every shared
word (as in the paper); or shared phrases of three words and sentences."""
Mark = Literal["", "shared", "contradicted"]
SAID = (State.POSITIVE, State.UNCERTAIN)
WHAT: Mapping[MarkUnit, str] = {
    "findings": "Blue and underlined: findings stated as in the reference. Orange and underlined twice: contradicted.",
    "words": "Words shared with the reference are blue and underlined.",
    "phrases": "Phrases of three words or more, and sentences, shared with the reference are blue and underlined.",
}

MARGIN = 0.25
IMAGE = 1.9
"""Side of an image in inches, as the margin and padding."""
NARROW = 6.0
"""Width in inches below which texts stand under the images."""
COLOURS: Mapping[Mark, str] = {"": BLACK, "shared": BLUE, "contradicted": ORANGE}
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

    pieces: tuple[tuple[str, Mark], ...]
    """Text and how it is marked; together they are the whole report."""
    shared: int
    """Number of shared words, or of findings stated alike."""
    words: int
    """Number of words, without full stops, or of findings that the reference states or denies."""
    contradicted: int | None = None
    """Findings that one report states and the other denies; None where words are marked."""

    @property
    def note(self) -> str:
        """Return the counts in words."""
        if self.contradicted is None:
            return f"{self.shared} of {self.words} words"
        return f"{self.shared} of {self.words} findings alike, {self.contradicted} contradicted"


def mark_text(text: str, reference: str, mark: MarkUnit) -> MarkedText:
    """Mark what a text shares with another.

    With "words", a word is marked as often as the other text has it, so that repeating "no" ten times gains nothing.

    Args:
        text: the report to mark.
        reference: the other report.
        mark: what is marked.
    """
    if mark == "findings":
        return _mark_findings(text, reference)
    words, others = find_words(text), find_words(reference)
    if mark == "phrases":
        matched = [bool(match) for match in shared_words(words, others)]
    else:
        matched = _count_shared(words, others)
    spans = matched_spans(text, words, ["phrase" if each else "" for each in matched])
    pieces: list[tuple[str, Mark]] = [
        (piece.text, "shared" if span.match else "") for span in spans for piece in span.pieces
    ]
    spaced = [(part, marked) for whole, marked in pieces for part in re.split(r"(\s+)", whole) if part]
    without_stops = [each for word, each in zip(words, matched, strict=True) if word.key != "."]
    return MarkedText(pieces=tuple(spaced), shared=sum(without_stops), words=len(without_stops))


def plain_text(marked: MarkedText) -> str:
    """Return a marked text without colours: what is shared is in [brackets], what is contradicted in {braces}."""
    around = {"shared": ("[", "]"), "contradicted": ("{", "}")}
    whole = "".join(text if not mark or text.isspace() else text.join(around[mark]) for text, mark in marked.pieces)
    # Adjacent words share their brackets.
    return re.sub(r"\](\s*)\[|\}(\s*)\{", lambda found: found[1] or found[2] or "", whole)


def _mark_findings(text: str, reference: str) -> MarkedText:
    """Mark the words that name or deny a finding which the reference states or denies, too."""
    stated = _states(reference)
    own = _states(text)
    marks: list[Mark] = [""] * len(text)
    for sentence in find_claims(text):
        for claim in sentence.claims:
            if claim.finding not in stated or claim.state is State.NOT_MENTIONED:
                continue
            mark: Mark = "shared" if (claim.state in SAID) == stated[claim.finding] else "contradicted"
            for span in (*claim.mention, *claim.cue):
                # What is contradicted stays so where one word claims two findings.
                marks[span.start : span.end] = [
                    "contradicted" if before == "contradicted" else mark for before in marks[span.start : span.end]
                ]
    pieces: list[tuple[str, Mark]] = []
    for found in re.finditer(r"\s+|[^\s]+", text):
        for mark, group in groupby(range(found.start(), found.end()), key=lambda place: marks[place]):
            places = list(group)
            pieces.append((text[places[0] : places[-1] + 1], mark))
    both = [name for name in stated if name in own]
    alike = sum(own[name] == stated[name] for name in both)
    return MarkedText(pieces=tuple(pieces), shared=alike, words=len(stated), contradicted=len(both) - alike)


def _states(text: str) -> dict[str, bool]:
    """Return for each finding that a text mentions whether it states it, certain or not, somewhere."""
    states: dict[str, bool] = {}
    for sentence in find_claims(text):
        for claim in sentence.claims:
            if claim.finding != NO_FINDING and claim.state is not State.NOT_MENTIONED:
                states[claim.finding] = states.get(claim.finding, False) or claim.state in SAID
    return states


def draw_comparison(
    studies: Sequence[ComparedStudy],
    path: Path,
    *,
    mark: MarkUnit = "findings",
    width: float = WIDTH,
    overwrite: bool = False,
) -> None:
    """Draw each study's images, its reference in a dashed frame, and the reports with shared words marked.

    Marks are underlined once or twice, so that they are visible without colours too.

    Args:
        studies: at least one.
        path: the .png, .svg or .pdf file.
        mark: what is marked.
        width: of the figure, in inches.
        overwrite: replace an existing file.
    """
    note = f"{WHAT[mark]} Drafts by research software, not diagnoses."
    inner = width - 2 * MARGIN
    head = 0.6 + paragraph_height(note, width=inner, size=10)
    with figure_style():
        heights = [_study(None, 0.0, study, mark, width) for study in studies]
        sheet = Sheet(width, head + sum(heights) + 0.3 * len(heights))
        sheet.text(MARGIN, 0.15, "Reports beside the reference", size=14, bold=True)
        sheet.paragraph(MARGIN, 0.48, note, width=inner, size=10, colour=GREY)
        y = head
        for study, height in zip(studies, heights, strict=True):
            _study(sheet, y, study, mark, width)
            y += height + 0.3
        sheet.save(path, overwrite=overwrite)


def _study(sheet: Sheet | None, y: float, study: ComparedStudy, mark: MarkUnit, full: float) -> float:
    """Draw a study from `y` downwards and return its height; without a sheet, measure only."""
    start = y
    if sheet is not None:
        sheet.text(MARGIN, y, study.id, size=12, bold=True)
    y += 0.3
    # In a column the images stand side by side above the texts.
    narrow = full < NARROW
    image = (full - 2 * MARGIN - 0.08) / 2 if narrow else IMAGE
    for number, view in enumerate(study.views[:2]):
        if sheet is not None:
            place = (MARGIN + number * (image + 0.08), y) if narrow else (MARGIN, y + number * (image + 0.08))
            sheet.image(*place, image, view)
    images_end = y + (1 if narrow else len(study.views[:2])) * (image + 0.08)
    left = MARGIN if narrow else MARGIN + image + 0.3
    y = images_end + 0.05 if narrow else y
    width = full - MARGIN - left
    reference = MarkedText(
        pieces=tuple((part, "") for part in re.split(r"(\s+)", study.reference) if part), shared=0, words=0
    )
    y = _block(sheet, left, y, width, "Reference", "", reference, dashed=True)
    for report in study.reports:
        marked = mark_text(report.text, study.reference, mark)
        note = marked.note
        if report.oracle:
            note += "; ORACLE LABELS: its findings were read from the reference"
        y = _block(sheet, left, y, width, report.model, note, marked, dashed=False)
    return max(y, images_end) - start


def _block(
    sheet: Sheet | None, x: float, y: float, width: float, name: str, note: str, marked: MarkedText, *, dashed: bool
) -> float:
    """Draw a text under its title, in a dashed frame if asked for; return where the next begins."""
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
    before: tuple[Mark, float] | None = None
    for start, number in line:
        text, mark = marked.pieces[number]
        sheet.text(x + start, y, text, size=FONT_SIZE, colour=COLOURS[mark])
        end = x + start + text_width(text, FONT_SIZE)
        # Adjacent words of one mark share one underline.
        begin = before[1] if before is not None and before[0] == mark else x + start
        for underline in range({"": 0, "shared": 1, "contradicted": 2}[mark]):
            sheet.line(
                (begin, below + 0.03 * underline), (end, below + 0.03 * underline), colour=COLOURS[mark], line=1.0
            )
        before = (mark, end)


def _count_shared(words: Sequence[TextWord], others: Sequence[TextWord]) -> list[bool]:
    left = Counter(word.key for word in others if word.key != ".")
    shared = []
    for word in words:
        shared.append(left[word.key] > 0)
        left[word.key] -= 1
    return shared
