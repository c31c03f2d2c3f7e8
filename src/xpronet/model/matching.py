"""Cross-modal prototype querying and responding (paper, section 3.2, eq. 8-13).

Shape legend: B studies, Q queries (patches or words), H heads, P prototypes, D width of a head.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from xpronet.model.attention import join_heads, split_heads
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
        self.projection = nn.Linear(settings.bank_width, settings.width) if settings.project_bank else nn.Identity()
        self.query = nn.Linear(settings.width, settings.width)
        self.key = nn.Linear(settings.width, settings.width)
        self.value = nn.Linear(settings.width, settings.width)
        self.output = nn.Linear(settings.width, settings.width)
        self.dropout = nn.Dropout(settings.dropout)

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
        query_BHQD = split_heads(self.query(queries), self.heads)
        # Full precision, under autocast too: the choice of the γ best must not hang on a rounding of bfloat16.
        with torch.autocast(queries.device.type, enabled=False):
            scores_BHQP = query_BHQD.float() @ bank.keys.float().transpose(-2, -1) * self.scale
        scores_BHQP = scores_BHQP.masked_fill(~visible[:, None, None, :], HIDDEN)
        best, chosen = scores_BHQP.topk(self.gamma, dim=-1)
        shares = best.softmax(-1) * (best > HIDDEN / 2)
        return torch.zeros_like(scores_BHQP).scatter(-1, chosen, shares)

    def forward(
        self, queries: Float[Tensor, "B Q width"], bank: ProjectedBank, visible: Bool[Tensor, "B P"]
    ) -> Float[Tensor, "B Q width"]:
        """Return the response to each query (eq. 12, 13)."""
        shares_BHQP = self.dropout(self.weights(queries, bank, visible)).to(bank.values.dtype)
        # The values are the same for all studies: one product a head, no copy per study.
        return self.output(join_heads(shares_BHQP @ bank.values))
