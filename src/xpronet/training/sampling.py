"""Reports sampled from a report model word by word, and the probability that it gives them.

Shape legend: B studies, N samples of each, T words written at most, V words of the vocabulary.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from xpronet.model.report_model import NextWord
from xpronet.precision import full_precision


@dataclass(frozen=True, kw_only=True)
class Policy:
    """The distribution that words are sampled from, a function of the model's scores."""

    temperature: float = 1.0
    """Divides the scores."""
    top_k: int = 0
    """So many likeliest words have a probability; 0: all."""
    forbidden: tuple[int, ...] = ()
    """Ids that are never written."""

    def log_probabilities(
        self, scores: Float[Tensor, "*batch V"], written: Int[Tensor, "*batch"] | None = None
    ) -> Float[Tensor, "*batch V"]:
        """Return the log-probability of each word; -inf for a word that is not sampled.

        Args:
            scores: logits or log-probabilities of the model.
            written: words that were sampled before. They keep a probability even where rounding puts another of the
                `top_k` before them; an entry that is no word written may be any id.
        """
        scores = full_precision(scores) / self.temperature
        if self.forbidden:
            never = torch.tensor(self.forbidden, device=scores.device)
            scores = scores.index_fill(-1, never, -torch.inf)
        if 0 < self.top_k < scores.shape[-1]:
            kept = torch.zeros_like(scores, dtype=torch.bool)
            kept.scatter_(-1, scores.detach().topk(self.top_k, dim=-1).indices, True)
            if written is not None:
                kept.scatter_(-1, written.unsqueeze(-1), True)
            scores = scores.masked_fill(~kept, -torch.inf)
        return scores.log_softmax(-1)


KEPT = 0.7
"""Finished studies are dropped when no more than this share of those being written is unfinished."""


class Samples(NamedTuple):
    """Sampled reports."""

    words: Int[Tensor, "B N length"]
    """Ids from BOS on, padding behind EOS."""
    mask: Bool[Tensor, "B N T"]
    """True on the words that were written, EOS included; `words` without its first."""
    log_probabilities: Float[Tensor, "B N T"]
    """Of each word that was written; 0 elsewhere."""


def sample_reports(
    model: NextWord,
    *,
    num_studies: int,
    num_samples: int,
    begin: int,
    end: int,
    padding: int,
    max_words: int,
    policy: Policy,
    generator: torch.Generator,
    greedy: bool = False,
    device: torch.device | None = None,
) -> Samples:
    """Sample reports of each study from a model; they are its beams, which never change places.

    Args:
        model: where nothing has been written, with `num_samples` beams.
        num_studies: B.
        num_samples: N.
        begin: id that every report starts from.
        end: id that closes a report.
        padding: id that fills the end of shorter reports.
        max_words: EOS included; a report that is as long ends without one.
        policy: what is sampled from.
        generator: of the random numbers; it is on the CPU, so that they are the same wherever the model computes.
        greedy: the last report of each study is not sampled, but takes the likeliest word every time.
        device: where the model's tensors are; the CPU if left out.
    """
    words = torch.full((num_studies, num_samples, max_words + 1), padding, device=device)
    words[:, :, 0] = begin
    mask = torch.zeros((num_studies, num_samples, max_words), dtype=torch.bool, device=device)
    written = torch.zeros(mask.shape, device=device)
    running = torch.arange(num_studies, device=device)
    ended = torch.zeros((num_studies, num_samples), dtype=torch.bool, device=device)
    position = 0
    while position < max_words and len(running):
        log_probabilities = policy.log_probabilities(model.step(words[running, :, position], None))
        choice = _draw(log_probabilities, generator, greedy=greedy).masked_fill(ended, padding)
        chance = log_probabilities.gather(-1, choice.unsqueeze(-1)).squeeze(-1)
        mask[running, :, position] = ~ended
        written[running, :, position] = chance.masked_fill(ended, 0.0)
        position += 1
        words[running, :, position] = choice
        ended = ended | (choice == end)
        unfinished = (~ended.all(1)).nonzero().squeeze(1)
        # To drop studies means to copy what is known of the others: not for each one by itself.
        if len(unfinished) <= KEPT * len(running):
            if len(unfinished):
                model.keep(unfinished)
            running, ended = running[unfinished], ended[unfinished]
    return Samples(words[:, :, : position + 1], mask[:, :, :position], written[:, :, :position])


def _draw(log_probabilities: Float[Tensor, "B N V"], generator: torch.Generator, *, greedy: bool) -> Int[Tensor, "B N"]:
    """Draw a word from each distribution; of the last sample of each study the likeliest, where that is greedy."""
    # The largest sum with a Gumbel variable is a draw. Clamped, because the generator may give 0 and 1 is rounded to.
    uniform = torch.rand(log_probabilities.shape, generator=generator).clamp_(1e-20, 1 - 6e-8)
    gumbel = uniform.log_().neg_().log_().neg_()
    if greedy:
        gumbel[:, -1] = 0.0
    return (log_probabilities + gumbel.to(log_probabilities.device)).argmax(-1)
