"""Abbreviations, British spelling and typing errors, brought to the words that the rules know."""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from itertools import pairwise

SHORTEST_MENDED = 5
"""Letters; shorter words are too near to others."""

LONG = 7
"""Letters from which a wrong letter is mended too; in shorter words only one that is missing, added or swapped."""

LONGEST_MENDED = 30
"""Letters; nothing longer is a word."""

VERY_LONG = 10
"""Letters from which two errors are mended, if hardly a letter is added, lost or changed by them."""

_BRITISH = (
    ("oedem", "edem"),
    ("haem", "hem"),
    ("tumour", "tumor"),
    ("anaem", "anem"),
    ("oesoph", "esoph"),
    ("isation", "ization"),
    ("ualis", "ualiz"),
    ("ognis", "ogniz"),
    ("alise", "alize"),
    ("terise", "terize"),
)


_ENDINGS = frozenset({"s", "d", "r", "ed", "es", "er", "al", "ly", "ing", "like", "ic"})

_TRIPLE = re.compile(r"(.)\1\1+")


class Spelling:
    """Knows the words of the rules, and brings other spellings of them to these."""

    def __init__(
        self, known: Collection[str], short: Mapping[str, str], mended: Collection[str], right: Collection[str]
    ) -> None:
        """Prepare the search for typing errors.

        Args:
            known: the words of the rules.
            short: abbreviations, with what they stand for, in one word or several.
            mended: the words of which typing errors are mended.
            right: words that look like typing errors of these and are none.
        """
        self._known = frozenset(known) | frozenset(right)
        self._short = dict(short)
        self._mended = frozenset(mended)
        self._shortened: dict[str, set[str]] = {}
        """Words by what is left of them without one letter; very long ones also without two."""
        for word in sorted(self._mended):
            for left in _shortened(word):
                self._shortened.setdefault(left, set()).add(word)

    def mended(self, token: str) -> str:
        """Return the words for a token in small letters: itself, unless it is short for something or misspelt."""
        if token in self._short:
            return self._short[token]
        if token in self._known:
            return token
        if "/" in token:
            return " / ".join(self.mended(part) for part in token.split("/"))
        if token.endswith(("n't", "n’t")):
            return "cannot" if token.startswith("can") else f"{token[:-3]} not"
        word = token
        for british, american in _BRITISH:
            word = word.replace(british, american)
        word = _TRIPLE.sub(r"\1\1", word)
        mendable = SHORTEST_MENDED <= len(word) <= LONGEST_MENDED and word.isascii() and word.isalpha()
        if word in self._known or not mendable:
            return word
        return self._joined(word) or self._nearest(word) or word

    def _joined(self, word: str) -> str | None:
        """Return two known words that were written as one ("noeffusion")."""
        cuts = (cut for cut in range(2, len(word) - 4) if word[cut:] in self._mended and word[:cut] in self._known)
        cut = next((cut for cut in cuts if cut > 3 or word[:cut] in ("no", "is", "the", "for")), None)
        return None if cut is None else f"{word[:cut]} {word[cut:]}"

    def _nearest(self, word: str) -> str | None:
        """Return the known word of which this one is a typing error; None where none or several are as near."""
        candidates = {known for left in _shortened(word) for known in self._shortened.get(left, ())}
        found: dict[int, list[str]] = {}
        for known in candidates:
            errors = _errors(word, known)
            if errors <= _forgiven(word, known):
                found.setdefault(errors, []).append(known)
        if not found:
            return None
        nearest = sorted(found[min(found)])
        return nearest[0] if len(nearest) == 1 or len({known.rstrip("s") for known in nearest}) == 1 else None


def _forgiven(word: str, known: str) -> int:
    """Return how many errors `word` may have as a spelling of `known`: 0, 1 or 2."""
    shorter, longer = sorted((word, known), key=len)
    if longer.startswith(shorter) and longer[len(shorter) :] in _ENDINGS:
        return 0  # another form of the word
    if word[0] != known[0] and sorted(word) != sorted(known):
        return 0
    unlike = (Counter(word) - Counter(known)).total() + (Counter(known) - Counter(word)).total()
    if len(known) >= VERY_LONG and len(word) >= VERY_LONG - 1 and unlike <= 1:
        return 2
    if len(known) >= LONG:
        return 1
    return 1 if unlike <= 1 else 0


def _shortened(word: str) -> Iterator[str]:
    """Yield a word, and what is left without each of its letters, in very long words without each two."""
    yield word
    for index in range(len(word)):
        left = word[:index] + word[index + 1 :]
        yield left
        if len(word) >= VERY_LONG - 1:
            for other in range(index, len(left)):
                yield left[:other] + left[other + 1 :]


def _errors(word: str, known: str) -> int:
    """Return the least number of letters added, left out, changed or swapped (optimal string alignment)."""
    if abs(len(word) - len(known)) > 2:
        return 3
    before: list[int] = []
    row = list(range(len(known) + 1))
    letters = ["", *word]
    for number, (last, letter) in enumerate(pairwise(letters), 1):
        current = [number]
        for place, other in enumerate(known, 1):
            cost = min(row[place] + 1, current[place - 1] + 1, row[place - 1] + (letter != other))
            if number > 1 and place > 1 and letter == known[place - 2] and last == other:
                cost = min(cost, before[place - 2] + 1)
            current.append(cost)
        before, row = row, current
    return row[-1]
