"""The pre-norm transformer that encodes fused patches and decodes words (paper, section 3.3).

Shape legend: B studies, S regions of all views, T words, C words including cached ones, L layers, H heads.
"""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from xpronet.model.attention import Attended, Attention, Cache, KeysValues
from xpronet.model.settings import ModelSettings


class PublishedNorm(nn.Module):
    """Layer normalisation as published: unbiased standard deviation, with epsilon added to it, not to the variance."""

    def __init__(self, width: int, epsilon: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.epsilon = epsilon

    def forward(self, features: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        """Normalise over the width."""
        deviation, mean = torch.std_mean(features, dim=-1, keepdim=True)
        return self.weight * (features - mean) / (deviation + self.epsilon) + self.bias


def layer_norm(settings: ModelSettings) -> nn.Module:
    """Return the normalisation layer that the settings ask for."""
    return PublishedNorm(settings.width) if settings.norm == "published" else nn.LayerNorm(settings.width)


def sinusoids(positions: Int[Tensor, "length"], width: int) -> Float[Tensor, "length width"]:
    """Return the sinusoidal encodings of positions, which count from 0."""
    position = positions.float().unsqueeze(1)
    even = torch.arange(0, width, 2, device=positions.device, dtype=torch.float32)
    rate = torch.exp(even * -(math.log(10000.0) / width))
    return torch.stack([torch.sin(position * rate), torch.cos(position * rate)], dim=-1).flatten(1)


class FeedForward(nn.Module):
    """Two linear layers with a ReLU between them."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.inner = nn.Linear(settings.width, settings.feed_forward)
        self.outer = nn.Linear(settings.feed_forward, settings.width)
        self.dropout = nn.Dropout(settings.dropout)

    def forward(self, features: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        """Apply both layers to each position by itself."""
        return self.outer(self.dropout(self.inner(features).relu()))


class EncoderLayer(nn.Module):
    """Self-attention over all regions, then a feed-forward layer."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.attention = Attention(width=settings.width, heads=settings.heads, dropout=settings.dropout)
        self.feed_forward = FeedForward(settings)
        self.attention_norm = layer_norm(settings)
        self.feed_forward_norm = layer_norm(settings)
        self.dropout = nn.Dropout(settings.dropout)

    def forward(self, regions: Float[Tensor, "B S width"], mask: Bool[Tensor, "B 1 S"]) -> Float[Tensor, "B S width"]:
        """Refine the regions; `mask` is true on real ones."""
        regions = regions + self.dropout(self.attention.attend_to_self(self.attention_norm(regions), mask))
        return regions + self.dropout(self.feed_forward(self.feed_forward_norm(regions)))


class Encoder(nn.Module):
    """Positional encodings, encoder layers and a last normalisation."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(settings) for _ in range(settings.layers))
        self.norm = layer_norm(settings)
        self.dropout = nn.Dropout(settings.dropout)

    def forward(self, regions: Float[Tensor, "B S width"], mask: Bool[Tensor, "B S"]) -> Float[Tensor, "B S width"]:
        """Encode fused regions; as published, positions run on through all views."""
        _, length, width = regions.shape
        regions = self.dropout(regions + sinusoids(torch.arange(length, device=regions.device), width))
        for layer in self.layers:
            regions = layer(regions, mask.unsqueeze(1))
        return self.norm(regions)


class DecoderLayer(nn.Module):
    """Masked self-attention over the words, cross-attention on the regions, a feed-forward layer."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.self_attention = Attention(width=settings.width, heads=settings.heads, dropout=settings.dropout)
        self.cross_attention = Attention(width=settings.width, heads=settings.heads, dropout=settings.dropout)
        self.feed_forward = FeedForward(settings)
        self.self_norm = layer_norm(settings)
        self.cross_norm = layer_norm(settings)
        self.feed_forward_norm = layer_norm(settings)
        self.dropout = nn.Dropout(settings.dropout)

    def forward(
        self,
        words: Float[Tensor, "B T width"],
        word_mask: Bool[Tensor, "B T C"],
        regions: KeysValues,
        region_mask: Bool[Tensor, "B 1 S"],
        *,
        cache: Cache | None = None,
        with_weights: bool = False,
    ) -> Attended:
        """Decode words: all at once, or the newest ones after those in a cache.

        Args:
            words: embedded.
            word_mask: the words that each word may attend to.
            regions: projected.
            region_mask: true on real regions.
            cache: of this layer; extended by the words.
            with_weights: return the weights of the cross-attention, too.
        """
        attended = self.self_attention.attend_to_self(self.self_norm(words), word_mask, cache)
        words = words + self.dropout(attended)
        crossed = self.cross_attention.attend(self.cross_norm(words), regions, region_mask, with_weights=with_weights)
        words = words + self.dropout(crossed.features)
        return Attended(words + self.dropout(self.feed_forward(self.feed_forward_norm(words))), crossed.weights)


class Decoded(NamedTuple):
    """Decoded words, and the cross-attention if it was asked for."""

    words: Float[Tensor, "B T width"]
    attention: Float[Tensor, "L B H T S"] | None
    """Weights of every layer and head; over the regions they sum to 1."""


class Decoder(nn.Module):
    """Decoder layers and a last normalisation."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.layers = nn.ModuleList(DecoderLayer(settings) for _ in range(settings.layers))
        self.norm = layer_norm(settings)

    def each_layer(self) -> Iterable[DecoderLayer]:
        """Return the layers, first to last."""
        return cast(Iterable[DecoderLayer], self.layers)

    def project(self, regions: Float[Tensor, "B S width"]) -> list[KeysValues]:
        """Return each layer's keys and values of the encoded regions."""
        return [layer.cross_attention.project(regions) for layer in self.each_layer()]

    def forward(
        self,
        words: Float[Tensor, "B T width"],
        word_mask: Bool[Tensor, "B T C"],
        regions: Sequence[KeysValues],
        region_mask: Bool[Tensor, "B S"],
        *,
        caches: Sequence[Cache] | None = None,
        with_attention: bool = False,
    ) -> Decoded:
        """Decode words: all at once (training, word evidence), or the newest ones after those in the layers' caches."""
        weights: list[Tensor] = []
        for number, (layer, sources) in enumerate(zip(self.each_layer(), regions, strict=True)):
            cache = None if caches is None else caches[number]
            words, attention = layer(
                words, word_mask, sources, region_mask.unsqueeze(1), cache=cache, with_weights=with_attention
            )
            if attention is not None:
                weights.append(attention)
        return Decoded(self.norm(words), torch.stack(weights) if weights else None)
