"""Beam search over ids; it knows no text and no picture, only a function that scores the next word.

Shape legend: B studies, N beams, T words written.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from xpronet.errors import InputError


@dataclass(frozen=True, kw_only=True)
class BeamSettings:
    """How widely and how far to search."""

    beams: int = 3
    """Partial reports kept at each step (paper: 3)."""
    max_words: int = 60
    """Longest report, end mark included; IU X-Ray 60, MIMIC-CXR 100."""
    stop_early: bool = True
    """Stop a study once no running beam can still win: the same result, sooner."""

    def __post_init__(self) -> None:
        for name in ("beams", "max_words"):
            if getattr(self, name) < 1:
                raise InputError(f"generate.{name} = {getattr(self, name)}: must be at least 1")


@runtime_checkable
class NextWord(Protocol):
    """What is searched: the state of all beams of all studies."""

    def step(self, words: Int[Tensor, "B N"], origin: Int[Tensor, "B N"] | None) -> Float[Tensor, "B N vocabulary"]:
        """Take each beam's newest word and the beam it continues; return log-probabilities of the next word."""
        ...

    def keep(self, studies: Int[Tensor, "kept"]) -> None:
        """Drop all studies but these."""
        ...


@dataclass(frozen=True)
class Found:
    """The best report of one study."""

    words: tuple[int, ...]
    """Ids without begin and end marks."""
    log_probability: float
    """Natural logarithm of the probability of all words and the end mark, where the report has one."""


def beam_search(
    model: NextWord,
    *,
    num_studies: int,
    begin: int,
    end: int,
    settings: BeamSettings,
    forbidden: tuple[int, ...] = (),
    device: torch.device | None = None,
) -> list[Found]:
    """Return each study's most probable report among those that the search meets.

    There is no length penalty, as published: log-probabilities are added, and a report that is as long as allowed
    ends without an end mark.

    Args:
        model: scores the next words.
        num_studies: B.
        begin: id that every report starts from.
        end: id that closes a report.
        settings: width and limits.
        forbidden: ids that are never written.
        device: where the model's tensors are; the CPU if left out.
    """
    search = _Search(num_studies, begin, end, settings, device or torch.device("cpu"))
    origin = None
    for position in range(settings.max_words):
        log_probabilities = model.step(search.newest, origin)
        if forbidden:
            never = torch.tensor(forbidden, device=log_probabilities.device)
            log_probabilities = log_probabilities.index_fill(-1, never, -torch.inf)
        origin = search.extend(log_probabilities, last=position == settings.max_words - 1)
        running = search.running()
        if not len(running):
            break
        if len(running) < len(origin):
            search.keep(running)
            model.keep(running)
            origin = origin[running]
    return search.found


class _Search:
    """Running beams of the studies that are still searched, and the best finished report of every study."""

    def __init__(self, num_studies: int, begin: int, end: int, settings: BeamSettings, device: torch.device) -> None:
        self.settings = settings
        self.end = end
        self.study = list(range(num_studies))
        self.found = [Found((), -float("inf")) for _ in range(num_studies)]
        self.newest = torch.full((num_studies, settings.beams), begin, device=device)
        self.words = torch.zeros((num_studies, settings.beams, 0), dtype=torch.long, device=device)
        # All beams start alike: only the first may be continued.
        self.scores = torch.full((num_studies, settings.beams), -torch.inf, device=device)
        self.scores[:, 0] = 0.0
        self.best = torch.full((num_studies,), -torch.inf, device=device)

    def extend(self, log_probabilities: Float[Tensor, "B N vocabulary"], *, last: bool) -> Int[Tensor, "B N"]:
        """Continue the best beams by one word, take out those that end; return the beam that each continues."""
        vocabulary = log_probabilities.shape[-1]
        totals = (self.scores.unsqueeze(-1) + log_probabilities).flatten(1)
        self.scores, chosen = totals.topk(self.settings.beams, dim=-1)
        origin, self.newest = chosen // vocabulary, chosen % vocabulary
        continued = self.words.gather(1, origin.unsqueeze(-1).expand(-1, -1, self.words.shape[-1]))
        self.words = torch.cat([continued, self.newest.unsqueeze(-1)], dim=-1)
        ended = (self.newest == self.end) | last
        self._finish(ended)
        self.scores = self.scores.masked_fill(ended, -torch.inf)
        return origin

    def running(self) -> Int[Tensor, "running"]:
        """Return which of the searched studies have a beam that can still win: scores only fall."""
        highest = self.scores.amax(1)
        open_ = highest > (self.best if self.settings.stop_early else -torch.inf)
        return open_.nonzero().squeeze(1)

    def keep(self, studies: Int[Tensor, "kept"]) -> None:
        """Go on with these of the searched studies."""
        self.study = [self.study[number] for number in studies.tolist()]
        self.newest, self.words = self.newest[studies], self.words[studies]
        self.scores, self.best = self.scores[studies], self.best[studies]

    def _finish(self, ended: Tensor) -> None:
        scores, beams = self.scores.masked_fill(~ended, -torch.inf).max(1)
        better = scores > self.best
        self.best = torch.where(better, scores, self.best)
        for row in better.nonzero().squeeze(1).tolist():
            words = self.words[row, beams[row]].tolist()
            if words[-1] == self.end:
                words.pop()
            self.found[self.study[row]] = Found(tuple(words), float(scores[row]))
