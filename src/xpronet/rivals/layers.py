"""The two layers that the recurrent rivals are made of: an LSTM cell, and additive attention.

Shape legend: B studies, N beams, S sources of a study, W width of a state.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from xpronet.precision import full_precision


class LSTMCell(nn.Module):
    """One step of an LSTM; plain products, so that autocast knows them on every device."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.from_input = nn.Linear(inputs, 4 * width)
        self.from_state = nn.Linear(width, 4 * width)

    def forward(
        self, inputs: Float[Tensor, "B N inputs"], state: Float[Tensor, "B N W"], cell: Float[Tensor, "B N W"]
    ) -> tuple[Float[Tensor, "B N W"], Float[Tensor, "B N W"]]:
        """Return the next state and cell."""
        gates = full_precision(self.from_input(inputs) + self.from_state(state))
        enter, forget, new, leave = gates.chunk(4, dim=-1)
        cell = forget.sigmoid() * cell + enter.sigmoid() * new.tanh()
        return leave.sigmoid() * cell.tanh(), cell


class Attended(NamedTuple):
    """What an attention saw, and where."""

    context: Float[Tensor, "B N width"]
    weights: Float[Tensor, "B N S"]
    """They sum to 1 over the sources."""


class AdditiveAttention(nn.Module):
    """e = w·tanh(W_v v + W_h h), softmax over the sources; the sources of a study exist once for all its beams."""

    def __init__(self, *, sources: int, state: int, width: int) -> None:
        """Make the layers.

        Args:
            sources: width of what is attended to.
            state: width of what attends.
            width: of the space in which both meet.
        """
        super().__init__()
        self.key = nn.Linear(sources, width, bias=False)
        self.query = nn.Linear(state, width)
        self.energy = nn.Linear(width, 1, bias=False)

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
        meeting = torch.tanh(keys.unsqueeze(1) + self.query(state).unsqueeze(2))
        energy = full_precision(self.energy(meeting)).squeeze(-1)
        if bias is not None:
            energy = energy + bias.unsqueeze(1)
        if mask is not None:
            energy = energy.masked_fill(~mask.unsqueeze(1), -torch.inf)
        weights = energy.softmax(-1)
        return Attended(weights.to(sources.dtype) @ sources, weights)
