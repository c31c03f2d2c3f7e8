"""Search by evidence: partial reports are ranked by what they claim as well, compared with the findings head.

A claim that goes against the head costs the log-odds of the finding, counted from the threshold that divides present
from absent: where the head gives it the probability p and the threshold is t, denying the finding costs
logit(p) - logit(t) if that is positive, and affirming it the opposite. With t = 1/2 this is how far the log-likelihood
of the claims under the head falls short of that of the likeliest claims about the same findings. Costs are never
negative, so that the score of a partial report only falls, as its log-probability does. A report that ends is read as
denying what it does not mention.

Within a sentence, beams that go on to affirm compete with those that go on to deny before either has claimed anything,
and the common sentence would crowd the right one out. Beams are therefore kept apart by what they have claimed and by
whether the open sentence has begun to deny.
"""

from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from xpronet.labels.findings import NO_FINDING, State
from xpronet.labels.rules import RuleLabeler
from xpronet.text.vocabulary import Vocabulary

MOST_SENTENCES = 200_000
"""Beginnings of sentences that are kept; about 100 MB."""
CANDIDATES = 4
"""Continuations of each study that are compared at every word, for each beam."""
APART = 2
"""Most beams of a study that claim the same, while others claim something else."""
STRONGEST = 6.0
"""Log-odds at which the head's word is cut off: no probability is known better than to one in 400."""

_AFFIRMED = (State.POSITIVE, State.UNCERTAIN)


class OpenSentence:
    """The words of a sentence so far; equal beginnings are one object, so that each is read once."""

    __slots__ = ("_reader", "_said", "denying", "following", "words")

    def __init__(self, reader: "ClaimReader", words: tuple[int, ...], *, denying: bool) -> None:
        """Begin with these words."""
        self._reader = reader
        self._said: int | None = None
        self.words = words
        self.denying = denying
        self.following: dict[int, OpenSentence] = {}

    def then(self, word: int) -> "OpenSentence":
        """Return the sentence with one more word."""
        longer = self.following.get(word)
        if longer is None:
            longer = self._reader.begin((*self.words, word), denying=self.denying or word in self._reader.denials)
            self.following[word] = longer
        return longer

    @property
    def claims(self) -> int:
        """Return what the sentence claims, were it to end here, as `ClaimReader.read` does."""
        if self._said is None:
            self._said = self._reader.read(self.words)
        return self._said


class ClaimReader:
    """Reads what sentences claim, given as the ids of their words.

    Claims are bits of a whole number: bit 2·k says that finding k is there, bit 2·k + 1 that it is not.
    """

    def __init__(self, vocabulary: Vocabulary, findings: Sequence[str], labeler: RuleLabeler) -> None:
        """Start without any sentence; `known` are the bits that affirm, one a finding.

        Args:
            vocabulary: names the words.
            findings: names of the findings, in the order of the bits; No Finding has none.
            labeler: reads the sentences.
        """
        self._vocabulary = vocabulary
        self._labeler = labeler
        self._bits = {name: number for number, name in enumerate(findings) if name != NO_FINDING}
        self.known = sum(1 << 2 * number for number in self._bits.values())
        self._begun = 0
        self.first = OpenSentence(self, (), denying=False)

    @cached_property
    def stop(self) -> int:
        """Return the id of the full stop, -1 of a vocabulary without one."""
        return self._vocabulary.ids_of(["."])[0] if "." in self._vocabulary.words else -1

    @cached_property
    def templates(self) -> frozenset[int]:
        """Return the ids that are written as a whole sentence, its full stop included."""
        phrases = enumerate(self._vocabulary.phrases, self._vocabulary.first_phrase)
        return frozenset(number for number, phrase in phrases if phrase.text.endswith("."))

    @cached_property
    def denials(self) -> frozenset[int]:
        """Return the words that deny a finding which is named behind them, as the labeler reads them."""
        words = [word for word in self._vocabulary.words if word.isalpha()]
        denying = [word for word in words if self._labeler.label(f"{word} edema")["Edema"] is State.NEGATIVE]
        return frozenset(self._vocabulary.ids_of(denying))

    def begin(self, words: tuple[int, ...], *, denying: bool) -> OpenSentence:
        """Return a new sentence of these words; of too many, the old ones are forgotten."""
        self._begun += 1
        if self._begun > MOST_SENTENCES:
            self._begun = 0
            self.first = OpenSentence(self, (), denying=False)
        return OpenSentence(self, words, denying=denying)

    def read(self, words: Sequence[int]) -> int:
        """Return the claims of a sentence."""
        states = self._labeler.label(self._vocabulary.decode(words))
        claims = 0
        for name, number in self._bits.items():
            if states[name] in _AFFIRMED:
                claims |= 1 << 2 * number
            elif states[name] is State.NEGATIVE:
                claims |= 2 << 2 * number
        return claims


@dataclass(frozen=True, slots=True)
class _Partial:
    """What one beam has claimed: the sentences that are closed, and the open one."""

    claims: int
    cost: float
    sentence: OpenSentence


class ClaimGuide:
    """Chooses which partial reports of a batch are continued."""

    def __init__(
        self,
        reader: ClaimReader,
        probabilities: Float[Tensor, "B K"],
        thresholds: Float[Tensor, " K"],
        *,
        weight: float,
        apart: int = APART,
    ) -> None:
        """Compare with the findings of these studies.

        Args:
            reader: reads the sentences.
            probabilities: of each finding, by the head.
            thresholds: probability from which on each counts as present.
            weight: λ; the score of a report is its log-probability less λ times the cost of its claims.
            apart: most beams of a study that make the same claims.
        """
        self._reader = reader
        log_odds = torch.logit(probabilities.double(), 1e-6) - torch.logit(thresholds.double(), 1e-6)
        self._odds = log_odds.clamp(-STRONGEST, STRONGEST).tolist()
        self._weight = weight
        self._apart = apart
        self._beams: list[list[_Partial]] = [[_Partial(0, 0.0, reader.first)] for _ in self._odds]

    def choose(
        self,
        studies: Sequence[int],
        totals: Float[Tensor, "B continuations"],
        *,
        beams: int,
        vocabulary: int,
        end: int,
        last: bool,
    ) -> tuple[Int[Tensor, "B N"], Float[Tensor, "B N"]]:
        """Return the continuations that are kept, and what the claims of each cost.

        Args:
            studies: numbers of the studies that are still searched.
            totals: log-probability of each continuation of each beam, less the cost of the beam's claims.
            beams: N.
            vocabulary: words that each beam may be continued by.
            end: id that closes a report.
            last: whether every report ends now, because it is as long as allowed.
        """
        most = min(CANDIDATES * beams, totals.shape[1])
        best = totals.topk(most, dim=-1)
        kept, costs = [], []
        for study, values, indices in zip(studies, best.values.tolist(), best.indices.tolist(), strict=True):
            chosen = self._choose(study, values, indices, beams, vocabulary, end, last)
            self._beams[study] = [partial for _, partial in chosen]
            kept.append([index for index, _ in chosen])
            costs.append([self._weight * partial.cost for _, partial in chosen])
        return torch.tensor(kept, device=totals.device), totals.new_tensor(costs)

    def _choose(
        self,
        study: int,
        values: Sequence[float],
        indices: Sequence[int],
        beams: int,
        vocabulary: int,
        end: int,
        last: bool,
    ) -> list[tuple[int, _Partial]]:
        before, odds, weight = self._beams[study], self._odds[study], self._weight
        stop, templates = self._reader.stop, self._reader.templates
        ranked: list[tuple[float, int, int, _Partial]] = []
        for place, (value, index) in enumerate(zip(values, indices, strict=True)):
            beam, word = divmod(index, vocabulary)
            partial = before[beam] if beam < len(before) else before[0]
            if word in (end, stop) or word in templates or last:
                open_sentence = partial.sentence if word in (end, stop) else partial.sentence.then(word)
                grown = self._closed(partial, open_sentence, odds, finished=word == end or last)
                value -= weight * (grown.cost - partial.cost)
            else:
                grown = _Partial(partial.claims, partial.cost, partial.sentence.then(word))
            insort(ranked, (-value, place, index, grown))
        return self._apart_first(ranked, beams)

    def _closed(self, partial: _Partial, sentence: OpenSentence, odds: Sequence[float], *, finished: bool) -> _Partial:
        claims = partial.claims | sentence.claims
        new = claims & ~partial.claims
        cost = partial.cost
        if new:
            cost += _cost(new, odds)
        if finished:
            silent = self._reader.known & ~(claims | claims >> 1)
            cost += _cost(silent << 1, odds)
        return _Partial(claims, cost, self._reader.first)

    def _apart_first(
        self, ranked: Sequence[tuple[float, int, int, _Partial]], beams: int
    ) -> list[tuple[int, _Partial]]:
        groups: dict[tuple[int, bool], int] = {}
        chosen: list[tuple[int, _Partial]] = []
        spare: list[tuple[int, _Partial]] = []
        for _, _, index, partial in ranked:
            key = (partial.claims, partial.sentence.denying)
            number = groups.get(key, 0)
            if number < self._apart:
                groups[key] = number + 1
                chosen.append((index, partial))
                if len(chosen) == beams:
                    return chosen
            else:
                spare.append((index, partial))
        return (chosen + spare)[:beams]


def _cost(claims: int, odds: Sequence[float]) -> float:
    cost = 0.0
    while claims:
        bit = (claims & -claims).bit_length() - 1
        claims &= claims - 1
        against = odds[bit >> 1] if bit & 1 else -odds[bit >> 1]
        if against > 0:
            cost += against
    return cost
