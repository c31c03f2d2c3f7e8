"""Take a report apart: the sentences and list items that tell what its author saw."""

import re
from collections.abc import Iterator
from itertools import pairwise

from xpronet.labels.headings import observed_spans

_MARK = re.compile(r"[.!?*•·▪●◦‣]+|\(?\d{1,2}\)(?=\s)")
"""What may end a sentence, or number an item of a list that stands on one line."""

_SHORT_FORM = re.compile(r"\b(?:vs|dr|approx|poss|prob|susp|bilat|mod|e\.g|i\.e|cf)$", re.IGNORECASE)
"""A full stop behind it ends no sentence."""

_ANSWER = re.compile(r"\s*(?:no|yes|none|nil|absent|present|negative|positive)\b", re.IGNORECASE)
"""It belongs to the question before it: "Pneumothorax? No."."""

_NUMBERED = re.compile(r"\d{1,2}\.\s")

_OPENER = re.compile(
    r"(?<=[a-z)])\s+(?=(?:No|There|The|Heart|Lungs?|Small|Moderate|Large|Mild|Minimal|Trace|Severe|Stable|Unchanged|Cardiac"
    r"|Cardiomediastinal|Mediastinum|Pleural|Bones|Bony|Trachea|Interval|Increased|Persistent|Please|Right|Left|Bilateral"
    r"|Bibasilar)\s|[A-Z][A-Za-z /-]{2,30}:)|\s/\s(?=[Nn]o\s)"
)
"""Between words where a list has lost its line breaks: "Heart enlarged No effusion", "none Effusion: small"."""

_LAST_WORD = re.compile(r"(?:^|[\s(])([a-z])[\w'’/-]*\)?$")
"""The last word of a text, if it is written small."""

_BREAK = re.compile(r"[^\S\n\r]*(?:\r\n|\r|\n)\s*")

_BULLET = re.compile(r"\s*(?:[-*•·▪●◦‣–—+>]|\(?\d{1,2}[.)](?!\d)|\(?(?:[a-z]|[ivx]{1,4})[.)])\s+", re.IGNORECASE)

_HANGING = re.compile(
    r"(?:[,:(/]|\b(?:a|an|the|and|or|nor|of|in|on|at|to|for|with|without|from|by|no|not|is|are|was|were|has|have|be|been"
    r"|than|that|which|as|may|could|versus|vs|there|this|these|its))\s*$",
    re.IGNORECASE,
)
"""How a line ends whose sentence goes on in the next, whatever that begins with."""

_DESCRIBING = re.compile(
    r"\b(?:left|right|bilateral|pleural|focal|acute|pulmonary|large|small|moderate|mild|upper|lower|middle|lung|new|chronic"
    r"|old|minimal|trace|interstitial|basilar|apical|venous|central|jugular|subclavian)\s*$",
    re.IGNORECASE,
)
"""How a line ends whose sentence goes on, unless the next begins with a capital and small letters."""

_LABEL = re.compile(r"\s*[A-Za-z][A-Za-z /&-]{2,30}:")
"""How a line begins that names what it speaks of."""

_GOING_ON = re.compile(
    r"(?:and|or|nor|of|in|on|at|to|for|with|without|from|by|is|are|was|were|has|have|than|that|which|as|may|could|versus"
    r"|but|seen|noted|identified|present|since|due|compared|effusions?|disease|silhouette|tube|line|lobe|base)\b|[,;)]"
)
"""How a line begins that goes on with the sentence of the one before."""

LEADERS = 2
"""More full stops than these in a row lead from a name to its answer: "Pneumothorax.....none"."""

_WRAPPED_WIDTH = 60
"""A text that a program has wrapped has lines about as long as this at least."""


def sentences(report: str) -> Iterator[str]:
    """Yield the sentences of a report that tell what its author saw, as written."""
    for start, end in sentence_spans(report):
        yield report[start:end]


def sentence_spans(report: str) -> Iterator[tuple[int, int]]:
    """Yield start and end of each sentence or list item that tells what the report's author saw.

    A sentence keeps its decimals and its question mark; an item of a list ends where the next begins; a line break
    within a sentence means nothing. What stands under a heading for the question, the history or the comparison is
    left out.
    """
    lines = "\n" in report or "\r" in report
    for start, end in observed_spans(report):
        for first, last in _stretches(report, start, end) if lines else ((start, end),):
            yield from _pieces(report, first, last)


def _pieces(report: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the sentences of a stretch, across whose line breaks sentences go on."""
    cuts = [cut for mark in _MARK.finditer(report, start, end) if (cut := _cut(report, start, mark))]
    openers = [
        gap.span()
        for gap in _OPENER.finditer(report, start, end)
        if _LAST_WORD.search(report, start, gap.start()) and not _HANGING.search(report, start, gap.start())
    ]
    if openers:
        cuts = sorted(cuts + openers)
    for closes, following in [*cuts, (end, end)]:
        piece = report[start:closes]
        words = piece.strip()
        if words:
            begin = start + len(piece) - len(piece.lstrip())
            yield begin, begin + len(words)
        start = max(start, following)


def _cut(report: str, start: int, mark: re.Match[str]) -> tuple[int, int] | None:
    """Return where a sentence ends and the next begins at a mark; None where the mark ends none.

    A full stop ends a sentence unless a digit follows ("3.7 cm"), but "disease.2. No" is two sentences.
    """
    first, last = mark.span()
    sign = mark[0][-1]
    if sign == ")":
        alone = first == start or report[first - 1].isspace()
        return (first, last) if alone else None
    if sign == "?":
        if first == start or report[first - 1].isspace() or report[last : last + 1].isalnum():
            return None
        return None if _ANSWER.match(report, last) else (last, last)
    if sign == "." and last - first > LEADERS and not report[last : last + 1].isspace():
        return None
    if sign == ".":
        if report[last : last + 1].isdigit():
            return (first, last) if report[first - 1 : first].isalpha() and _NUMBERED.match(report, last) else None
        return None if _SHORT_FORM.search(report, max(start, first - 8), first) else (first, last)
    return first, last


def _stretches(report: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield stretches of several lines; at the ends of each a sentence or an item of a list ends for certain."""
    edges = [start, *(edge for gap in _BREAK.finditer(report, start, end) for edge in gap.span()), end]
    lines = list(zip(edges[::2], edges[1::2], strict=True))
    widest = max(last - first for first, last in lines)
    capitals = not report.isupper()
    bare = not any(report[first:last].rstrip().endswith(".") for first, last in lines)
    opens = _behind_bullet(report, *lines[0])
    for (first, last), (then, until) in pairwise(lines):
        blank = len(report[last:then].strip(" \t").splitlines()) > 1
        if blank or _begins_item(report[first:last], report[then:until], widest, capitals=capitals, bare=bare):
            yield opens, last
            opens = _behind_bullet(report, then, until)
    yield opens, end


def _behind_bullet(report: str, start: int, end: int) -> int:
    bullet = _BULLET.match(report, start, end)
    return bullet.end() if bullet else start


def _begins_item(line: str, following: str, widest: int, *, capitals: bool, bare: bool) -> bool:
    """Tell whether a line begins something new, rather than going on with the sentence of the line before.

    Args:
        line: the line before.
        following: the line.
        widest: letters of the longest line around.
        capitals: whether capitals mean anything: the report is not all in capitals.
        bare: no line around ends with a full stop.
    """
    if _BULLET.match(following) or (_LABEL.match(following) and not line.rstrip().endswith(",")):
        return True
    if _HANGING.search(line) or _GOING_ON.match(following):
        return False
    word = following.split(maxsplit=1)[0] if following.strip() else ""
    opens = capitals and word[:1].isupper() and (word.istitle() or not word.isalpha())
    if _DESCRIBING.search(line) and not opens:
        return False
    if len(line) + 1 + len(word) > widest >= _WRAPPED_WIDTH and not opens:
        return False
    return bare or (capitals and word[:1].isupper())
