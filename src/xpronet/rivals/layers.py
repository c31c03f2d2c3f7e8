"""What the recurrent rivals are made of: a step of an LSTM, and additive attention.

Shape legend: B studies, N beams of each (or one), S sources of a study, A attention width, H state width.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from xpronet.precision import full_precision


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
    admit, retain, expose, *candidates = full_precision(gates).chunk(3 + num_candidates, dim=-1)
    candidate = torch.maximum(*candidates) if num_candidates == 2 else torch.tanh(candidates[0])
    cell = retain.sigmoid() * cell + admit.sigmoid() * candidate
    return expose.sigmoid() * torch.tanh(cell), cell


class LSTMCell(nn.Module):
    """One step of an LSTM; plain products, so that autocast knows them on every device."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.from_input = nn.Linear(inputs, 4 * width)
        self.from_state = nn.Linear(width, 4 * width)

    def forward(
        self, inputs: Float[Tensor, "B N inputs"], state: Float[Tensor, "B N H"], cell: Float[Tensor, "B N H"]
    ) -> tuple[Float[Tensor, "B N H"], Float[Tensor, "B N H"]]:
        """Return the next state and cell."""
        return advance(self.from_input(inputs) + self.from_state(state), cell)


class Attended(NamedTuple):
    """What an attention saw, and where."""

    context: Float[Tensor, "B N width"]
    weights: Float[Tensor, "B N S"]
    """They sum to 1 over the sources."""


class AdditiveAttention(nn.Module):
    """e = w·tanh(W_v v + W_h h), softmax over the sources; the sources of a study exist once for all its beams.

    The constants in e that public weights have change nothing.
    """

    def __init__(self, *, sources: int, state: int, width: int) -> None:
        """Make the layers.

        Args:
            sources: width of what is attended to.
            state: width of what attends.
            width: A, of the space in which both meet.
        """
        super().__init__()
        self.key = nn.Linear(sources, width)
        self.query = nn.Linear(state, width)
        self.score = nn.Linear(width, 1)

    def forward(
        self,
        state: Float[Tensor, "B N state"],
        sources: Float[Tensor, "B S width"],
        keys: Float[Tensor, "B S A"],
        mask: Bool[Tensor, "B S"] | None = None,
        bias: Float[Tensor, "B S"] | None = None,
    ) -> Attended:
        """Attend to sources whose keys, `self.key(sources)`, were computed before.

        Args:
            state: what attends.
            sources: what is attended to.
            keys: of the sources.
            mask: true on the sources that are there; all by default.
            bias: added to the energies.
        """
        energies = self.energies(self.query(state), keys, mask)
        if bias is not None:
            energies = energies + bias.unsqueeze(1)
        weights = energies.softmax(-1)
        return Attended(weights.to(sources.dtype) @ sources, weights)

    def energies(
        self, query: Float[Tensor, "B N A"], keys: Float[Tensor, "B S A"], mask: Bool[Tensor, "B S"] | None = None
    ) -> Float[Tensor, "B N S"]:
        """Return the energy of every source for every query, minus infinity on those that are not there."""
        energies = full_precision(self.score(torch.tanh(keys.unsqueeze(1) + query.unsqueeze(2)))).squeeze(-1)
        return energies if mask is None else energies.masked_fill(~mask.unsqueeze(1), -torch.inf)
