"""The sections of a free-text radiology report, and which of them becomes the text to learn."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

NAMES = {
    "findings": ("findings", "finding", "findings and impression", "impression and findings", "findings/impression"),
    "impression": ("impression", "impressions", "conclusion", "conclusions", "opinion"),
    "indication": (
        "indication",
        "indications",
        "clinical indication",
        "reason",
        "reason for exam",
        "reason for examination",
        "reason for study",
        "clinical information",
        "clinical data",
    ),
    "history": ("history", "clinical history", "patient history", "medical history"),
    "comparison": ("comparison", "comparisons", "comparison studies", "comparison study", "compared to"),
    "technique": ("technique", "techniques", "procedure", "views"),
    "examination": ("examination", "exam", "type of examination", "study", "exam type"),
    "wet read": ("wet read", "preliminary read", "preliminary report"),
    "addendum": ("addendum",),
    "recommendation": ("recommendation", "recommendations"),
    "notification": ("notification", "notifications"),
}
"""Headings as people write them, in lower case, by the section that they open."""
SECTION = {heading: name for name, headings in NAMES.items() for heading in headings}
READ = ("findings", "impression")
"""What the radiologist says about the images."""
FILED = ("wet read", "addendum", "recommendation", "notification")
"""What was added to the report; never its findings."""

HEADING = re.compile(r"^\s*([A-Za-z][A-Za-z ,/()&.\-]{1,70}?)\s*:(?!\d)\s*(.*)$")
BARE_HEADING = re.compile(r"^\s*(FINDINGS?|IMPRESSIONS?|CONCLUSIONS?|ADDENDUM|INDICATION|COMPARISON|TECHNIQUE)\s*$")
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
    """Texts by lower-case name; lines of a paragraph are joined, paragraphs stand apart. Empty ones are left away."""
    unheaded: bool
    """The findings had no heading of their own: they were the paragraphs that follow the last introduction."""


@dataclass
class _Section:
    name: str
    paragraphs: list[str]


def read_sections(report: str) -> ReportSections:
    """Take a report apart.

    A heading is a known name and a colon at the start of a line, or any words in capitals and a colon there. Where no
    heading says FINDINGS, the findings are the paragraphs between the last introduction (history, comparison,
    technique: one paragraph each) and the impression: reports are dictated so by the thousand.

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
    """Yield the sections of a text in order; what stands before the first heading has no name."""
    section = _Section("", [])
    lines: list[str] = []
    for line in [*text.split("\n"), ""]:
        heading = None if RULE.match(line) else _heading(line)
        if heading is not None and section.name in READ and heading[0] not in NAMES:
            heading = None  # "LUNGS:" below FINDINGS is a part of them
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


def _heading(line: str) -> tuple[str, str] | None:
    """Return the section that a line opens and what stands behind the heading, None where it opens none."""
    bare = BARE_HEADING.match(line)
    if bare is not None:
        return SECTION[bare[1].lower()], ""
    found = HEADING.match(line)
    if found is None:
        return None
    words = " ".join(found[1].split())
    known = SECTION.get(words.lower())
    if known is not None:
        return known, found[2].strip()
    if words.upper() != words or sum(map(str.isalpha, words)) < 4:
        return None
    return words.lower(), found[2].strip()


def _take_unheaded(found: list[_Section]) -> list[str]:
    """Take the findings that have no heading out of the sections before the impression, and return them."""
    end = next((place for place, section in enumerate(found) if section.name in READ), len(found))
    introductions = [section for section in found[:end] if section.name not in FILED]
    for section in reversed(introductions):
        if section.name in SECTION:
            taken = section.paragraphs[1:]
            section.paragraphs = section.paragraphs[:1]
        elif section.name:
            # "PA AND LATERAL VIEWS:" opens the findings themselves; other unknown headings ("CT CHEST:") may too.
            taken = section.paragraphs if VIEWS.search(section.name) else section.paragraphs[1:]
            section.paragraphs = [paragraph for paragraph in section.paragraphs if paragraph not in taken]
        else:
            taken = [paragraph for paragraph in section.paragraphs if _is_sentence(paragraph)]
            section.paragraphs = [paragraph for paragraph in section.paragraphs if paragraph not in taken]
        if taken:
            return taken
    return []


def _is_sentence(paragraph: str) -> bool:
    """Tell a sentence, which ends with a full stop, from a title, which has capitals and none."""
    return paragraph.rstrip().endswith(".") and SMALL_LETTERS.search(paragraph) is not None


TextChoice = Literal["findings", "impression", "both"]
MissingChoice = Literal["drop", "other"]
TEXT_SECTIONS: Mapping[str, tuple[str, ...]] = {
    "findings": ("findings",),
    "impression": ("impression",),
    "both": ("findings", "impression"),
}
"""The sections that make up the text, in order, by the name of the choice."""


NEITHER = "neither findings nor impression"


def chosen_text(sections: Mapping[str, str], text: TextChoice, missing: MissingChoice) -> tuple[str, str | None]:
    """Return the text to be learned, and why there is none as a noun ("no findings").

    Args:
        sections: the report's, by lower-case name.
        text: findings, impression, or both with a blank line between.
        missing: what a study does that lacks a section asked for: `drop` leaves it out, `other` takes what there is
            of findings and impression.
    """
    there = [sections[name] for name in TEXT_SECTIONS[text] if sections.get(name)]
    if len(there) < len(TEXT_SECTIONS[text]) and missing == "drop":
        if there or len(TEXT_SECTIONS[text]) == 1:
            return "", "no " + next(name for name in TEXT_SECTIONS[text] if not sections.get(name))
        return "", NEITHER
    if not there:
        there = [sections[name] for name in TEXT_SECTIONS["both"] if sections.get(name)]
    return ("\n\n".join(there), None) if there else ("", NEITHER)
