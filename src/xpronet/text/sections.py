"""The sections of a free-text radiology report, and which of them becomes the text to learn."""

import difflib
import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

NAMES = {
    "findings": (
        "findings",
        "finding",
        "chest findings",
        "findings and impression",
        "findings & impression",
        "impression and findings",
        "findings/impression",
        "impression/findings",
        "comment",
        "comments",
        "observations",
        "interpretation",
    ),
    "impression": (
        "impression",
        "final impression",
        "impression and recommendation",
        "impression/recommendation",
        "conclusion",
        "opinion",
        "summary",
    ),
    "indication": (
        "indication",
        "clinical indication",
        "reason",
        "reason for exam",
        "reason for examination",
        "reason for this exam",
        "reason for this examination",
        "reason for study",
        "reason for the study",
        "clinical information",
        "clinical data",
        "clinical details",
        "clinical question",
        "indication/history",
        "indication and history",
        "medical condition",
        "underlying medical condition",
        "admitting diagnosis",
    ),
    "history": (
        "history",
        "clinical history",
        "patient history",
        "medical history",
        "history/indication",
        "history and indication",
    ),
    "comparison": ("comparison", "compared to", "compared with", "correlation", "correlated with"),
    "technique": ("technique", "procedure", "procedure comments", "views", "number of views"),
    "examination": ("examination", "exam", "type of examination", "type of exam", "study", "exam type"),
    "wet read": ("wet read", "preliminary read", "preliminary report", "preliminary impression", "pfi"),
    "addendum": ("addendum",),
    "recommendation": ("recommendation", "follow-up", "follow up"),
    "notification": ("notification", "communication", "critical result"),
}
"""Headings as people write them, in lower case and singular, by the section that they open."""
SECTION = {heading: name for name, headings in NAMES.items() for heading in headings}
SHORTEST_MISSPELT = 6
"""Letters: shorter words are too often like another."""
WORDS = sorted(
    {word for words in (*SECTION, "previous reference") for word in re.findall("[a-z]+", words) if len(word) > 5}
)
"""The words of headings that are recognised when they are misspelt."""
SPELLING = 0.85
"""How alike (difflib's ratio) a misspelt word and the right one are at least: two letters in ten may be exchanged."""
READ = ("findings", "impression")
"""What the radiologist says about the images."""
FILED = ("wet read", "addendum", "recommendation", "notification")
"""What was added to the report; never its findings."""
SUBHEADINGS = ("comment", "interpretation", "observation", "summary")
"""Headings that also occur inside findings and impression, where they open no section."""

HEADING = re.compile(r"^\s*([A-Za-z][A-Za-z ,/()&.\-]{1,70}?)\s*:(?!\d)\s*(.*)$")
BARE_HEADING = re.compile(
    r"^\s*((?:FINAL )?(?:FINDING|IMPRESSION|CONCLUSION|RECOMMENDATION|NOTIFICATION)(?:S|\(S\))?"
    r"|ADDENDUM|INDICATION|COMPARISON|TECHNIQUE)\s*[.\-]?\s*$"
)
OTHER_FILMS = re.compile(
    r"(?:comparison|compared|prior|previous|reference)(?: is made)?(?: to| with)?"
    r"(?: (?:chest|ct|relevant|prior|previous)){0,2}"
    r" (?:film|exam|examination|stud(?:y|ie)|radiograph|image|date|imaging|x-?ray)s?"
)
"""Headings of what the study was compared with: "comparison film", "prior studies", "reference exam"."""
INLINE_HEADING = re.compile(
    r"(?<=[.?!:;_])[ \t]+(?=(?:FINDING|IMPRESSION|CONCLUSION|RECOMMENDATION|NOTIFICATION|COMPARISON)(?:S|\(S\))?\s*:)"
)
"""Where a line continues with a heading in capitals, as in reports whose line breaks are lost."""
FINAL = re.compile(r"^[ \t*]*FINAL REPORT[ \t*:]*$", re.IGNORECASE | re.MULTILINE)
ADDENDUM = re.compile(r"^[ \t*]*(?:FINAL )?ADDENDUM\b", re.IGNORECASE | re.MULTILINE)
RULE = re.compile(r"^\s*_{10,}\s*$")
VIEWS = re.compile(
    r"\b(?:chest|views?|radiographs?|ap|pa|lateral|portable|upright|semi-?erect|x-?ray|film)\b", re.IGNORECASE
)
SMALL_LETTERS = re.compile(r"[a-z]{3}")


@dataclass(frozen=True, kw_only=True)
class ReportSections:
    """A report taken apart."""

    sections: dict[str, str]
    """Texts by lower-case name, none empty; lines of a paragraph are joined, and a blank line separates paragraphs."""
    unheaded: bool
    """The findings had no heading of their own: they are the paragraphs after the last introduction."""


@dataclass
class _Section:
    name: str
    paragraphs: list[str]


def read_sections(report: str) -> ReportSections:
    """Take a report apart.

    A heading is a known name, misspelt by a letter or two perhaps, and a colon at the start of a line, or any words in
    capitals and a colon there. Where no heading says FINDINGS, the findings are the paragraphs between the last
    introduction (history, comparison, technique: one paragraph each) and the impression, as in thousands of dictated
    reports.

    Args:
        report: as filed. What precedes the last line FINAL REPORT is a wet read or an addendum, not the report.
    """
    before, body = _final(report)
    found = list(_split(body))
    sections: dict[str, list[str]] = {}
    unheaded = not any(section.name == "findings" and section.paragraphs for section in found)
    if unheaded:
        findings = _take_unheaded(found)
        if findings:
            sections["findings"] = findings
    for section in (*found, *before):
        sections.setdefault(section.name, []).extend(section.paragraphs)
    texts = {name: "\n\n".join(paragraphs) for name, paragraphs in sections.items() if name and paragraphs}
    return ReportSections(sections=texts, unheaded=unheaded and "findings" in texts)


def _final(report: str) -> tuple[list[_Section], str]:
    """Return what was filed before the final report, as sections, and the final report."""
    text = report.replace("\r\n", "\n").replace("\r", "\n")
    marks = list(FINAL.finditer(text))
    if not marks:
        return [], text
    earlier = [part for part in FINAL.split(text[: marks[-1].start()]) if part.strip()]
    before: list[_Section] = []
    for part in earlier:
        name = "addendum" if ADDENDUM.search(part) else "wet read"
        sections = [section for section in _split(part) if section.paragraphs]
        paragraphs = [paragraph for section in sections for paragraph in section.paragraphs]
        before.append(_Section(name, paragraphs))
    return before, text[marks[-1].end() :]


def _split(text: str) -> Iterator[_Section]:
    """Yield the sections of a text in order; what precedes the first heading has no name."""
    section = _Section("", [])
    lines: list[str] = []
    for line in [*INLINE_HEADING.sub("\n", text).split("\n"), ""]:
        heading = None if RULE.match(line) else _heading(line, inside=section.name in READ)
        if heading is None and line.strip() and not RULE.match(line):
            lines.append(line.strip())
            continue
        if lines:
            section.paragraphs.append(" ".join(lines))
            lines = []
        if heading is not None:
            yield section
            section = _Section(heading[0], [])
            lines = [heading[1]] if heading[1] else []
    yield section


def _heading(line: str, *, inside: bool) -> tuple[str, str] | None:
    """Return the section that a line opens and what follows the heading, None where it opens none.

    Args:
        line: the line.
        inside: whether it is in the findings or the impression, whose sub-headings ("LUNGS:") are a part of them.
    """
    bare = BARE_HEADING.match(line)
    found = HEADING.match(line) if bare is None else bare
    if found is None:
        return None
    words = " ".join(found[1].split())
    name = _known(words.lower())
    # Inside a section, a line in small letters continues a sentence: "compared to the prior study: unchanged".
    a_part = inside and (_singular(words.lower()) in SUBHEADINGS or (words[0].islower() and name not in READ))
    if name is not None and not a_part:
        return name, found[2].strip() if bare is None else ""
    if inside or words.upper() != words or sum(map(str.isalpha, words)) < 4:
        return None
    return words.lower(), found[2].strip()


@functools.lru_cache(maxsize=1 << 14)
def _known(heading: str) -> str | None:
    """Return the section that a heading in lower case opens, right or misspelt; None where it is none of ours."""
    heading = _singular(heading)
    if heading not in SECTION:
        heading = _singular(re.sub("[a-z]+", lambda word: _spelled(word[0]), heading))
    return SECTION.get(heading) or ("comparison" if OTHER_FILMS.fullmatch(heading) else None)


def _spelled(word: str) -> str:
    """Return the word of our headings that a word is or is a misspelling of, else the word."""
    if len(word) < SHORTEST_MISSPELT or word in WORDS:
        return word
    alike = difflib.get_close_matches(word, WORDS, n=1, cutoff=SPELLING)
    return alike[0] if alike else word


def _singular(heading: str) -> str:
    """Return a heading without its ending "s" or "(s)": RECOMMENDATION(S), FINDINGS."""
    heading = heading.removesuffix("(s)").rstrip(" .-")
    return heading if heading in SECTION else heading.removesuffix("s")


def _take_unheaded(found: list[_Section]) -> list[str]:
    """Remove the findings that have no heading from the sections before the impression, and return them."""
    end = next((place for place, section in enumerate(found) if section.name in READ), len(found))
    introductions = [section for section in found[:end] if section.name not in FILED]
    for section in reversed(introductions):
        if section.name in SECTION:
            taken = section.paragraphs[1:]
            section.paragraphs = section.paragraphs[:1]
        elif section.name:
            # "PA AND LATERAL VIEWS:" opens the findings themselves; so may other unknown headings ("CT CHEST:").
            taken = section.paragraphs if VIEWS.search(section.name) else section.paragraphs[1:]
            section.paragraphs = [paragraph for paragraph in section.paragraphs if paragraph not in taken]
        else:
            taken = [paragraph for paragraph in section.paragraphs if _is_sentence(paragraph)]
            section.paragraphs = [paragraph for paragraph in section.paragraphs if paragraph not in taken]
        if taken:
            return taken
    return []


def _is_sentence(paragraph: str) -> bool:
    """Return whether a paragraph is a sentence, which ends with a full stop, and no title in capitals."""
    return paragraph.rstrip().endswith(".") and SMALL_LETTERS.search(paragraph) is not None


NULLS = frozenset(("nan", "none", "null", "nil", "na", "n/a", "nat", "undefined"))
"""What programs write into an empty cell, in lower case."""
NO_TEXT = re.compile(r"[\W_]*")


def is_null(text: str) -> bool:
    """Return whether a cell is empty or holds what programs write into an empty one: "nan", "None", "<NA>", "#N/A"."""
    return text.strip(" <>()[]#'\"-").lower() in ("", *NULLS) or text == "\\N"


def is_blank(report: str) -> bool:
    """Return whether a report says nothing: no letter or digit, or what programs write into an empty cell."""
    return NO_TEXT.fullmatch(report) is not None or is_null(report.strip(" \n.,;"))


TextChoice = Literal["findings", "impression", "both"]
MissingChoice = Literal["drop", "other"]
TEXT_SECTIONS: Mapping[str, tuple[str, ...]] = {
    "findings": ("findings",),
    "impression": ("impression",),
    "both": ("findings", "impression"),
}
"""The sections that make up the text to learn, in order, by the name of the choice."""
NEITHER = "neither findings nor impression"


def chosen_text(sections: Mapping[str, str], text: TextChoice, missing: MissingChoice) -> tuple[str, str | None]:
    """Return the text to learn, and why there is none as a noun ("no findings").

    Args:
        sections: the report's, by lower-case name.
        text: findings, impression, or both with a blank line between.
        missing: what a study does that lacks a section asked for: `drop` leaves it out, `other` takes what there is
            of findings and impression.
    """
    present = {name: sections[name] for name in READ if not is_blank(sections.get(name, ""))}
    wanted = TEXT_SECTIONS[text]
    lacking = [name for name in wanted if name not in present]
    if lacking and missing == "drop":
        return "", NEITHER if len(lacking) == 2 else f"no {lacking[0]}"
    chosen = [present[name] for name in wanted if name in present] or list(present.values())
    return ("\n\n".join(chosen), None) if chosen else ("", NEITHER)
