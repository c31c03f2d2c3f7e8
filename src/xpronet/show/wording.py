"""The words of two reports: the position of each in its text, and which of them both reports share."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from xpronet.text.cleaning import SENTENCE_ENDS, TOKEN

Match = Literal["", "phrase", "sentence"]
"""How a word is shared with another report: not at all, in a phrase, or in a whole sentence."""

PHRASE_WORDS = 3
"""Length of a shared phrase in words; nearly all reports share shorter ones."""


@dataclass(frozen=True, kw_only=True)
class TextWord:
    """One word or full stop of a text."""

    start: int
    """Index of its first character in the text."""
    end: int
    """Index behind its last character."""
    key: str
    """What is compared: lower case, and a full stop for anything that ends a sentence."""


@dataclass(frozen=True, kw_only=True)
class TextPiece:
    """A part of a text: one word, or what lies between two words."""

    text: str
    """The part, unchanged."""
    word: int | None
    """Number of the word in the report, from 0; None between words."""


@dataclass(frozen=True, kw_only=True)
class MatchedSpan:
    """Adjacent pieces that are shared with the other report in the same way."""

    match: Match
    """How they are shared."""
    pieces: tuple[TextPiece, ...]
    """In order; nothing of the text is left out."""


def readable_words(tokens: Sequence[str]) -> tuple[str, tuple[TextWord, ...]]:
    """Return cleaned tokens as readable text, and the position of each in it.

    Sentences begin with a capital and full stops follow the word directly; nothing is added, so that each word has its
    token.
    """
    text, words, begins = "", [], True
    for token in tokens:
        stops = token == "."
        shown = token[:1].upper() + token[1:] if begins else token
        if text and not stops:
            text += " "
        words.append(TextWord(start=len(text), end=len(text) + len(shown), key=token.lower()))
        text += shown
        begins = stops
    return text, tuple(words)


def find_words(text: str) -> tuple[TextWord, ...]:
    """Return the words and sentence ends of a text."""
    return tuple(
        TextWord(start=found.start(), end=found.end(), key="." if found[0] in SENTENCE_ENDS else found[0].lower())
        for found in TOKEN.finditer(text)
    )


def shared_words(words: Sequence[TextWord], other: Sequence[TextWord]) -> tuple[Match, ...]:
    """Return how each of `words` is shared with `other`: in a sentence, in a phrase of three words or more, or not."""
    keys = [word.key for word in other]
    whole = {tuple(keys[start:end]) for start, end in _sentences(keys)}
    phrases = {phrase for sentence in whole for _, phrase in _phrases(sentence)}
    keys = [word.key for word in words]
    matches: list[Match] = [""] * len(keys)
    for start, end in _sentences(keys):
        sentence = tuple(keys[start:end])
        if sentence in whole:
            after = end + 1 if end < len(keys) else end  # its full stop too
            matches[start:after] = ["sentence"] * (after - start)
            continue
        for place, phrase in _phrases(sentence):
            if phrase in phrases:
                matches[start + place : start + place + PHRASE_WORDS] = ["phrase"] * PHRASE_WORDS
    return tuple(matches)


def matched_spans(text: str, words: Sequence[TextWord], matches: Sequence[Match]) -> tuple[MatchedSpan, ...]:
    """Split a text into its words and what lies between them, grouped by how they are shared.

    What lies between two words is shared if both are shared in the same way.
    """
    pieces: list[tuple[Match, TextPiece]] = []
    end = 0
    for index, (word, match) in enumerate(zip(words, matches, strict=True)):
        if word.start > end:
            between: Match = match if index and matches[index - 1] == match else ""
            pieces.append((between, TextPiece(text=text[end : word.start], word=None)))
        pieces.append((match, TextPiece(text=text[word.start : word.end], word=index)))
        end = word.end
    if end < len(text):
        pieces.append(("", TextPiece(text=text[end:], word=None)))
    return tuple(
        MatchedSpan(match=match, pieces=tuple(piece for _, piece in span))
        for match, span in groupby(pieces, lambda pair: pair[0])
    )


def _sentences(keys: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield where each sentence that has a word begins, and the index of its full stop (or of the end)."""
    start = 0
    for place, key in enumerate([*keys, "."]):
        if key == ".":
            if place > start:
                yield start, place
            start = place + 1


def _phrases(sentence: tuple[str, ...]) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield each phrase of three words of a sentence and where it begins."""
    for start in range(len(sentence) - PHRASE_WORDS + 1):
        yield start, sentence[start : start + PHRASE_WORDS]
