"""The pre-norm transformer that reads fused patches and writes words (paper, section 3.3).

Shape legend: B studies, S regions of all views, T words.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from xpronet.model.attention import Attention, KeysValues
from xpronet.model.dropout import Dropout
from xpronet.model.linear import Linear
from xpronet.model.settings import ModelSettings


class PublishedNorm(nn.Module):
    """Layer normalisation as published: unbiased deviation, epsilon added to it rather than to the variance."""

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
    """Return the sinusoidal codes of positions, counted from 0."""
    position = positions.float().unsqueeze(1)
    even = torch.arange(0, width, 2, device=positions.device, dtype=torch.float32)
    rate = torch.exp(even * -(math.log(10000.0) / width))
    return torch.stack([torch.sin(position * rate), torch.cos(position * rate)], dim=-1).flatten(1)


class FeedForward(nn.Module):
    """Two linear layers with a rectifier between them."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.inner = Linear(settings.width, settings.feed_forward)
        self.outer = Linear(settings.feed_forward, settings.width)
        self.dropout = Dropout(settings.dropout)

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
        self.dropout = Dropout(settings.dropout)

    def forward(self, regions: Float[Tensor, "B S width"], mask: Bool[Tensor, "B 1 S"]) -> Float[Tensor, "B S width"]:
        """Refine the regions; `mask` is true on real ones."""
        normed = self.attention_norm(regions)
        regions = regions + self.dropout(self.attention.attend(normed, self.attention.project(normed), mask))
        return regions + self.dropout(self.feed_forward(self.feed_forward_norm(regions)))


class Encoder(nn.Module):
    """Positions, encoder layers, a last normalisation."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(settings) for _ in range(settings.layers))
        self.norm = layer_norm(settings)
        self.dropout = Dropout(settings.dropout)

    def forward(self, regions: Float[Tensor, "B S width"], mask: Bool[Tensor, "B S"]) -> Float[Tensor, "B S width"]:
        """Encode fused regions; positions run on through all views as published."""
        _, length, width = regions.shape
        regions = self.dropout(regions + sinusoids(torch.arange(length, device=regions.device), width))
        for layer in self.layers:
            regions = layer(regions, mask.unsqueeze(1))
        return self.norm(regions)


class DecoderLayer(nn.Module):
    """Self-attention over the words so far, attention on the regions, a feed-forward layer."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.self_attention = Attention(width=settings.width, heads=settings.heads, dropout=settings.dropout)
        self.cross_attention = Attention(width=settings.width, heads=settings.heads, dropout=settings.dropout)
        self.feed_forward = FeedForward(settings)
        self.self_norm = layer_norm(settings)
        self.cross_norm = layer_norm(settings)
        self.feed_forward_norm = layer_norm(settings)
        self.dropout = Dropout(settings.dropout)

    def forward(
        self,
        words: Float[Tensor, "B T width"],
        word_mask: Bool[Tensor, "B T T"],
        regions: KeysValues,
        region_mask: Bool[Tensor, "B 1 S"],
    ) -> Float[Tensor, "B T width"]:
        """Decode all words at once, each seeing those that `word_mask` allows."""
        normed = self.self_norm(words)
        attended = self.self_attention.attend(normed, self.self_attention.project(normed), word_mask)
        return self.after_self(words + self.dropout(attended), regions, region_mask)

    def after_self(
        self,
        words: Float[Tensor, "B T width"],
        regions: KeysValues,
        region_mask: Bool[Tensor, "B 1 S"],
    ) -> Float[Tensor, "B T width"]:
        """Apply what follows self-attention: the part that treats every word by itself."""
        attended = self.cross_attention.attend(self.cross_norm(words), regions, region_mask)
        words = words + self.dropout(attended)
        return words + self.dropout(self.feed_forward(self.feed_forward_norm(words)))


class Decoded(NamedTuple):
    """Decoded words, and where they looked if that was asked for."""

    words: Float[Tensor, "B T width"]
    attention: Float[Tensor, "B T S"] | None
    """Cross-attention averaged over layers and heads."""


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
        word_mask: Bool[Tensor, "B T T"],
        regions: list[KeysValues],
        region_mask: Bool[Tensor, "B S"],
        *,
        with_attention: bool = False,
    ) -> Decoded:
        """Decode all words at once (training, evidence)."""
        mask = region_mask.unsqueeze(1)
        looked: list[Tensor] = []
        for layer, sources in zip(self.each_layer(), regions, strict=True):
            if with_attention:
                normed = layer.self_norm(words)
                own = layer.self_attention.attend(normed, layer.self_attention.project(normed), word_mask)
                looked.append(layer.cross_attention.weights(layer.cross_norm(words + own), sources, mask).mean(1))
            words = layer(words, word_mask, sources, mask)
        return Decoded(self.norm(words), torch.stack(looked).mean(0) if looked else None)
