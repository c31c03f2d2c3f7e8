"""The words of a sentence in the spelling that the rules know, and where each stands."""

import re
from collections.abc import Mapping

from xpronet.labels.spelling import Spelling

_LETTER = r"[A-Za-z\u00c0-\u1fff\u2c00-\u2dff\u3040-\ud7ff]"

_TOKEN = re.compile(
    rf"{_LETTER}{{3,}}(?:['’]t\b)?"
    r"|[A-Za-z]{1,2}/[A-Za-z]{1,3}\b(?!/)|[Ww]/|2/2\b"  # w/o, c/w, s/p
    rf"|{_LETTER}+"
    r"|\d+(?:\.\d+)*"
    r"|\([ ]*[-–+][ ]*\)|[-–+][Vv][Ee]\b|(?:\s[-–]|\s?\+)(?=\s*(?:[,;.]|\Z))"  # answers: (-), (+), -ve
    r"|[\s(]\?\s*(?=\w)"  # a question mark in front: "?effusion"
    r"|(?<=\s)[-–—]+(?=\s)|—|--|[,;:()/?=|]"
)

END = "."
"""Stands behind the last word of a sentence."""

QUERY = "query"
"""What a question mark in front of a word says."""

_SIGNS: Mapping[str, str] = {
    "(-)": "none",
    "(–)": "none",
    "(+)": "yes",
    "+": "yes",
    "-ve": "negative",
    "–ve": "negative",
    "+ve": "positive",
    "=": ":",
    "|": ":",
    "–": "–",
    "—": "–",
    "-": "–",
    "--": "–",
    " -": "none",
    " –": "none",
    " +": "yes",
}


class Words(dict[str, str]):
    """The words of the rules for each token of a text, separated by spaces; each spelling is looked up once."""

    def __init__(self, spelling: Spelling) -> None:
        """Start empty; `spelling` mends what it knows."""
        super().__init__()
        self._spelling = spelling

    def __missing__(self, token: str) -> str:
        if len(self) >= MOST_SPELLINGS:
            self.clear()
        self[token] = found = self._known(token)
        return found

    def _known(self, token: str) -> str:
        small = "".join(token.lower().split())
        if "?" in small and len(token) > 1:
            return QUERY
        sign = _SIGNS.get(f" {small}" if token[0].isspace() else small)
        return self._spelling.mended(small) if sign is None else sign

    def of(self, sentence: str) -> list[str]:
        """Return the words of a sentence; a comma, semicolon, colon, bracket, slash or dash is a word too."""
        words = " ".join([self[token] for token in _TOKEN.findall(sentence)]).split()
        if words[:1] == ["?"]:
            words[0] = QUERY
        return words

    def spans(self, sentence: str) -> list[tuple[int, int]]:
        """Return where each of those words stands in the sentence; words of one token have the same place."""
        return [_trimmed(token) for token in _TOKEN.finditer(sentence) for _ in self[token[0]].split()]


def _trimmed(token: re.Match[str]) -> tuple[int, int]:
    """Return where a token stands, without the space that tells its meaning."""
    start, end = token.span()
    return start + (token[0].startswith((" ", "(?"))), end - (len(token[0]) - len(token[0].rstrip()))


MOST_SPELLINGS = 100_000
"""Different tokens that are kept; a corpus has fewer, hostile text may have more."""
