"""Word-by-word decoding with caches: what was computed for earlier words and for the images is never repeated.

Shape legend: B studies still being written, N beams of each, T longest report, H heads, D width of a head.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from xpronet.model.attention import KeysValues, attend, join_heads, split_heads
from xpronet.model.linear import apply_linear
from xpronet.model.network import Encoded, XProNet
from xpronet.model.precision import full_precision
from xpronet.model.transformer import DecoderLayer


class Decoding:
    """The state of several beams for each of several studies.

    Beams of a study are laid beside each other as queries of one attention, so that keys and values of its regions
    exist once, not once a beam. The words of all its beams share a cache, too: each beam sees those that it is made
    of, and when beams change places, only this knowledge moves.
    """

    def __init__(self, network: XProNet, encoded: Encoded, *, num_beams: int, max_steps: int) -> None:
        """Reserve the caches for `max_steps` words."""
        self._network = network
        self._encoded = encoded
        self._position = 0
        self._num_beams = num_beams
        settings = network.settings
        keys = encoded.regions[0].keys
        shape = (keys.shape[0], settings.heads, max_steps * num_beams, settings.width // settings.heads)
        self._words = [KeysValues(keys.new_zeros(shape), keys.new_zeros(shape)) for _ in encoded.regions]
        # Which words of the cache each beam is made of.
        self._own = torch.zeros((keys.shape[0], num_beams, max_steps * num_beams), dtype=torch.bool, device=keys.device)
        self._projections = [_Projection(layer) for layer in network.decoder.each_layer()]

    def step(
        self, words: Int[Tensor, "B N"], origin: Int[Tensor, "B N"] | None = None
    ) -> Float[Tensor, "B N vocabulary"]:
        """Take the newest word of every beam and return the log-probabilities of the next.

        Args:
            words: ids.
            origin: the beam of the same study that each beam continues; None where each continues itself.
        """
        newest = slice(self._position * self._num_beams, (self._position + 1) * self._num_beams)
        if origin is not None:
            self._own = self._own.gather(1, origin.unsqueeze(-1).expand_as(self._own))
        self._own[:, :, newest] = torch.eye(self._num_beams, dtype=torch.bool, device=words.device)
        position = torch.tensor([self._position], device=words.device)
        features, _ = self._network.embed(words, self._encoded, position)
        mask = self._encoded.region_mask.unsqueeze(1)
        for layer, projection, cache, regions in zip(
            self._network.decoder.each_layer(), self._projections, self._words, self._encoded.regions, strict=True
        ):
            features = features + self._attend_to_words(layer, projection, features, cache, newest)
            features = layer.after_self(features, regions, mask)
        self._position += 1
        logits = self._network.word_output(self._network.decoder.norm(features))
        return full_precision(logits).log_softmax(-1)

    def keep(self, studies: Int[Tensor, "kept"]) -> None:
        """Go on with these studies only."""
        encoded = self._encoded
        self._encoded = encoded._replace(
            regions=[KeysValues(keys[studies], values[studies]) for keys, values in encoded.regions],
            region_mask=encoded.region_mask[studies],
            visible=encoded.visible[studies],
            responses=None,
        )
        self._words = [KeysValues(keys[studies], values[studies]) for keys, values in self._words]
        self._own = self._own[studies]

    def _attend_to_words(
        self,
        layer: DecoderLayer,
        projection: "_Projection",
        features: Float[Tensor, "B N width"],
        cache: KeysValues,
        newest: slice,
    ) -> Float[Tensor, "B N width"]:
        attention = layer.self_attention
        queries, keys, values = (
            split_heads(part, attention.heads) for part in projection(layer.self_norm(features)).chunk(3, dim=-1)
        )
        cache.keys[:, :, newest] = keys
        cache.values[:, :, newest] = values
        written = KeysValues(cache.keys[:, :, : newest.stop], cache.values[:, :, : newest.stop])
        mixed = attend(queries, written, self._own[:, None, :, : newest.stop])
        return attention.output(join_heads(mixed))


class _Projection:
    """Queries, keys and values of a layer's words in one product: a step has so few rows that calls count."""

    def __init__(self, layer: DecoderLayer) -> None:
        parts = (layer.self_attention.query, layer.self_attention.key, layer.self_attention.value)
        self._weight = torch.cat([part.weight for part in parts])
        self._bias = torch.cat([part.bias for part in parts])

    def __call__(self, features: Float[Tensor, "B N width"]) -> Float[Tensor, "B N three_widths"]:
        return apply_linear(features, self._weight, self._bias)
