"""Multi-head attention with the caches that decoding needs.

Shape legend: B studies, Q queries, S sources, H heads, D width of a head.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from xpronet.model.dropout import drop


class KeysValues(NamedTuple):
    """Projected keys and values of an attention's sources."""

    keys: Float[Tensor, "B H S D"]
    values: Float[Tensor, "B H S D"]


def split_heads(features: Float[Tensor, "*batch length width"], heads: int) -> Float[Tensor, "*batch heads length d"]:
    """Cut the width into heads: (..., L, H·D) to (..., H, L, D)."""
    return features.reshape(*features.shape[:-1], heads, features.shape[-1] // heads).transpose(-3, -2)


def join_heads(features: Float[Tensor, "*batch heads length d"]) -> Float[Tensor, "*batch length width"]:
    """Undo `split_heads`."""
    return features.transpose(-3, -2).flatten(-2)


class Attention(nn.Module):
    """Scaled dot-product attention with its four linear layers."""

    def __init__(self, *, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)

    def project(self, sources: Float[Tensor, "B S width"]) -> KeysValues:
        """Return the keys and values of the sources: all that the queries of any later step need of them."""
        # Contiguous once, not at each later use.
        return KeysValues(
            split_heads(self.key(sources), self.heads).contiguous(),
            split_heads(self.value(sources), self.heads).contiguous(),
        )

    def attend(
        self,
        queries: Float[Tensor, "B Q width"],
        sources: KeysValues,
        mask: Bool[Tensor, "#B #Q S"] | None = None,
    ) -> Float[Tensor, "B Q width"]:
        """Attend to projected sources; `mask` is true where a query may look."""
        query_BHQD = split_heads(self.query(queries), self.heads)
        dropout = self.dropout if self.training else 0.0
        if dropout and query_BHQD.device.type == "cpu":
            mixed_BHQD = _attend_with_dropout(query_BHQD, sources, mask, dropout)
        else:
            mixed_BHQD = functional.scaled_dot_product_attention(
                query_BHQD,
                sources.keys,
                sources.values,
                attn_mask=None if mask is None else mask.unsqueeze(1),
                dropout_p=dropout,
            )
        return self.output(join_heads(mixed_BHQD))

    def weights(
        self,
        queries: Float[Tensor, "B Q width"],
        sources: KeysValues,
        mask: Bool[Tensor, "#B #Q S"] | None = None,
    ) -> Float[Tensor, "B H Q S"]:
        """Return the attention weights that `attend` uses without dropout; they sum to 1 over the sources."""
        query_BHQD = split_heads(self.query(queries), self.heads)
        scores_BHQS = query_BHQD @ sources.keys.transpose(-2, -1) / query_BHQD.shape[-1] ** 0.5
        if mask is not None:
            scores_BHQS = scores_BHQS.masked_fill(~mask.unsqueeze(1), -torch.inf)
        return scores_BHQS.softmax(-1)


def _attend_with_dropout(
    queries: Float[Tensor, "B H Q D"],
    sources: KeysValues,
    mask: Bool[Tensor, "#B #Q S"] | None,
    dropout: float,
) -> Float[Tensor, "B H Q D"]:
    """Do as PyTorch's attention, which has no fast way with dropout on a processor: this takes half of its time."""
    scores_BHQS = queries * queries.shape[-1] ** -0.5 @ sources.keys.transpose(-2, -1)
    if mask is not None:
        # Finite, so that a query that may look nowhere gives no NaN.
        scores_BHQS = scores_BHQS.masked_fill(~mask.unsqueeze(1), torch.finfo(scores_BHQS.dtype).min)
    return drop(scores_BHQS.softmax(-1), dropout).to(sources.values.dtype) @ sources.values
