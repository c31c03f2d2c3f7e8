"""RATCHET: a post-norm transformer decoder over the regions, without an encoder of its own (Hou 2021).

Original sizes: width 512, 6 layers, 8 heads of 512 each, feed-forward 2048, dropout 0.2, in the feed-forward 0.1.

Shape legend: B studies, N beams, T words, S regions of all views, L layers, H heads, C words of a cache, W width.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from xpronet.encoders.image_encoder import ImageEncoder
from xpronet.errors import InputError
from xpronet.model.attention import Attention, Cache, KeysValues
from xpronet.model.decoding import WordCache
from xpronet.model.report_model import FindingsHead, Outputs, Patches, ReportModel, WordReading
from xpronet.model.settings import ModelSettings
from xpronet.precision import full_precision
from xpronet.settings_tables import read_table

FEED_FORWARD_DROPOUT = 0.1
"""Fixed in the original."""


@dataclass(frozen=True, kw_only=True)
class RatchetSettings:
    """The `[model.options]` of ratchet; other sizes are those of `[model]`."""

    head_width: int = 0
    """Of each head's queries, keys and values; 0 is the model's width, as in the original."""

    def __post_init__(self) -> None:
        if self.head_width < 0:
            raise InputError(f"model.options.head_width = {self.head_width}: must not be negative")


class RatchetStudies(NamedTuple):
    """What the words of each study depend on: keys and values of the regions for each layer."""

    regions: list[KeysValues]
    mask: Bool[Tensor, "B S"]


class RatchetLayer(nn.Module):
    """Self-attention, attention to the regions, feed-forward; each is added and then normalised."""

    def __init__(self, settings: ModelSettings, head_width: int) -> None:
        super().__init__()
        sizes = {"width": settings.width, "heads": settings.heads, "head_width": head_width}
        self.self_attention = Attention(dropout=0.0, **sizes)
        self.attention = Attention(dropout=0.0, **sizes)
        self.inner = nn.Linear(settings.width, settings.feed_forward)
        self.outer = nn.Linear(settings.feed_forward, settings.width)
        self.feed_forward_dropout = nn.Dropout(FEED_FORWARD_DROPOUT)
        self.dropout = nn.Dropout(settings.dropout)
        self.norms = nn.ModuleList(nn.LayerNorm(settings.width, eps=1e-6) for _ in range(3))

    def forward(
        self,
        words: Float[Tensor, "B T W"],
        word_mask: Bool[Tensor, "#B #T C"],
        regions: KeysValues,
        region_mask: Bool[Tensor, "B 1 S"],
        cache: Cache | None = None,
        *,
        with_weights: bool = False,
    ) -> tuple[Float[Tensor, "B T W"], Float[Tensor, "B H T S"] | None]:
        """Refine the words; with weights, return those of the attention to the regions, too."""
        first, second, third = self.norms
        words = first(words + self.dropout(self.self_attention.attend_to_self(words, word_mask, cache)))
        seen = self.attention.attend(words, regions, region_mask, with_weights=with_weights)
        words = second(words + self.dropout(seen.features))
        fed = self.feed_forward_dropout(self.outer(self.inner(words).relu()))
        return third(words + self.dropout(fed)), seen.weights


class Ratchet(ReportModel):
    """The decoder; its memory is one linear layer over the regions, without positions."""

    def __init__(
        self, *, backbone: ImageEncoder, settings: ModelSettings, num_words: int, padding: int, num_findings: int
    ) -> None:
        """Compose the network; see `ReportModel`.

        Raises:
            InputError: an option is unknown or its value is wrong.
        """
        super().__init__(
            backbone=backbone, settings=settings, num_words=num_words, padding=padding, num_findings=num_findings
        )
        head_width = read_table(RatchetSettings, settings.options, prefix="model.options.").head_width
        self.memory = nn.Linear(backbone.width_out, settings.width)
        self.word_embedding = nn.Embedding(num_words, settings.width)
        self.dropout = nn.Dropout(settings.dropout)
        self.layers = nn.ModuleList(
            RatchetLayer(settings, head_width or settings.width) for _ in range(settings.layers)
        )
        self.word_output = nn.Linear(settings.width, num_words)
        for parameter in (*self.layers.parameters(), self.memory.weight, self.word_output.weight):
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)
        nn.init.uniform_(self.word_embedding.weight, -0.05, 0.05)
        if settings.findings_head:
            self.findings_head = FindingsHead(
                channels=backbone.width_out, num_findings=num_findings, pool=settings.findings_pool
            )

    def read(self, patches: Patches, words: Int[Tensor, "B T"], findings: Bool[Tensor, "B K"]) -> Outputs:
        """Predict each next word of given reports."""
        decoded, _ = self.decode(self.encode(patches, findings), self.place(words), self.word_mask(words))
        return Outputs(
            logits=self.word_output(decoded),
            image_responses=None,
            text_responses=None,
            region_mask=patches.mask,
            finding_logits=self.findings_head(patches) if self.findings_head is not None else None,
        )

    def encode(self, patches: Patches, findings: Bool[Tensor, "B K"], bank: Any = None) -> RatchetStudies:
        """Project the regions for each layer; the given findings have no part in it."""
        memory = self.memory(patches.features).relu()
        return RatchetStudies([layer.attention.project(memory) for layer in self._layers()], patches.mask)

    def decode(
        self,
        encoded: RatchetStudies,
        words: Float[Tensor, "B T W"],
        word_mask: Bool[Tensor, "#B #T C"],
        caches: Sequence[Cache] | None = None,
        *,
        with_attention: bool = False,
    ) -> tuple[Float[Tensor, "B T W"], Float[Tensor, "B T S"] | None]:
        """Refine embedded words; return the attention to the regions, the mean over layers and heads, if asked."""
        region_mask = encoded.mask.unsqueeze(1)
        weights = []
        for number, layer in enumerate(self._layers()):
            cache = None if caches is None else caches[number]
            words, own = layer(
                words, word_mask, encoded.regions[number], region_mask, cache, with_weights=with_attention
            )
            weights.append(own)
        seen = [each for each in weights if each is not None]
        return words, torch.stack(seen).mean((0, 2)) if seen else None

    def place(self, words: Int[Tensor, "B T"], position: int | None = None) -> Float[Tensor, "B T W"]:
        """Return embeddings times √width plus encodings of the positions 0, 1 and so on, or of one for all words."""
        width = self.settings.width
        positions = torch.arange(words.shape[1]) if position is None else torch.tensor([position])
        angles = positions.to(words.device).unsqueeze(1) * _rates(width, words.device)
        # Sines fill the first half, cosines the second: they do not alternate.
        encodings = torch.cat([angles.sin(), angles.cos()], dim=-1)
        return self.dropout(self.word_embedding(words) * math.sqrt(width) + encodings)

    def word_mask(self, words: Int[Tensor, "B T"]) -> Bool[Tensor, "B T T"]:
        """Return the words that each word may attend to: itself and those before it, without padding."""
        present = words != self.padding
        # The first is BOS, which has the id of padding in the published vocabulary.
        present[:, 0] = True
        length = words.shape[1]
        before = torch.ones(length, length, dtype=torch.bool, device=words.device).tril()
        # A padded place looks at itself as well, so that its scores are numbers.
        own = torch.eye(length, dtype=torch.bool, device=words.device)
        return (present.unsqueeze(1) & before) | own

    def start_decoding(self, encoded: RatchetStudies, *, num_beams: int, max_words: int) -> "RatchetDecoding":
        """Return empty caches for every beam of every study."""
        return RatchetDecoding(self, encoded, num_beams=num_beams, max_words=max_words)

    def reread(self, encoded: RatchetStudies, words: Int[Tensor, "B length"]) -> WordReading:
        """Return the probability of each word, and the attention that it was predicted with."""
        inputs = words[:, :-1]
        decoded, attention = self.decode(encoded, self.place(inputs), self.word_mask(inputs), with_attention=True)
        assert attention is not None, "attention was asked for"
        log_probabilities = full_precision(self.word_output(decoded)).log_softmax(-1)
        return WordReading(log_probabilities.gather(-1, words[:, 1:, None]).squeeze(-1), attention.float(), None)

    def _layers(self) -> list[RatchetLayer]:
        return [layer for layer in self.layers if isinstance(layer, RatchetLayer)]


class RatchetDecoding:
    """The beams of all studies: they share the keys and values of the regions and a cache of all their words.

    A mask says of which words each beam consists; when beams are reordered, only the mask moves.
    """

    def __init__(self, model: Ratchet, encoded: RatchetStudies, *, num_beams: int, max_words: int) -> None:
        """Reserve caches for `max_words` words of each beam."""
        self._model = model
        self._encoded = encoded
        self._position = 0
        size = max_words * num_beams
        self._caches = [WordCache(regions.keys, size) for regions in encoded.regions]
        self._own = torch.zeros((len(encoded.mask), num_beams, size), dtype=torch.bool, device=encoded.mask.device)

    def step(
        self, words: Int[Tensor, "B N"], origin: Int[Tensor, "B N"] | None = None
    ) -> Float[Tensor, "B N vocabulary"]:
        """Take each beam's newest word and the beam it continues; return log-probabilities of the next word."""
        num_beams = words.shape[1]
        start = self._position * num_beams
        if origin is not None:
            self._own = self._own.gather(1, origin.unsqueeze(-1).expand_as(self._own))
        self._own[:, :, start : start + num_beams] = torch.eye(num_beams, dtype=torch.bool, device=words.device)
        placed = self._model.place(words, self._position)
        decoded, _ = self._model.decode(self._encoded, placed, self._own[:, :, : start + num_beams], self._caches)
        self._position += 1
        return full_precision(self._model.word_output(decoded)).log_softmax(-1)

    def keep(self, studies: Int[Tensor, "kept"]) -> None:
        """Continue with these studies only."""
        regions = [KeysValues(keys[studies], values[studies]) for keys, values in self._encoded.regions]
        self._encoded = RatchetStudies(regions, self._encoded.mask[studies])
        for cache in self._caches:
            cache.keep(studies)
        self._own = self._own[studies]


def _rates(width: int, device: torch.device) -> Float[Tensor, "half"]:
    even = torch.arange(0, width, 2, device=device, dtype=torch.float32)
    return torch.exp(even * -(math.log(10000.0) / width))
