"""Cross-modal prototype querying and responding (paper, section 3.2, eq. 8-13).

Shape legend: B studies, Q queries (patches or words), H heads, P prototypes, D width of a head.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from xpronet.model.attention import hidden_score, mask_scores, split_heads
from xpronet.model.settings import ModelSettings
from xpronet.precision import full_precision


class ProjectedBank(NamedTuple):
    """The bank's keys and values, the same for every study and query."""

    keys: Float[Tensor, "H P D"]
    values: Float[Tensor, "H P D"]


class PrototypeMatching(nn.Module):
    """The prototype bank and the attention by which image and text features query it, shared by both."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.heads = settings.heads
        self.gamma = min(settings.gamma, settings.bank_rows)
        head_width = settings.width // settings.heads
        self.scale = head_width**-0.5 if settings.scale == "sqrt" else 1 / head_width
        self.bank = nn.Parameter(torch.empty(settings.bank_rows, settings.bank_width))
        self.projection = nn.Linear(settings.bank_width, settings.width) if settings.project_bank else nn.Identity()
        self.query = nn.Linear(settings.width, settings.width)
        self.key = nn.Linear(settings.width, settings.width)
        self.value = nn.Linear(settings.width, settings.width)
        self.output = nn.Linear(settings.width, settings.width)
        self.dropout = nn.Dropout(settings.dropout)

    def projected(self) -> Float[Tensor, "P width"]:
        """Return the bank projected to the network's width (eq. 8)."""
        return self.projection(self.bank)

    def project(self) -> ProjectedBank:
        """Return the bank's keys and values, needed once for each batch in training and once for all in use."""
        bank = self.projected()
        return ProjectedBank(split_heads(self.key(bank), self.heads), split_heads(self.value(bank), self.heads))

    def weights(
        self, queries: Float[Tensor, "B Q width"], bank: ProjectedBank, visible: Bool[Tensor, "B P"]
    ) -> Float[Tensor, "B H Q P"]:
        """Return each prototype's share in the response (eq. 10, 11): each head and query keeps exactly γ.

        Shares are a softmax over those kept and zero elsewhere; for a study that sees no prototype all are zero.
        """
        chosen_HBQG, shares_HBQG = self._best(queries, bank, visible)
        return self._spread(chosen_HBQG, shares_HBQG, visible.shape[1]).transpose(0, 1)

    def forward(
        self, queries: Float[Tensor, "B Q width"], bank: ProjectedBank, visible: Bool[Tensor, "B P"]
    ) -> Float[Tensor, "B Q width"]:
        """Return the response to each query (eq. 12, 13)."""
        chosen_HBQG, shares_HBQG = self._best(queries, bank, visible)
        # Dropped before they are spread: one draw for each of the γ kept, not for every prototype.
        shares_HBQG = self.dropout(shares_HBQG).to(bank.values.dtype)
        shares_HBQP = self._spread(chosen_HBQG, shares_HBQG, visible.shape[1])
        # The values are the same for all studies: one product for each head, no copy for each study.
        mixed_HND = shares_HBQP.flatten(1, 2) @ bank.values
        return self.output(mixed_HND.transpose(0, 1).reshape(queries.shape))

    def _best(
        self, queries: Float[Tensor, "B Q width"], bank: ProjectedBank, visible: Bool[Tensor, "B P"]
    ) -> tuple[Int[Tensor, "H B Q gamma"], Float[Tensor, "H B Q gamma"]]:
        """Return the γ prototypes most similar to each head and query, and their shares."""
        studies, length, _ = queries.shape
        # Heads first, then the queries of all studies: one product for each head, as the bank is the same for all.
        query_HND = split_heads(self.query(queries).flatten(0, 1), self.heads)
        # In full precision under autocast, too: rounding to bfloat16 must not decide which γ are the best.
        with torch.autocast(queries.device.type, enabled=False):
            scores_HNP = full_precision(query_HND) @ (full_precision(bank.keys) * self.scale).transpose(-2, -1)
        scores_HBQP = mask_scores(scores_HNP.view(self.heads, studies, length, -1), visible.unsqueeze(1))
        best, chosen = scores_HBQP.topk(self.gamma, dim=-1, sorted=False)
        return chosen, best.softmax(-1) * (best > hidden_score(best.dtype) / 2)

    @staticmethod
    def _spread(
        chosen: Int[Tensor, "H B Q gamma"], shares: Float[Tensor, "H B Q gamma"], num_prototypes: int
    ) -> Float[Tensor, "H B Q P"]:
        """Spread shares over all prototypes, with zero for those not chosen."""
        return shares.new_zeros((*shares.shape[:-1], num_prototypes)).scatter_(-1, chosen, shares)
