"""The best score that one text for all studies gets: what a report generator has to beat, and how far it goes."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

import numpy as np

from xpronet.errors import InputError
from xpronet.evaluation.language import bleu_scores
from xpronet.evaluation.ngrams import ORDERS

SENTENCES = 500
"""How many of the commonest train sentences the search draws on; 2,000 raise IU X-Ray's 0.198 to 0.199."""
ROUNDS = 30
"""At most so many changes to the text; IU X-Ray takes about ten."""

Words = tuple[str, ...]


class ConstantScorer:
    """Score one text against many references at the cost of one.

    The clipped matches of a constant's n-gram add up to how many references have it at least once, plus how many have
    it at least twice, and so on, up to its count in the constant: these numbers are all that is kept of the references.
    """

    def __init__(self, references: Sequence[str]) -> None:
        """Count the n-grams of `references`, which are words separated by spaces."""
        if not references:
            raise InputError("a constant needs at least one reference to be scored against")
        at_least: defaultdict[Words, list[int]] = defaultdict(list)
        self._studies = len(references)
        self._reference_words = 0
        for reference in references:
            words = tuple(reference.split())
            self._reference_words += len(words)
            for ngram, count in Counter(_ngrams(words)).items():
                numbers = at_least[ngram]
                numbers.extend([0] * (count - len(numbers)))
                for index in range(count):
                    numbers[index] += 1
        self._at_least = dict(at_least)

    def bleu(self, texts: Iterable[Words]) -> np.ndarray:
        """Return corpus BLEU-1..4 of each text given to all studies, one row a text."""
        rows = [self._statistics(words) for words in texts]
        sums = np.array(rows, dtype=np.float64).reshape(len(rows), 2 * ORDERS + 1) * self._studies
        sums[:, :ORDERS] /= self._studies
        reference_words = np.full(len(rows), float(self._reference_words))
        return bleu_scores(sums[:, :ORDERS], sums[:, ORDERS:-1], sums[:, -1], reference_words)

    def best(self, texts: Sequence[Words]) -> tuple[int, float]:
        """Return which of the texts has the highest BLEU-4, the first of equals, and that BLEU-4."""
        scores = self.bleu(texts)[:, ORDERS - 1]
        best = int(np.argmax(scores))
        return best, float(scores[best])

    def _statistics(self, words: Words) -> list[int]:
        """Return matches of 1- to 4-grams over all studies, then n-grams and words of one copy of the text."""
        matches = [0] * ORDERS
        for ngram, count in Counter(_ngrams(words)).items():
            matches[len(ngram) - 1] += sum(self._at_least.get(ngram, ())[:count])
        return [*matches, *(max(0, len(words) - order) for order in range(ORDERS)), len(words)]


def find_constant(
    train_reports: Sequence[str],
    references: Sequence[str],
    *,
    max_words: int | None = None,
    sentences: int = SENTENCES,
) -> tuple[str, float]:
    """Build from train sentences the one text that scores the best BLEU-4 when it is given to every study.

    Starts from nothing and makes, as long as the score rises, the best single change: put a sentence in anywhere,
    replace one or leave one out. Greedy: nobody says that there is no better text.

    Args:
        train_reports: words separated by spaces, sentences closed by a full stop.
        references: the texts to be matched, in the same form. Searching on test references cheats, and shows by that
            what the score is worth.
        max_words: the longest text allowed.
        sentences: the search draws on so many of the commonest train sentences.

    Returns:
        The text and its BLEU-4.

    Raises:
        InputError: there is no train sentence or no reference.
    """
    counts = Counter(chain.from_iterable(split_sentences(report) for report in train_reports))
    pool = [sentence for sentence, _ in counts.most_common(sentences)]
    if not pool:
        raise InputError("a constant is built from train sentences, and there are none")
    scorer = ConstantScorer(references)
    text: tuple[Words, ...] = ()
    score = 0.0
    for _ in range(ROUNDS):
        changes = [change for change in _changes(text, pool) if max_words is None or sum(map(len, change)) <= max_words]
        if not changes:
            break
        best, reached = scorer.best([tuple(chain.from_iterable(change)) for change in changes])
        if reached <= score:
            break
        text, score = changes[best], reached
    return " ".join(chain.from_iterable(text)), score


def split_sentences(report: str) -> list[Words]:
    """Return the sentences of a report, each with its full stop; one without any words is passed over."""
    sentences: list[Words] = []
    current: list[str] = []
    for word in report.split():
        current.append(word)
        if word == ".":
            sentences.append(tuple(current))
            current = []
    if current:
        sentences.append((*current, "."))
    return [sentence for sentence in sentences if len(sentence) > 1]


def _changes(text: tuple[Words, ...], pool: Sequence[Words]) -> Iterator[tuple[Words, ...]]:
    for place in range(len(text) + 1):
        for sentence in pool:
            yield (*text[:place], sentence, *text[place:])
    for place in range(len(text)):
        yield (*text[:place], *text[place + 1 :])
        for sentence in pool:
            yield (*text[:place], sentence, *text[place + 1 :])


def _ngrams(words: Words) -> Iterator[Words]:
    for order in range(1, ORDERS + 1):
        for start in range(len(words) - order + 1):
            yield words[start : start + order]
