"""BLEU, ROUGE-L, CIDEr-D and METEOR as the field's tables have them, from statistics a study."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64

from xpronet.evaluation.intervals import Scores, StudyStatistics, Sums
from xpronet.evaluation.meteor import NUM_STATISTICS, meteor_scores
from xpronet.evaluation.ngrams import ORDERS, ReferenceNgrams

BLEU_NAMES = tuple(f"BLEU-{order}" for order in range(1, ORDERS + 1))

_MATCHES, _GUESSES = slice(0, ORDERS), slice(ORDERS, 2 * ORDERS)
_WORDS, _REFERENCE_WORDS, _ROUGE, _CIDER, _COUNT = range(2 * ORDERS, 2 * ORDERS + 5)
_METEOR = slice(_COUNT + 1, _COUNT + 1 + NUM_STATISTICS)

ROUGE_BETA = 1.2
"""How many times as important recall is as precision in ROUGE-L."""

_NO_MATCH, _NO_GUESS = 1e-15, 1e-9
"""What pycocoevalcap adds to numerators and denominators, so that equality holds to the last digits."""


def language_statistics(
    references: Sequence[str],
    reports: Sequence[str],
    *,
    meteor: Float64[np.ndarray, "studies 23"] | None = None,
    ngrams: ReferenceNgrams | None = None,
) -> StudyStatistics:
    """Collect what each study adds to BLEU-1..4, ROUGE-L, CIDEr-D and, where its statistics are given, METEOR.

    Scores equal pycocoevalcap's without its tokenizer, as the published evaluation uses it. CIDEr's inverse document
    frequencies are those of the references given here, and stay so in every subset and resample: a resample of studies
    is a draw of reports, not of another corpus.

    Args:
        references: words separated by single spaces, one text a study.
        reports: the generated texts, likewise.
        meteor: what `meteor_statistics` returned for them.
        ngrams: of these references, where a caller compares several sets with them.
    """
    ngrams = ngrams or ReferenceNgrams(references)
    bleu, cider = ngrams.bleu(reports), ngrams.cider(reports)
    rouge = np.array([rouge_l(*pair) for pair in zip(references, reports, strict=True)], dtype=np.float64)
    columns = [bleu, rouge[:, None], cider[:, None], np.ones((len(bleu), 1))]
    statistics = StudyStatistics(values=np.concatenate(columns, axis=1), score=_language_scores)
    return with_meteor_columns(statistics, meteor)


def with_meteor_columns(
    statistics: StudyStatistics, meteor: Float64[np.ndarray, "studies 23"] | None
) -> StudyStatistics:
    """Return language statistics with those of METEOR, where there are any."""
    if meteor is None:
        return statistics
    return StudyStatistics(values=np.concatenate([statistics.values, meteor], axis=1), score=_language_scores)


def bleu_scores(
    matches: Float64[np.ndarray, "samples 4"],
    guesses: Float64[np.ndarray, "samples 4"],
    words: Float64[np.ndarray, " samples"],
    reference_words: Float64[np.ndarray, " samples"],
) -> Float64[np.ndarray, "samples 4"]:
    """Compute corpus BLEU-1..4 from summed n-gram matches, n-gram counts and lengths."""
    precisions = (matches + _NO_MATCH) / (guesses + _NO_GUESS)
    geometric = np.cumprod(precisions, axis=1) ** (1 / np.arange(1, ORDERS + 1))
    ratio = (words + _NO_MATCH) / (reference_words + _NO_GUESS)
    # An empty sample of reports would overflow where it scores nothing anyway.
    brevity = np.exp(np.minimum(0.0, 1 - 1 / np.maximum(ratio, 1e-9)))
    scores: Float64[np.ndarray, "samples 4"] = geometric * brevity[:, None]
    return scores


def _language_scores(sums: Sums) -> Scores:
    bleu = bleu_scores(sums[:, _MATCHES], sums[:, _GUESSES], sums[:, _WORDS], sums[:, _REFERENCE_WORDS])
    scores: Scores = {name: bleu[:, number] for number, name in enumerate(BLEU_NAMES)}
    if sums.shape[1] > _METEOR.start:
        scores["METEOR"] = meteor_scores(sums[:, _METEOR])
    scores["ROUGE-L"] = sums[:, _ROUGE] / sums[:, _COUNT]
    scores["CIDEr"] = sums[:, _CIDER] / sums[:, _COUNT]
    return scores


def rouge_l(reference: str, report: str) -> float:
    """Return ROUGE-L of one report: the F-measure of the longest common subsequence of words (Lin 2004, eq. 4).

    Recall weighs more than precision by `ROUGE_BETA`, as in pycocoevalcap.
    """
    theirs, ours = reference.split(), report.split()
    common = _longest_common_subsequence(theirs, ours)
    if not common:
        return 0.0
    precision, recall = common / len(ours), common / len(theirs)
    return (1 + ROUGE_BETA**2) * precision * recall / (recall + ROUGE_BETA**2 * precision)


def _longest_common_subsequence(first: Sequence[str], second: Sequence[str]) -> int:
    """Return its length, by the bit-parallel method of Hyyrö (2004): a row of the table is one whole number."""
    places: dict[str, int] = {}
    for position, word in enumerate(first):
        places[word] = places.get(word, 0) | 1 << position
    full = (1 << len(first)) - 1
    row = full
    for word in second:
        matches = row & places.get(word, 0)
        row = (row + matches | row - matches) & full
    return len(first) - row.bit_count()
