"""Leave out what a report's author was told or asked before looking at the images: indication, history, comparison."""

import re
from collections.abc import Iterator
from typing import Literal

Kind = Literal["asked", "technical", "seen", "organ"]
"""What stands under a heading: what was known before; comparison or technique; findings; findings of one organ."""

_ASKED = (
    r"(?:clinical|brief|relevant|pertinent|medical|past medical|patient|presenting|referral|request"
    r"|admission|admitting) (?:history|indications?|information|info|data|details?|statement|presentation|questions?"
    r"|notes?|context"
    r"|background|concerns?|problems?|symptoms?|complaints?|diagnos[ie]s|summary|reason|request|query)"
    r"|(?:past )?history(?: of (?:the )?present(?:ing)? (?:illness|complaint))?|indications?(?: for \w+)?|hpi|pmh|hx"
    r"|reasons? for (?:the |this )?(?:exam|examination|study|referral|request|visit|order|test|procedure|admission|film"
    r"|imaging|consultation|(?:chest )?(?:radiograph|x-?ray)|cxr)"
    r"|request(?:ed)?|question|(?:signs (?:and|&) )?symptoms?|(?:chief )?complaint|background|recommendations?"
)
_TECHNICAL = (
    r"(?:chest )?comparisons?(?: (?:films?|stud(?:y|ies)|exam(?:ination)?s?|radiographs?))?|techniques?|procedures?"
    r"|protocol|exam|examination|date|prior (?:stud(?:y|ies)|exams?)"
)
_SEEN = (
    r"(?:radiological |radiographic |imaging |chest )?findings|impressions?|conclusions?|assessment|reports?|results?"
    r"|opinion|interpretation|comments?|observations?|description|views?"
)
_ORGAN = (
    r"(?:lungs?(?: and pleura)?|heart|pleura|mediastinum|bones|cardiac|lines and tubes|tubes and lines|support devices)"
)
_NAME = rf"\b(?:(?P<asked>{_ASKED})|(?P<technical>{_TECHNICAL})|(?P<seen>{_SEEN})|(?P<organ>{_ORGAN}))"

_WITH_COLON = re.compile(rf"{_NAME}(?:\s*:|\s+[-–—]+(?=\s))", re.IGNORECASE)
_ON_A_LINE = re.compile(rf"^[ \t]*{_NAME}[ \t]*[:–—-]*[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_IN_FRONT = re.compile(rf"(?:^|(?<=[.\n]))[ \t]*{_NAME}(?=\s+(?:[A-Z][a-z]|\?))", re.IGNORECASE | re.MULTILINE)
"""Without a colon, in front of its text; counts where it is written in capitals and the report is not."""

_IN_CAPITALS = re.compile(
    r"\b(?:INDICATION|HISTORY|CLINICAL|REASON|COMPARISON|TECHNIQUE|EXAM|REQUEST|QUESTION|SYMPTOM)"
)

_STATEMENT = re.compile(
    r"\s*(?:there (?:is|are)\b"
    r"|(?:the )?(?:heart|cardiac|cardiomediastinal|lungs?|mediastinum|pleura|trachea)\b(?!.*\bwas\b)"
    r"|no (?:focal|evidence|acute|pleural|pneumothorax|effusions?|consolidation)\b)",
    re.IGNORECASE,
)
"""How a sentence opens that tells what is on the images."""

_ABOUT_A_STUDY = re.compile(
    r"\b(?:radiographs?|x-?rays?|films?|ct|mri|exam\w*|stud(?:y|ies)|priors?|previous|dated|none|available|images?"
    r"|scans?|pa|ap|lateral|portable|cxr|chest)\b|\d{4}|xxxx",
    re.IGNORECASE,
)
"""What lines about technique and comparison hold."""

_SENTENCE = re.compile(r"[^.\n]*[^.\s][^.\n]*")


def observed_spans(report: str) -> Iterator[tuple[int, int]]:
    """Yield start and end of each part of a report that tells what its author saw, in order.

    A heading counts with its colon, alone on its line, or in capitals. What reads like findings under the heading of
    the comparison or the technique is findings: some reports have no other place for them.
    """
    headings = _headings(report)
    seen = any(kind == "seen" for kind, _, _ in headings)
    kind: Kind = "seen"
    start = 0
    for following, opens, closes in headings:
        if following == "organ":
            if kind in ("seen", "organ"):
                continue  # it belongs to its sentence
            closes = opens
        yield from _part(report, kind, start, opens, seen)
        kind, start = following, closes
    yield from _part(report, kind, start, len(report), seen)


def _part(report: str, kind: Kind, start: int, end: int, seen: bool) -> Iterator[tuple[int, int]]:
    """Yield what is findings between a heading of a kind and the next; `seen`: findings have a heading elsewhere."""
    if kind == "asked":
        paragraph = report.find("\n\n", start, end)
        begin = paragraph if paragraph >= 0 and _STATEMENT.match(report, paragraph, end) else None
    elif kind == "technical":
        lines = _SENTENCE.finditer(report, start, end)
        begin = next(
            (
                line.start()
                for line in lines
                if _STATEMENT.match(line[0]) or not (seen or _ABOUT_A_STUDY.search(line[0]))
            ),
            None,
        )
    else:
        begin = start
    if begin is not None and begin < end:
        yield begin, end


def _headings(report: str) -> list[tuple[Kind, int, int]]:
    """Return kind, start and end of each heading, in order; of two in one place the longer."""
    found: list[tuple[Kind, int, int]] = []
    if ":" in report or " -" in report or "–" in report or "—" in report:
        found += map(_heading, _WITH_COLON.finditer(report))
    if "\n" in report:
        found += map(_heading, _ON_A_LINE.finditer(report))
    if _IN_CAPITALS.search(report) and not report.isupper():
        found += [_heading(match) for match in _IN_FRONT.finditer(report) if match[0].isupper()]
    if len(found) < 2:
        return found
    found.sort(key=lambda heading: (heading[1], -heading[2]))
    kept = found[:1]
    for heading in found[1:]:
        if heading[1] >= kept[-1][2]:
            kept.append(heading)
    return kept


def _heading(match: re.Match[str]) -> tuple[Kind, int, int]:
    kinds: tuple[Kind, ...] = ("asked", "technical", "seen", "organ")
    kind = next(name for name in kinds if match[name] is not None)
    return kind, match.start(kind), match.end()
