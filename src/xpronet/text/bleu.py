"""BLEU of one text, smoothed, for rewards; scorecards compute the corpus's own (`evaluation.language`)."""

import math
from collections import Counter
from collections.abc import Sequence

LONGEST = 4


def sentence_bleu(words: Sequence[str], reference: Sequence[str]) -> float:
    """Return BLEU-4 of a text against one reference, from 0 to 1.

    Matches of two words and more are counted with one added to both sides of the fraction (Lin and Och, 2004), so that
    a text without a common run of four words is not worth nothing.

    Args:
        words: the text.
        reference: what it is compared with.
    """
    if not words or not reference:
        return 0.0
    logarithm = 0.0
    for size in range(1, LONGEST + 1):
        found, wanted = _runs(words, size), _runs(reference, size)
        matched, total = (found & wanted).total(), found.total()
        if size == 1 and not matched:
            return 0.0
        added = size > 1
        logarithm += math.log((matched + added) / (total + added)) / LONGEST
    return math.exp(logarithm + min(0.0, 1.0 - len(reference) / len(words)))


def _runs(words: Sequence[str], size: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[start : start + size]) for start in range(len(words) - size + 1))
