"""Beam search over ids; it knows no text and no image, only a function that scores the next word.

Shape legend: B studies, N beams, T words written.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from xpronet.generation.claim_guide import ClaimGuide
from xpronet.labels.findings import ABNORMALITIES, State
from xpronet.labels.rules import RuleLabeler
from xpronet.model.report_model import NextWord
from xpronet.model.search_settings import BeamSettings


@dataclass(frozen=True)
class Hypothesis:
    """A finished report of one study."""

    words: tuple[int, ...]
    """Ids without BOS and EOS."""
    log_probability: float
    """Natural logarithm of the probability of all words and EOS, where the report has one."""
    word_log_probabilities: tuple[float, ...] = field(default=(), compare=False)
    """Of each word, given those before it."""


def beam_search(
    model: NextWord,
    *,
    num_studies: int,
    begin: int,
    end: int,
    settings: BeamSettings,
    forbidden: tuple[int, ...] = (),
    lengths: Sequence[int] | None = None,
    device: torch.device | None = None,
    guide: ClaimGuide | None = None,
) -> list[tuple[Hypothesis, ...]]:
    """Return each study's most probable reports among those that the search meets, the likeliest first.

    There are as many as the settings want, or as the search meets, and at least one. Log-probabilities are added,
    as published, and each word earns `settings.word_reward`; a report that is as long as allowed ends without an EOS.

    Args:
        model: scores the next words.
        num_studies: B.
        begin: id that every report starts from.
        end: id that closes a report.
        settings: width and limits.
        forbidden: ids that are never written.
        lengths: words that each id counts against the limit, where some stand for several words or for none; one that
            would go beyond the limit is not written. By default each counts as one.
        device: where the model's tensors are; the CPU if left out.
        guide: ranks reports by what they claim, too; the likeliest are kept if left out.
    """
    search = _Search(num_studies, begin, end, settings, device or torch.device("cpu"), lengths, guide)
    origin = None
    # An id that is written as nothing comes before one that is a word: there are at most as many of them.
    num_steps = settings.max_words if lengths is None else 2 * settings.max_words
    for position in range(num_steps):
        log_probabilities = model.step(search.newest, origin)
        if forbidden:
            never = torch.tensor(forbidden, device=log_probabilities.device)
            log_probabilities = log_probabilities.index_fill(-1, never, -torch.inf)
        origin = search.extend(log_probabilities, last=position == num_steps - 1)
        running = search.running()
        if not len(running):
            break
        if len(running) < len(origin):
            search.keep(running)
            model.keep(running)
            origin = origin[running]
    # A network whose scores are no numbers finishes nothing: an empty report says so, and the scorecard counts it.
    return [tuple(report for _, report in reports) or (Hypothesis((), -math.inf),) for reports in search.finished]


class _Search:
    """Running beams of the studies that are still searched, and the best finished reports of every study."""

    def __init__(
        self,
        num_studies: int,
        begin: int,
        end: int,
        settings: BeamSettings,
        device: torch.device,
        lengths: Sequence[int] | None = None,
        guide: ClaimGuide | None = None,
    ) -> None:
        self.settings = settings
        self.guide = guide
        self.end = end
        self.study = list(range(num_studies))
        self.finished: list[list[tuple[float, Hypothesis]]] = [[] for _ in range(num_studies)]
        self.newest = torch.full((num_studies, settings.beams), begin, device=device)
        self.words = torch.zeros((num_studies, settings.beams, 0), dtype=torch.long, device=device)
        # Log-probability of each beam after each of its words.
        self.history = torch.zeros((num_studies, settings.beams, 0), device=device)
        # All beams start alike: only the first may be continued.
        self.scores = torch.full((num_studies, settings.beams), -torch.inf, device=device)
        self.scores[:, 0] = 0.0
        # What the claims of each beam cost it: its rank is its score less this.
        self.costs = torch.zeros((num_studies, settings.beams), device=device)
        # A running beam must beat the last of the wanted reports, while they are not all there nothing.
        self.bar = torch.full((num_studies,), -torch.inf, device=device)
        self.lengths = None if lengths is None else torch.tensor(lengths, device=device)
        self.written = torch.zeros((num_studies, settings.beams), dtype=torch.long, device=device)

    def extend(self, log_probabilities: Float[Tensor, "B N vocabulary"], *, last: bool) -> Int[Tensor, "B N"]:
        """Continue the best beams by one word, take out those that end; return the beam that each continues."""
        vocabulary = log_probabilities.shape[-1]
        written = self._written_after(vocabulary)
        if self.lengths is not None:
            log_probabilities = log_probabilities.masked_fill(written > self.settings.max_words, -torch.inf)
        totals = (self.scores.unsqueeze(-1) + log_probabilities).flatten(1)
        ranks = totals if not self.settings.word_reward else totals + self.settings.word_reward * written.flatten(1)
        if self.guide is None:
            chosen = ranks.topk(self.settings.beams, dim=-1).indices
            self.scores = totals.gather(1, chosen)
        else:
            chosen, costs = self.guide.choose(
                self.study,
                ranks - self.costs.repeat_interleave(vocabulary, dim=1),
                beams=self.settings.beams,
                vocabulary=vocabulary,
                end=self.end,
                last=last,
            )
            self.scores, self.costs = totals.gather(1, chosen), costs
        origin, self.newest = chosen // vocabulary, chosen % vocabulary
        before = origin.unsqueeze(-1).expand(-1, -1, self.words.shape[-1])
        self.words = torch.cat([self.words.gather(1, before), self.newest.unsqueeze(-1)], dim=-1)
        self.history = torch.cat([self.history.gather(1, before), self.scores.unsqueeze(-1)], dim=-1)
        ended = (self.newest == self.end) | last
        self.written = written.flatten(1).gather(1, chosen)
        if self.lengths is not None:
            ended = ended | (self.written >= self.settings.max_words)
        self._finish(ended)
        self.scores = self.scores.masked_fill(ended, -torch.inf)
        return origin

    def running(self) -> Int[Tensor, "running"]:
        """Return which of the searched studies have a beam that can still win.

        Scores only fall, and no report earns more for its words than one that is as long as allowed.
        """
        most = self.settings.word_reward * self.settings.max_words
        return ((self.scores - self.costs).amax(1) + most > self.bar).nonzero().squeeze(1)

    def _written_after(self, vocabulary: int) -> Int[Tensor, "B N vocabulary"]:
        """Return how many words each beam has with each next id; EOS is no word."""
        each = torch.ones(vocabulary, dtype=torch.long, device=self.written.device)
        if self.lengths is not None:
            each = self.lengths.clone()
        each[self.end] = 0
        return self.written.unsqueeze(-1) + each

    def keep(self, studies: Int[Tensor, "kept"]) -> None:
        """Go on with these of the searched studies."""
        self.study = [self.study[number] for number in studies.tolist()]
        self.newest, self.words, self.history = self.newest[studies], self.words[studies], self.history[studies]
        self.scores, self.costs, self.bar = self.scores[studies], self.costs[studies], self.bar[studies]
        self.written = self.written[studies]

    def _finish(self, ended: Bool[Tensor, "B N"]) -> None:
        """Keep those of the ended beams that are among the wanted."""
        wanted = self.settings.candidates
        ranks = self.scores - self.costs + self.settings.word_reward * self.written
        better = ended & (ranks > self.bar.unsqueeze(1))
        for row, beam in better.nonzero().tolist():
            words = self.words[row, beam].tolist()
            if words[-1] == self.end:
                words.pop()
            finished = self.finished[self.study[row]]
            scores = [0.0, *self.history[row, beam, : len(words)].tolist()]
            steps = tuple(after - before for before, after in pairwise(scores))
            found = Hypothesis(tuple(words), float(self.scores[row, beam]), steps)
            finished.append((float(ranks[row, beam]), found))
            finished.sort(key=lambda ranked: -ranked[0])
            del finished[wanted:]
            if len(finished) == wanted:
                self.bar[row] = finished[-1][0]


def disagreements(states: Mapping[str, State], present: Mapping[str, bool]) -> int:
    """Return for how many of the thirteen abnormalities a text says something else than a list of findings.

    Args:
        states: what the text says of each; an uncertain one counts as said to be there.
        present: what the list says of each.
    """
    said = (State.POSITIVE, State.UNCERTAIN)
    return sum((states[name] in said) != present[name] for name in ABNORMALITIES)


def most_agreeing(texts: Sequence[str], present: Mapping[str, bool], labeler: RuleLabeler) -> int:
    """Return which of the texts, the likeliest first, disagrees least with the findings; of equals the first.

    Args:
        texts: candidates, at least one.
        present: for each finding, whether the search was told that it is there.
        labeler: reads the texts.
    """
    return min(range(len(texts)), key=lambda number: disagreements(labeler.label(texts[number]), present))
