"""Additive attention on regions, and the gates of a recurrent cell: what the captioners' cells are made of.

Shape legend: B studies, N beams of each (or one), S regions of all views, A attention width, H state width.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn


class RegionAttention(nn.Module):
    """Additive attention: a state asks, the regions' keys answer.

    e = w · tanh(key + W state + b) + b', softmax over the regions of real views. The keys exist once for each study;
    its beams share them.
    """

    def __init__(self, *, state: int, width: int) -> None:
        """Make the query and the score; the keys come with the regions.

        Args:
            state: width of the state that asks.
            width: A.
        """
        super().__init__()
        self.query = nn.Linear(state, width)
        self.score = nn.Linear(width, 1)

    def forward(
        self,
        state: Float[Tensor, "B N H"],
        regions: Float[Tensor, "B S D"],
        keys: Float[Tensor, "B S A"],
        mask: Bool[Tensor, "B S"],
    ) -> tuple[Float[Tensor, "B N D"], Float[Tensor, "B N S"]]:
        """Return the mean region under the attention, and the attention."""
        scores = region_scores(self.score, self.query(state), keys, mask)
        attention = scores.softmax(-1)
        return attention @ regions, attention


def region_scores(
    score: nn.Module, query: Float[Tensor, "B N A"], keys: Float[Tensor, "B S A"], mask: Bool[Tensor, "B S"]
) -> Float[Tensor, "B N S"]:
    """Return the score of every region for every query, minus infinity on regions of absent views."""
    scores = score(torch.tanh(keys.unsqueeze(1) + query.unsqueeze(2))).squeeze(-1)
    return scores.masked_fill(~mask.unsqueeze(1), -torch.inf)


def advance(
    gates: Float[Tensor, "B N gates"], cell: Float[Tensor, "B N H"]
) -> tuple[Float[Tensor, "B N H"], Float[Tensor, "B N H"]]:
    """Return the hidden state and cell of an LSTM after a step.

    Args:
        gates: input, forget and output gate before the sigmoid, then one candidate, which passes a tanh, or two, of
            which the larger is taken as it is (maxout).
        cell: before the step.
    """
    num_candidates = gates.shape[-1] // cell.shape[-1] - 3
    admit, retain, expose, *candidates = gates.chunk(3 + num_candidates, dim=-1)
    candidate = torch.maximum(*candidates) if num_candidates == 2 else torch.tanh(candidates[0])
    cell = retain.sigmoid() * cell + admit.sigmoid() * candidate
    return expose.sigmoid() * torch.tanh(cell), cell
