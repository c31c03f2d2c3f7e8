"""CIDEr-D of a text against one reference, with document frequencies that are counted once for all texts.

Vedantam et al., 2015, section 5.3, as pycocoevalcap computes it: the mean over the n-grams of one to four words of the
clipped cosine between tf-idf vectors, lowered where the lengths differ, times ten.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

ORDERS = 4
"""n-grams of one to so many words."""
SIGMA = 6.0
"""Deviation of the Gaussian, in bigrams, that lowers the score where the lengths differ."""

NGram = tuple[str, ...]


class TfIdf(NamedTuple):
    """A text as CIDEr-D compares it."""

    weights: tuple[dict[NGram, float], ...]
    """For each order, the n-grams with their counts times their inverse document frequencies."""
    norms: tuple[float, ...]
    """Euclidean norm of each order's weights."""
    bigrams: int
    """Number of bigrams, which stands for the length."""


class CiderD:
    """Scores texts, given as words, by how rare the n-grams are that they share with a reference."""

    def __init__(self, documents: Iterable[Sequence[str]]) -> None:
        """Count in how many documents each n-gram occurs.

        Args:
            documents: the reference texts whose document frequencies count, at least one.
        """
        frequencies: Counter[NGram] = Counter()
        number = 0
        for words in documents:
            number += 1
            frequencies.update({gram for order in range(1, ORDERS + 1) for gram in _ngrams(words, order)})
        assert number, "document frequencies need documents"
        # Rarer than every other n-gram: those of one document, and those of none.
        self._highest = math.log(number)
        self._idf = {gram: self._highest - math.log(count) for gram, count in frequencies.items() if count > 1}

    def weigh(self, words: Sequence[str]) -> TfIdf:
        """Return a text's tf-idf vectors, which a reference needs once."""
        idf, highest = self._idf, self._highest
        weights = tuple(
            {gram: count * idf.get(gram, highest) for gram, count in Counter(_ngrams(words, order)).items()}
            for order in range(1, ORDERS + 1)
        )
        norms = tuple(math.sqrt(sum(value * value for value in each.values())) for each in weights)
        return TfIdf(weights, norms, max(len(words) - 1, 0))

    def score(self, words: Sequence[str], reference: TfIdf) -> float:
        """Return the CIDEr-D of a text, 0 to 10."""
        text = self.weigh(words)
        total = 0.0
        for ours, theirs, norm, reference_norm in zip(
            text.weights, reference.weights, text.norms, reference.norms, strict=True
        ):
            product = norm * reference_norm
            if product:
                shared = ours.keys() & theirs.keys()
                total += sum(min(ours[gram], theirs[gram]) * theirs[gram] for gram in shared) / product
        difference = text.bigrams - reference.bigrams
        return 10 * total / ORDERS * math.exp(-(difference**2) / (2 * SIGMA**2))


def _ngrams(words: Sequence[str], order: int) -> Iterable[NGram]:
    return zip(*(words[start:] for start in range(order)), strict=False)
