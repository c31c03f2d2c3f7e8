"""Cross-modal prototype querying and responding (paper, section 3.2, eq. 8-13).

Shape legend: B studies, Q queries (patches or words), H heads, P prototypes, D width of a head.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from xpronet.model.attention import split_heads
from xpronet.model.dropout import drop
from xpronet.model.linear import Linear
from xpronet.model.precision import full_precision
from xpronet.model.settings import ModelSettings

HIDDEN = -1e9
"""Score of a prototype that the study may not see: finite, so that a study without any gives no NaN."""


class ProjectedBank(NamedTuple):
    """The bank's keys and values, the same for every study and query."""

    keys: Float[Tensor, "H P D"]
    values: Float[Tensor, "H P D"]


class PrototypeMatching(nn.Module):
    """The prototype bank and the one way, shared by image and text, in which features query it."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.heads = settings.heads
        self.gamma = min(settings.gamma, settings.bank_rows)
        head_width = settings.width // settings.heads
        self.scale = head_width**-0.5 if settings.scale == "sqrt" else 1 / head_width
        self.bank = nn.Parameter(torch.empty(settings.bank_rows, settings.bank_width))
        self.projection = Linear(settings.bank_width, settings.width) if settings.project_bank else nn.Identity()
        self.query = Linear(settings.width, settings.width)
        self.key = Linear(settings.width, settings.width)
        self.value = Linear(settings.width, settings.width)
        self.output = Linear(settings.width, settings.width)
        self.dropout = settings.dropout

    def projected(self) -> Float[Tensor, "P width"]:
        """Return the bank in the network's width (eq. 8)."""
        return self.projection(self.bank)

    def project(self) -> ProjectedBank:
        """Return the bank's keys and values: once a batch in training, once a run in use."""
        bank = self.projected()
        return ProjectedBank(split_heads(self.key(bank), self.heads), split_heads(self.value(bank), self.heads))

    def weights(
        self, queries: Float[Tensor, "B Q width"], bank: ProjectedBank, visible: Bool[Tensor, "B P"]
    ) -> Float[Tensor, "B H Q P"]:
        """Return each prototype's share in the response (eq. 10, 11): exactly γ a head and query are kept.

        Shares are a softmax over those kept, zero elsewhere, and zero throughout for a study that sees no prototype.
        """
        chosen_HBQG, shares_HBQG = self._best(queries, bank, visible)
        return self._spread(chosen_HBQG, shares_HBQG, visible.shape[1]).transpose(0, 1)

    def forward(
        self, queries: Float[Tensor, "B Q width"], bank: ProjectedBank, visible: Bool[Tensor, "B P"]
    ) -> Float[Tensor, "B Q width"]:
        """Return the response to each query (eq. 12, 13)."""
        chosen_HBQG, shares_HBQG = self._best(queries, bank, visible)
        if self.training:
            # Before they are spread over all prototypes: a draw for each of the γ kept, not for every prototype.
            shares_HBQG = drop(shares_HBQG, self.dropout)
        shares_HBQP = self._spread(chosen_HBQG, shares_HBQG.to(bank.values.dtype), visible.shape[1])
        # The values are the same for all studies: one product a head, no copy per study.
        mixed_HND = shares_HBQP.flatten(1, 2) @ bank.values
        return self.output(mixed_HND.transpose(0, 1).reshape(queries.shape))

    def _best(
        self, queries: Float[Tensor, "B Q width"], bank: ProjectedBank, visible: Bool[Tensor, "B P"]
    ) -> tuple[Int[Tensor, "H B Q gamma"], Float[Tensor, "H B Q gamma"]]:
        """Return the γ prototypes most alike of each head and query, and their shares."""
        studies, length, _ = queries.shape
        # Heads first and the queries of all studies in one row: one product a head, as the bank is the same for all.
        query_HND = split_heads(self.query(queries).flatten(0, 1), self.heads)
        # Full precision, under autocast too: the choice of the γ best must not hang on a rounding of bfloat16.
        with torch.autocast(queries.device.type, enabled=False):
            scores_HNP = full_precision(query_HND) @ (full_precision(bank.keys) * self.scale).transpose(-2, -1)
        # Added, not filled in: the sum needs no copy and no backward pass. The hidden get no gradient either way.
        hidden_BP = torch.where(visible, 0.0, HIDDEN)
        scores_HBQP = scores_HNP.view(self.heads, studies, length, -1).add_(hidden_BP.unsqueeze(1))
        best, chosen = scores_HBQP.topk(self.gamma, dim=-1, sorted=False)
        return chosen, best.softmax(-1) * (best > HIDDEN / 2)

    @staticmethod
    def _spread(
        chosen: Int[Tensor, "H B Q gamma"], shares: Float[Tensor, "H B Q gamma"], num_prototypes: int
    ) -> Float[Tensor, "H B Q P"]:
        """Lay shares out over all prototypes, zero where none was chosen."""
        return shares.new_zeros((*shares.shape[:-1], num_prototypes)).scatter_(-1, chosen, shares)
