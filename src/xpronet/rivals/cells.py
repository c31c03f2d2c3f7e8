"""The captioners' recurrent cells: Show and Tell, adaptive attention, ATT2IN, bottom-up and top-down attention.

All gates are in the order input, forget, output, candidate(s). What does not depend on the state (words, the pooled
feature) is projected before the loop over words, once for all of them.

Shape legend: B studies, N beams of each (or one), T words, S regions, E word width, H state width, A attention width,
G gates of all kinds side by side.
"""

from abc import abstractmethod
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from xpronet.precision import full_precision
from xpronet.rivals.layers import AdditiveAttention, advance

State = tuple[Float[Tensor, "B N H"], ...]
"""What a cell keeps between words, for each beam."""


class EncodedRegions(NamedTuple):
    """What the words of a batch of studies depend on; beams share it."""

    regions: Float[Tensor, "B S D"]
    """What attention averages: embedded regions, or the image encoder's own."""
    keys: Float[Tensor, "B S A"] | None
    """The regions' keys; None of a model without attention."""
    mask: Bool[Tensor, "B S"]
    """True on the regions of real views."""
    pooled: Float[Tensor, "B width"] | None
    """The embedded mean over regions; None of a model that has no use for it."""
    image_gates: Float[Tensor, "B G"] | None
    """What the pooled feature adds to the gates of every step; None where it adds nothing."""

    def keep(self, studies: Tensor) -> "EncodedRegions":
        """Return these studies only."""
        keys, pooled, image_gates = (
            None if part is None else part[studies] for part in (self.keys, self.pooled, self.image_gates)
        )
        return EncodedRegions(self.regions[studies], keys, self.mask[studies], pooled, image_gates)


class CellStep(NamedTuple):
    """The outcome of one step."""

    output: Float[Tensor, "B N H"]
    """What the next word is predicted from."""
    state: State
    attention: Float[Tensor, "B N S"] | None
    """On the regions; None of a cell without attention."""
    language: Float[Tensor, "B N"] | None = None
    """Share of the attention that went to what had been written, and to no region; None without a sentinel."""


class Cell(nn.Module):
    """A recurrent cell between words and images."""

    num_states: int
    """Tensors in its state."""

    def __init__(self, dropout: float) -> None:
        """Take the dropout of the output."""
        super().__init__()
        self.dropout = nn.Dropout(dropout)

    @abstractmethod
    def word_inputs(self, words: Float[Tensor, "B T E"]) -> Float[Tensor, "B T G"]:
        """Return what words add to the gates, whatever the state."""

    def image_inputs(self, pooled: Float[Tensor, "B width"]) -> Float[Tensor, "B G"] | None:
        """Return what the pooled feature adds to the gates of every step; None for nothing."""
        return None

    def region_keys(self, regions: Float[Tensor, "B S D"]) -> Float[Tensor, "B S A"] | None:
        """Return the regions' keys; None of a cell without attention."""
        return None

    @abstractmethod
    def forward(self, inputs: Float[Tensor, "B N G"], encoded: EncodedRegions, state: State) -> CellStep:
        """Take a step.

        Args:
            inputs: of the newest word, as `word_inputs` returned them.
            encoded: the studies.
            state: before the step.
        """

    def begin(self, encoded: EncodedRegions, width: int) -> State:
        """Return the state of one beam before the first word: zeros."""
        zeros = encoded.regions.new_zeros((len(encoded.regions), 1, width))
        return (zeros,) * self.num_states


class PlainCell(Cell):
    """Show and Tell (Vinyals 2015): the image is the first word, and never seen again.

    With maxout it is the "FC" model of self-critical training (Rennie 2017), whose gates have biases.
    """

    num_states = 2

    def __init__(self, *, words: int, state: int, maxout: bool, dropout: float) -> None:
        """Make the gates.

        Args:
            words: E.
            state: H.
            maxout: take the larger of two candidates.
            dropout: of the output.
        """
        super().__init__(dropout)
        gates = (5 if maxout else 4) * state
        self.word_gates = nn.Linear(words, gates, bias=maxout)
        self.state_gates = nn.Linear(state, gates, bias=maxout)

    def word_inputs(self, words: Float[Tensor, "B T E"]) -> Float[Tensor, "B T G"]:
        """Return the words' gates."""
        return self.word_gates(words)

    def begin(self, encoded: EncodedRegions, width: int) -> State:
        """Read the pooled feature as if it were a word; nothing is predicted from it."""
        assert encoded.pooled is not None, "this cell sees the image in its first step only"
        inputs = self.word_gates(encoded.pooled.unsqueeze(1))
        return self(inputs, encoded, super().begin(encoded, width)).state

    def forward(self, inputs: Float[Tensor, "B N G"], encoded: EncodedRegions, state: State) -> CellStep:
        """Take a step."""
        hidden, cell = state
        hidden, cell = advance(inputs + self.state_gates(hidden), cell)
        return CellStep(self.dropout(hidden), (hidden, cell), None)


class AdaptiveCell(Cell):
    """Adaptive attention (Lu 2017): a sentinel competes with the regions, for words that need no look at the image."""

    num_states = 2

    def __init__(self, *, words: int, state: int, attention: int, maxout: bool, dropout: float) -> None:
        """Make the gates, the sentinel and the attention.

        Args:
            words: E, which must be H: the sentinel is a row among the regions.
            state: H.
            attention: A.
            maxout: take the larger of two candidates.
            dropout: of the output, the sentinel's row and the query's row.
        """
        super().__init__(dropout)
        self.maxout = maxout
        gates = (5 if maxout else 4) * state
        self.word_gates, self.word_sentinel = nn.Linear(words, gates), nn.Linear(words, state)
        self.image_gates, self.image_sentinel = nn.Linear(state, gates), nn.Linear(state, state)
        self.state_gates, self.state_sentinel = nn.Linear(state, gates), nn.Linear(state, state)
        self.sentinel_row = nn.Linear(state, words)
        self.sentinel_key = nn.Linear(words, attention)
        self.query_row = nn.Linear(state, words)
        self.attention = AdditiveAttention(sources=state, state=words, width=attention)
        self.output = nn.Linear(words, state)

    def word_inputs(self, words: Float[Tensor, "B T E"]) -> Float[Tensor, "B T G"]:
        """Return the words' gates and, behind them, the sentinel's gate."""
        return torch.cat([self.word_gates(words), self.word_sentinel(words)], dim=-1)

    def image_inputs(self, pooled: Float[Tensor, "B width"]) -> Float[Tensor, "B G"]:
        """Return the pooled feature's gates and, behind them, the sentinel's gate."""
        return torch.cat([self.image_gates(pooled), self.image_sentinel(pooled)], dim=-1)

    def region_keys(self, regions: Float[Tensor, "B S D"]) -> Float[Tensor, "B S A"]:
        """Return the regions' keys."""
        return self.attention.key(regions)

    def forward(self, inputs: Float[Tensor, "B N G"], encoded: EncodedRegions, state: State) -> CellStep:
        """Take a step; the hidden state recurs, not the output."""
        assert encoded.keys is not None, "this cell attends"
        assert encoded.image_gates is not None, "this cell sees the pooled feature in each step"
        before, cell = state
        width = before.shape[-1]
        inputs = inputs + encoded.image_gates.unsqueeze(1)
        hidden, cell = advance(inputs[..., :-width] + self.state_gates(before), cell)
        sentinel = (inputs[..., -width:] + self.state_sentinel(before)).sigmoid() * torch.tanh(cell)
        row = self.dropout(self.sentinel_row(self.dropout(sentinel)).relu())
        asking = self.dropout(torch.tanh(self.query_row(self.dropout(hidden))))
        query = self.attention.query(asking)
        # Of the sentinel, which each beam has of its own, and of the regions, which all share.
        own = full_precision(self.attention.score(torch.tanh(self.sentinel_key(row) + query)))
        shared = self.attention.energies(query, encoded.keys, encoded.mask)
        attention = torch.cat([own, shared], dim=-1).softmax(-1)
        language, regions = attention[..., :1], attention[..., 1:]
        seen = regions.to(encoded.regions.dtype) @ encoded.regions + language * row
        output = torch.tanh(self.output(seen + asking))
        return CellStep(self.dropout(output), (hidden, cell), regions, language.squeeze(-1))


class InputCell(Cell):
    """ATT2IN (Rennie 2017): what was attended to enters the candidates of a maxout cell alone, and no gate."""

    num_states = 2

    def __init__(self, *, words: int, state: int, regions: int, attention: int, dropout: float) -> None:
        """Make the gates and the attention.

        Args:
            words: E.
            state: H.
            regions: D.
            attention: A.
            dropout: of the output.
        """
        super().__init__(dropout)
        self.word_gates = nn.Linear(words, 5 * state)
        self.state_gates = nn.Linear(state, 5 * state)
        self.attention = AdditiveAttention(sources=regions, state=state, width=attention)
        self.context_candidates = nn.Linear(regions, 2 * state)

    def word_inputs(self, words: Float[Tensor, "B T E"]) -> Float[Tensor, "B T G"]:
        """Return the words' gates."""
        return self.word_gates(words)

    def region_keys(self, regions: Float[Tensor, "B S D"]) -> Float[Tensor, "B S A"]:
        """Return the regions' keys."""
        return self.attention.key(regions)

    def forward(self, inputs: Float[Tensor, "B N G"], encoded: EncodedRegions, state: State) -> CellStep:
        """Take a step."""
        assert encoded.keys is not None, "this cell attends"
        hidden, cell = state
        context, attention = self.attention(hidden, encoded.regions, encoded.keys, encoded.mask)
        gates = inputs + self.state_gates(hidden)
        fixed = gates.shape[-1] - 2 * hidden.shape[-1]
        candidates = gates[..., fixed:] + self.context_candidates(context)
        hidden, cell = advance(torch.cat([gates[..., :fixed], candidates], dim=-1), cell)
        return CellStep(self.dropout(hidden), (hidden, cell), attention)


class TopDownCell(Cell):
    """Bottom-up and top-down attention (Anderson 2018): one LSTM asks where to look, another writes."""

    num_states = 4

    def __init__(self, *, words: int, state: int, regions: int, attention: int, dropout: float) -> None:
        """Make both LSTMs and the attention between them.

        Args:
            words: E.
            state: H.
            regions: D.
            attention: A.
            dropout: of the output.
        """
        super().__init__(dropout)
        gates = 4 * state
        self.word_gates = nn.Linear(words, gates, bias=False)
        self.image_gates = nn.Linear(state, gates, bias=False)
        self.feedback_gates = nn.Linear(state, gates)
        self.asking_gates = nn.Linear(state, gates)
        self.attention = AdditiveAttention(sources=regions, state=state, width=attention)
        self.context_gates = nn.Linear(regions, gates)
        self.asked_gates = nn.Linear(state, gates, bias=False)
        self.writing_gates = nn.Linear(state, gates)

    def word_inputs(self, words: Float[Tensor, "B T E"]) -> Float[Tensor, "B T G"]:
        """Return what words add to the gates of the LSTM that asks."""
        return self.word_gates(words)

    def image_inputs(self, pooled: Float[Tensor, "B width"]) -> Float[Tensor, "B G"]:
        """Return what the pooled feature adds to the gates of the LSTM that asks."""
        return self.image_gates(pooled)

    def region_keys(self, regions: Float[Tensor, "B S D"]) -> Float[Tensor, "B S A"]:
        """Return the regions' keys."""
        return self.attention.key(regions)

    def forward(self, inputs: Float[Tensor, "B N G"], encoded: EncodedRegions, state: State) -> CellStep:
        """Take a step of both."""
        assert encoded.keys is not None, "this cell attends"
        assert encoded.image_gates is not None, "this cell sees the pooled feature in each step"
        asking, asking_cell, writing, writing_cell = state
        gates = inputs + encoded.image_gates.unsqueeze(1) + self.feedback_gates(writing) + self.asking_gates(asking)
        asking, asking_cell = advance(gates, asking_cell)
        context, attention = self.attention(asking, encoded.regions, encoded.keys, encoded.mask)
        gates = self.context_gates(context) + self.asked_gates(asking) + self.writing_gates(writing)
        writing, writing_cell = advance(gates, writing_cell)
        return CellStep(self.dropout(writing), (asking, asking_cell, writing, writing_cell), attention)
