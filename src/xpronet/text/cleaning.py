"""Reports as words between single spaces, sentences closed by a full stop: our rule and the published."""

import re
from collections.abc import Callable
from itertools import groupby

LIST_NUMBER = re.compile(
    r"""
    (^ | \n | (?<!\d)[.;] | [.;](?=\s))  # a sentence ends here: the point of 3.7 ends none
    \s* \d{1,2} [.)] \s+ (?=[^\W\d])
    | (:) \s* 1 [.)] \s+ (?=[^\W\d])    # a list may follow a colon, but so may a grade
    """,
    re.VERBOSE,
)
TOKEN = re.compile(
    r"""
    \d++(?:[.,:]\d++)*+-\d++(?:[.,:]\d++)*+(?!-?[^\W_])  # ranges: 1.5-2.5
    | \d+(?:[.,:]\d+)+         # 3.7, 1,000, 10:30
    | _{2,}                    # a name or date taken out of the report
    | [^\W_]+(?:[-'](?!\d+[.,:]\d)[^\W_]+)*  # words, levels (t12), hyphenated words, numbers
    | [./%+]
    | [?!;]                    # ends a sentence as well
    """,
    re.VERBOSE,
)
DIMENSIONS = re.compile(r"(?<=\d)[xX](?=\.?\d)")
BARE_DECIMAL = re.compile(r"(?<![^\s(<>~-])\.(?=\d)")
SENTENCE_ENDS = frozenset(".?!;")


def clean(report: str, *, lower_case: bool = True) -> str:
    """Return a report as words and full stops, keeping what carries meaning.

    Decimals ("3.7 cm"), levels ("L1"), times and blanks ("___") stay whole; list numbers, quotes, brackets and commas
    go. A line break counts as the end of a sentence only where a blank line follows or a new line starts with a list
    number: reports are wrapped at a fixed width. Without `lower_case` words keep their case, and one that begins a
    sentence is another word than the same one inside.
    """
    text = report.replace("\r\n", "\n")
    text = re.sub(r"\n(?=\s*(?:\n|\d{1,2}[.)]\s))", ".\n", text)
    text = LIST_NUMBER.sub(r"\1\2 ", text).replace("\n", " ")
    text = text.lower() if lower_case else text
    text = BARE_DECIMAL.sub("0.", DIMENSIONS.sub(" x ", text))
    words: list[str] = []
    for token in TOKEN.findall(text):
        if token not in SENTENCE_ENDS:
            words.append("___" if token.startswith("__") else token)
        elif words and words[-1] != ".":
            words.append(".")
    if words and words[-1] != ".":
        words.append(".")
    return " ".join(words)


def readable(cleaned: str) -> str:
    """Return cleaned text as people write it: capitals after full stops, no space before them.

    Full stops without a word between them, which a model may generate, are one.
    """
    groups = groupby(cleaned.split(), key=lambda word: word == ".")
    sentences = [" ".join(words) for is_stop, words in groups if not is_stop]
    return " ".join(sentence[0].upper() + sentence[1:].removesuffix(".") + "." for sentence in sentences)


PUBLISHED_DELETED = str.maketrans("", "", ".,?;*!%^&_+():<=>@[]{}\"/\\'")
"""The published character class spells a range by accident (`:-\\[`), which also takes `:;<=>?@[` and capitals."""


def clean_published_iu(report: str) -> str:
    """Return a report under the published rule for IU X-Ray, to the byte.

    It damages numbers ("3.7" becomes "37") and list-like levels ("L1. A" becomes "La"); it is for scores that must
    compare with the field's, never for reading.
    """
    return _clean_published(_repeat(report, "..", ".", 3))


def clean_published_mimic(report: str) -> str:
    """Return a report under the published rule for MIMIC-CXR, to the byte; see `clean_published_iu`."""
    text = report.replace("\n", " ")
    text = _repeat(text, "__", "_", 7)
    text = _repeat(text, "  ", " ", 7)
    return _clean_published(_repeat(text, "..", ".", 8))


CLEANINGS: dict[str, Callable[[str], str]] = {
    "xpronet": clean,
    "published-iu": clean_published_iu,
    "published-mimic": clean_published_mimic,
}
"""The cleaning rules by the names that recipes, vocabularies and scorecards use."""


def _clean_published(text: str) -> str:
    text = text.replace("1. ", "")
    for number in "2345":
        text = text.replace(f". {number}. ", ". ")
    for number in "2345":
        text = text.replace(f" {number}. ", ". ")
    sentences = text.strip().lower().split(". ")
    return " . ".join(_strip_published(sentence) for sentence in sentences) + " ."


def _strip_published(sentence: str) -> str:
    # Quotes and slashes go before the outer spaces, the other characters after them: spaces they guarded stay.
    for mark in "\"/\\'":
        sentence = sentence.replace(mark, "")
    return sentence.strip().translate(PUBLISHED_DELETED)


def _repeat(text: str, old: str, new: str, times: int) -> str:
    for _ in range(times):
        text = text.replace(old, new)
    return text
