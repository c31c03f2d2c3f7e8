"""Multi-head scaled dot-product attention with an optional key/value cache.

Shape legend: B studies, Q queries, S sources, H heads, D width of a head.
"""

from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional


class KeysValues(NamedTuple):
    """Projected keys and values of an attention's sources."""

    keys: Float[Tensor, "B H S D"]
    values: Float[Tensor, "B H S D"]


@runtime_checkable
class Cache(Protocol):
    """Keeps the keys and values of earlier words, so that each word is projected once."""

    def extend(self, newest: KeysValues) -> KeysValues:
        """Append the newest words and return the keys and values of all words so far."""
        ...


class Attended(NamedTuple):
    """The output of an attention, and its weights if they were asked for."""

    features: Float[Tensor, "B Q width"]
    weights: Float[Tensor, "B H Q S"] | None
    """They sum to 1 over the sources."""


def split_heads(features: Float[Tensor, "*batch length width"], heads: int) -> Float[Tensor, "*batch heads length d"]:
    """Split the width into heads: (..., L, H·D) to (..., H, L, D)."""
    return features.reshape(*features.shape[:-1], heads, features.shape[-1] // heads).transpose(-3, -2)


def join_heads(features: Float[Tensor, "*batch heads length d"]) -> Float[Tensor, "*batch length width"]:
    """Undo `split_heads`."""
    return features.transpose(-3, -2).flatten(-2)


def hidden_score(dtype: torch.dtype) -> float:
    """Return what is added to the score of a source that a query may not see.

    It is half the lowest number of the type, so that the sum stays finite: a query without any source gives no NaN.
    """
    return torch.finfo(dtype).min / 2


def mask_scores(scores: Float[Tensor, "*shape"], visible: Bool[Tensor, "*#shape"]) -> Float[Tensor, "*shape"]:
    """Lower the scores of hidden sources so far that a softmax gives them no weight; the scores are overwritten.

    An addition in place needs neither a copy nor a backward pass of its own: a weight of zero stops the gradient.
    """
    return scores.add_(torch.where(visible, scores.new_zeros(()), hidden_score(scores.dtype)))


def attention_weights(
    query: Float[Tensor, "B H Q D"], *keys: Float[Tensor, "B H _ D"], mask: Bool[Tensor, "#B #Q S"] | None
) -> Float[Tensor, "B H Q S"]:
    """Return softmax(QKᵀ/√D) over the sources that `mask` allows; their keys may be given in several parts."""
    query = query * query.shape[-1] ** -0.5
    parts = [query @ part.transpose(-2, -1) for part in keys]
    scores = parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)
    if mask is not None:
        scores = mask_scores(scores, mask.unsqueeze(1))
    return scores.softmax(-1)


class Attention(nn.Module):
    """Scaled dot-product attention with its four linear layers."""

    def __init__(self, *, width: int, heads: int, dropout: float, head_width: int | None = None) -> None:
        """Make the layers.

        Args:
            width: of queries, sources and outputs.
            heads: number of heads.
            dropout: of the weights.
            head_width: of each head's queries, keys and values; the heads share the width if left out.
        """
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        inner = width if head_width is None else heads * head_width
        self.query = nn.Linear(width, inner)
        self.key = nn.Linear(width, inner)
        self.value = nn.Linear(width, inner)
        self.output = nn.Linear(inner, width)

    def project(self, sources: Float[Tensor, "B S width"]) -> KeysValues:
        """Return the keys and values of the sources, which is all that later queries need of them."""
        # Made contiguous once here rather than at each later use.
        return KeysValues(
            split_heads(self.key(sources), self.heads).contiguous(),
            split_heads(self.value(sources), self.heads).contiguous(),
        )

    def attend_to_self(
        self, features: Float[Tensor, "B Q width"], mask: Bool[Tensor, "#B #Q S"], cache: Cache | None = None
    ) -> Float[Tensor, "B Q width"]:
        """Attend to the features themselves and, with a cache, to those before them.

        Args:
            features: queries and newest sources.
            mask: true where a query may look, over all sources including the cached ones.
            cache: of earlier features; it is extended by these.
        """
        sources = self.project(features)
        if cache is not None:
            sources = cache.extend(sources)
        return self.attend(features, sources, mask).features

    def attend(
        self,
        queries: Float[Tensor, "B Q width"],
        sources: KeysValues,
        mask: Bool[Tensor, "#B #Q S"] | None = None,
        *,
        with_weights: bool = False,
    ) -> Attended:
        """Attend to projected sources.

        Args:
            queries: not projected yet.
            sources: keys and values.
            mask: true where a query may look; everywhere if left out.
            with_weights: return the weights, too; they are those before dropout.
        """
        query = split_heads(self.query(queries), self.heads)
        if not with_weights:
            return Attended(self.output(join_heads(self.mix(query, sources, mask))), None)
        weights = attention_weights(query, sources.keys, mask=mask)
        dropped = functional.dropout(weights, self.dropout, self.training)
        return Attended(self.output(join_heads(dropped.to(sources.values.dtype) @ sources.values)), weights)

    def mix(
        self, query: Float[Tensor, "B H Q D"], sources: KeysValues, mask: Bool[Tensor, "#B #Q S"] | None
    ) -> Float[Tensor, "B H Q D"]:
        """Return the values of the sources, weighted by how well their keys match each projected query."""
        return functional.scaled_dot_product_attention(
            query,
            sources.keys,
            sources.values,
            attn_mask=None if mask is None else mask.unsqueeze(1),
            dropout_p=self.dropout if self.training else 0.0,
        )
