"""The words of two reports: where each stands in the text, and which of them both reports have."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from xpronet.text.cleaning import SENTENCE_ENDS, TOKEN

Match = Literal["", "phrase", "sentence"]
"""How a word is shared with another report: not, in a phrase, or with its whole sentence."""

PHRASE_WORDS = 3
"""Words in a row that make a shared phrase; fewer are shared by nearly all reports."""


@dataclass(frozen=True, kw_only=True)
class Word:
    """One word or full stop of a text."""

    start: int
    """Where its first character stands in the text."""
    end: int
    """Behind its last character."""
    key: str
    """What is compared: lower case, and one full stop for whatever ends a sentence."""


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A stretch of text that is one word, or lies between words."""

    text: str
    """As it is shown."""
    word: int | None
    """Which word of the report, from 0; None between words."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """Neighbouring pieces that are shared with the other report in the same way."""

    match: Match
    """How they are shared."""
    pieces: tuple[Piece, ...]
    """In reading order; nothing of the text is left out."""


def readable_words(tokens: Sequence[str]) -> tuple[str, tuple[Word, ...]]:
    """Return cleaned tokens as people write them, and where each of them stands.

    Sentences begin with a capital and full stops touch the word before them, as in `data.text.readable`; but nothing
    is added, so that each word shown has its token.
    """
    text, words, begins = "", [], True
    for token in tokens:
        stops = token == "."
        shown = token[:1].upper() + token[1:] if begins else token
        if text and not stops:
            text += " "
        words.append(Word(start=len(text), end=len(text) + len(shown), key=token.lower()))
        text += shown
        begins = stops
    return text, tuple(words)


def find_words(text: str) -> tuple[Word, ...]:
    """Return the words and sentence ends of a text as somebody wrote it."""
    return tuple(
        Word(start=found.start(), end=found.end(), key="." if found[0] in SENTENCE_ENDS else found[0].lower())
        for found in TOKEN.finditer(text)
    )


def shared_words(words: Sequence[Word], other: Sequence[Word]) -> tuple[Match, ...]:
    """Say of each of `words` how `other` has it: in the same sentence, in a phrase of three words or more, or not."""
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


def marked_runs(text: str, words: Sequence[Word], matches: Sequence[Match]) -> tuple[Run, ...]:
    """Cut a text into its words and what lies between them, grouped by how they are shared.

    What lies between two words is shared if both are, and in the same way.
    """
    pieces: list[tuple[Match, Piece]] = []
    end = 0
    for index, (word, match) in enumerate(zip(words, matches, strict=True)):
        if word.start > end:
            between: Match = match if index and matches[index - 1] == match else ""
            pieces.append((between, Piece(text=text[end : word.start], word=None)))
        pieces.append((match, Piece(text=text[word.start : word.end], word=index)))
        end = word.end
    if end < len(text):
        pieces.append(("", Piece(text=text[end:], word=None)))
    return tuple(
        Run(match=match, pieces=tuple(piece for _, piece in run))
        for match, run in groupby(pieces, lambda pair: pair[0])
    )


def _sentences(keys: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield where each sentence that has a word begins, and where its full stop stands or would stand."""
    start = 0
    for place, key in enumerate([*keys, "."]):
        if key == ".":
            if place > start:
                yield start, place
            start = place + 1


def _phrases(sentence: tuple[str, ...]) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield each run of three words of a sentence and where it begins."""
    for place in range(len(sentence) - PHRASE_WORDS + 1):
        yield place, sentence[place : place + PHRASE_WORDS]
