"""Multi-head attention with the caches that decoding needs.

Shape legend: B studies, Q queries, S sources, H heads, D width of a head.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from xpronet.model.dropout import drop
from xpronet.model.linear import Linear

FEW_QUERIES = 16
"""As many a CPU answers by hand: as many beams as anyone searches with."""


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
        self.query = Linear(width, width)
        self.key = Linear(width, width)
        self.value = Linear(width, width)
        self.output = Linear(width, width)

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
        mask_BHQS = None if mask is None else mask.unsqueeze(1)
        mixed_BHQD = attend(query_BHQD, sources, mask_BHQS, dropout=self.dropout if self.training else 0.0)
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


def attend(
    queries: Float[Tensor, "B H Q D"],
    sources: KeysValues,
    mask: Bool[Tensor, "#B 1 #Q S"] | None,
    *,
    dropout: float = 0.0,
) -> Float[Tensor, "B H Q D"]:
    """Return the values of the sources, mixed by how alike their keys are to each query.

    Args:
        queries: projected.
        sources: projected.
        mask: true where a query may look; everywhere if left out.
        dropout: share of the attention weights that is set to zero.
    """
    few = queries.shape[2] <= FEW_QUERIES and not torch.compiler.is_compiling()
    if queries.device.type == "cpu" and (dropout or few):
        return _attend_by_hand(queries, sources, mask, dropout)
    return functional.scaled_dot_product_attention(
        queries, sources.keys, sources.values, attn_mask=mask, dropout_p=dropout
    )


def _attend_by_hand(
    queries: Float[Tensor, "B H Q D"], sources: KeysValues, mask: Bool[Tensor, "#B 1 #Q S"] | None, dropout: float
) -> Float[Tensor, "B H Q D"]:
    """Do as PyTorch's attention, which has no fast way on a CPU with dropout, nor for so few queries."""
    scores_BHQS = queries * queries.shape[-1] ** -0.5 @ sources.keys.transpose(-2, -1)
    if mask is not None:
        # Finite, so that a query that may look nowhere gives no NaN.
        scores_BHQS = scores_BHQS.masked_fill(~mask, torch.finfo(scores_BHQS.dtype).min)
    return drop(scores_BHQS.softmax(-1), dropout).to(sources.values.dtype) @ sources.values
