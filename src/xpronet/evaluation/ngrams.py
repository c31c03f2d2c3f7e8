"""N-gram matches of reports with their references, counted in arrays: what BLEU and CIDEr-D are made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from jaxtyping import Float64, Int64

ORDERS = 4
"""BLEU and CIDEr look at 1- to 4-grams."""
SIGMA = 6.0
"""Width of CIDEr-D's penalty for reports that are longer or shorter than their reference (Vedantam et al. 2015)."""
_SHIFT = 31
"""Two numbers below 2^31 fit into one of 63 bits: an n-gram and the word after it, a study and an n-gram."""


@dataclass(frozen=True, kw_only=True)
class _Counts:
    """How often each study has each n-gram of one order, sorted by study and n-gram."""

    keys: Int64[np.ndarray, " entries"]
    """The study's position shifted left by `_SHIFT`, plus the n-gram's number."""
    counts: Int64[np.ndarray, " entries"]
    """How often the study's text has it; at least once."""

    @property
    def studies(self) -> Int64[np.ndarray, " entries"]:
        """The position of each entry's study."""
        return self.keys >> _SHIFT

    @property
    def ngrams(self) -> Int64[np.ndarray, " entries"]:
        """The number of each entry's n-gram."""
        return self.keys & ((1 << _SHIFT) - 1)


class ReferenceNgrams:
    """The n-grams of the references, numbered once, so that many sets of reports are compared with them quickly."""

    def __init__(self, references: Sequence[str]) -> None:
        """Number the words and n-grams of `references`, which are words separated by spaces, one text a study."""
        texts = [reference.split() for reference in references]
        self._studies = len(texts)
        self._words = {word: number for number, word in enumerate(dict.fromkeys(chain.from_iterable(texts)))}
        self.lengths = np.array([len(words) for words in texts], dtype=np.int64)
        """Words of each reference."""
        self._known: list[Int64[np.ndarray, " ngrams"]] = []
        self._counts: list[_Counts] = []
        self._idf: list[Float64[np.ndarray, " ngrams"]] = []
        for counts in self._count(texts, self._words, learn=True):
            self._counts.append(counts)
            frequency = np.bincount(counts.ngrams)
            self._idf.append(np.log(float(max(1, self._studies))) - np.log(np.maximum(1.0, frequency)))

    def bleu(self, reports: Sequence[str]) -> Float64[np.ndarray, "studies 10"]:
        """Return of each study clipped matches and n-grams of order 1 to 4, then words of report and reference."""
        texts, columns = [report.split() for report in reports], np.zeros((self._studies, 2 * ORDERS + 2))
        lengths = np.array([len(words) for words in texts], dtype=np.float64)
        for order, given in enumerate(self._given(texts)):
            both, ours, theirs = _common(given, self._counts[order])
            columns[:, order] = np.bincount(both.studies, np.minimum(ours, theirs), minlength=self._studies)
            columns[:, ORDERS + order] = np.maximum(lengths - order, 0)
        columns[:, 2 * ORDERS], columns[:, 2 * ORDERS + 1] = lengths, self.lengths
        return columns

    def cider(self, reports: Sequence[str]) -> Float64[np.ndarray, " studies"]:
        """Return CIDEr-D of each study, with document frequencies of the references (Vedantam et al. 2015, eq. 4)."""
        texts = [report.split() for report in reports]
        # Of pycocoevalcap's length penalty: the difference in bigrams.
        bigrams = np.array([max(0, len(words) - 1) for words in texts]) - np.maximum(0, self.lengths - 1)
        penalty = np.exp(-(bigrams.astype(np.float64) ** 2) / (2 * SIGMA**2))
        total = np.zeros(self._studies)
        for order, given in enumerate(self._given(texts)):
            own, idf = self._counts[order], self._idf[order]
            both, ours, theirs = _common(given, own)
            weight = idf[both.ngrams] ** 2
            dot = np.bincount(both.studies, np.minimum(ours, theirs) * theirs * weight, minlength=self._studies)
            # What no reference has counts as if one had it.
            unseen = np.log(float(max(1, self._studies)))
            theirs_idf = np.append(idf, unseen)[np.minimum(given.ngrams, len(idf))]
            norms = [
                np.sqrt(np.bincount(one.studies, (one.counts * values) ** 2, minlength=self._studies))
                for one, values in ((given, theirs_idf), (own, idf[own.ngrams]))
            ]
            length = norms[0] * norms[1]
            total += np.divide(dot, length, out=np.zeros(self._studies), where=length > 0) * penalty
        return 10.0 * total / ORDERS

    def _given(self, texts: Sequence[Sequence[str]]) -> list[_Counts]:
        """Return the n-grams of reports; those that no reference has get numbers above all others."""
        words = dict(self._words)
        for word in chain.from_iterable(texts):
            words.setdefault(word, len(words))
        return self._count(texts, words, learn=False)

    def _count(self, texts: Sequence[Sequence[str]], words: dict[str, int], *, learn: bool) -> list[_Counts]:
        """Count the n-grams of texts, order by order; with `learn` they become the known ones."""
        flat = np.array([words[word] for word in chain.from_iterable(texts)], dtype=np.int64)
        owners = np.repeat(np.arange(len(texts)), [len(words) for words in texts])
        begun, places, found = np.zeros(len(flat), dtype=np.int64), np.arange(len(flat)), []
        for order in range(ORDERS):
            # An n-gram begins where a shorter one does, unless the text ends.
            last = places + order
            inside = last < len(flat)
            inside[inside] = owners[last[inside]] == owners[places[inside]]
            places = places[inside]
            pairs = (begun[inside] << _SHIFT) + flat[places + order]
            if learn:
                self._known.append(np.unique(pairs))
            begun = _numbered(pairs, self._known[order])
            keys, counts = np.unique((owners[places] << _SHIFT) + begun, return_counts=True)
            found.append(_Counts(keys=keys, counts=counts))
        return found


def _numbered(
    pairs: Int64[np.ndarray, " positions"], known: Int64[np.ndarray, " ngrams"]
) -> Int64[np.ndarray, " positions"]:
    """Return the numbers of n-grams: their place among the known ones, or one above all of these."""
    places = np.searchsorted(known, pairs)
    unseen = np.append(known, -1)[places] != pairs
    places[unseen] = len(known) + np.unique(pairs[unseen], return_inverse=True)[1]
    return places


def _common(
    given: _Counts, own: _Counts
) -> tuple[_Counts, Int64[np.ndarray, " entries"], Int64[np.ndarray, " entries"]]:
    """Return the n-grams that a study has on both sides, with the counts of `given` and of `own`."""
    keys, ours, theirs = np.intersect1d(given.keys, own.keys, assume_unique=True, return_indices=True)
    return _Counts(keys=keys, counts=given.counts[ours]), given.counts[ours], own.counts[theirs]
