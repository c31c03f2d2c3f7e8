"""Take a report apart: sections, sentences, words."""

import re
from collections.abc import Iterator

_HEADING = re.compile(
    r"\b(?:(?P<asked>(?:clinical |brief )?(?:history|indications?|information)|reason for (?:the )?"
    r"(?:exam|examination|study)|comparisons?|techniques?|procedures?|exam|examination|views?|date)"
    r"|findings|impressions?|conclusions?|assessment)\s*:",
    re.IGNORECASE,
)
"""Headings; what stands under those that are `asked` was known before anybody looked at the images."""

_SENTENCE_END = re.compile(r"[!?]+|\.+(?!\d)|(?<=[A-Za-z])\.+(?=\d{1,2}\.\s)")
"""A full stop ends a sentence unless a digit follows ("3.7 cm"); "L1. No" and "disease.2. No" are two sentences."""

_WORD = re.compile(r"[a-z]+|\d+(?:\.\d+)*|[,;:()/]")


def sentences(report: str) -> Iterator[str]:
    """Yield the sentences of a report that tell what its author saw, white space evened out.

    Line breaks mean nothing, numbers of a list fall to either side, and a sentence keeps its decimals. What stands
    under a heading for the question, the history or the comparison is left out.
    """
    for part in _observed(" ".join(report.split())):
        for sentence in _SENTENCE_END.split(part):
            if not sentence.isspace() and sentence:
                yield sentence.strip()


def words(sentence: str) -> list[str]:
    """Return the words of a sentence in lower case; a comma, semicolon, colon, bracket or slash is a word too."""
    return _WORD.findall(sentence.lower())


def _observed(text: str) -> Iterator[str]:
    asked, start = False, 0
    for heading in _HEADING.finditer(text) if ":" in text else ():
        if not asked:
            yield text[start : heading.start()]
        asked, start = heading["asked"] is not None, heading.end()
    if not asked:
        yield text[start:]
