"""BLEU, ROUGE-L, CIDEr-D and METEOR as the field's tables have them, from statistics a study."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64

from xpronet.errors import InputError
from xpronet.evaluation.intervals import Scores, StudyStatistics, Sums
from xpronet.evaluation.meteor import NUM_STATISTICS, meteor_scores

ORDERS = 4
BLEU_NAMES = tuple(f"BLEU-{order}" for order in range(1, ORDERS + 1))

_MATCHES, _GUESSES = slice(0, ORDERS), slice(ORDERS, 2 * ORDERS)
_WORDS, _REFERENCE_WORDS, _ROUGE, _CIDER, _COUNT = range(2 * ORDERS, 2 * ORDERS + 5)
_METEOR = slice(_COUNT + 1, _COUNT + 1 + NUM_STATISTICS)

_NO_MATCH, _NO_GUESS = 1e-15, 1e-9
"""What pycocoevalcap adds to numerators and denominators, so that equality holds to the last digits."""


def language_statistics(
    references: Sequence[str],
    reports: Sequence[str],
    *,
    meteor: Float64[np.ndarray, "studies 23"] | None = None,
) -> StudyStatistics:
    """Collect what each study adds to BLEU-1..4, ROUGE-L, CIDEr-D and, where its statistics are given, METEOR.

    Texts are words separated by single spaces, one reference a study, scored by pycocoevalcap's scorers without its
    tokenizer, as the published evaluation does. CIDEr's inverse document frequencies are those of the references given
    here, and stay so in every subset and resample: a resample of studies is a draw of reports, not of another corpus.

    Raises:
        InputError: pycocoevalcap is not installed.
    """
    bleu = _bleu_columns(references, reports)
    rouge = _rouge_column(references, reports)
    cider = _cider_column(references, reports)
    columns = [bleu, rouge[:, None], cider[:, None], np.ones((len(bleu), 1))]
    if meteor is not None:
        columns.append(meteor)
    return StudyStatistics(values=np.concatenate(columns, axis=1), score=_language_scores)


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


def _bleu_columns(references: Sequence[str], reports: Sequence[str]) -> Float64[np.ndarray, "studies 10"]:
    try:
        from pycocoevalcap.bleu.bleu_scorer import BleuScorer
    except ImportError:
        raise InputError("scores need the extra [metrics]: pip install 'xpronet[metrics]'") from None
    scorer = BleuScorer(n=ORDERS)
    for reference, report in zip(references, reports, strict=True):
        scorer += (report, [reference])
    rows = [
        [*study["correct"], *study["guess"], study["testlen"], len(reference.split())]
        for study, reference in zip(scorer.ctest, references, strict=True)
    ]
    return np.array(rows, dtype=np.float64).reshape(len(rows), 2 * ORDERS + 2)


def _rouge_column(references: Sequence[str], reports: Sequence[str]) -> Float64[np.ndarray, " studies"]:
    from pycocoevalcap.rouge.rouge import Rouge

    scorer = Rouge()
    pairs = zip(references, reports, strict=True)
    return np.array([scorer.calc_score([report], [reference]) for reference, report in pairs], dtype=np.float64)


def _cider_column(references: Sequence[str], reports: Sequence[str]) -> Float64[np.ndarray, " studies"]:
    from pycocoevalcap.cider.cider_scorer import CiderScorer

    scorer = CiderScorer(n=ORDERS, sigma=6.0)
    for reference, report in zip(references, reports, strict=True):
        scorer += (report, [reference])
    return np.asarray(scorer.compute_score()[1], dtype=np.float64)
