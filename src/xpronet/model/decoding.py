"""Word-by-word decoding with caches: what was computed for earlier words and for the pictures is never repeated.

Shape legend: B studies still being written, N beams of each, T longest report, H heads, D width of a head.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from xpronet.model.attention import KeysValues, join_heads, split_heads
from xpronet.model.network import Encoded, XProNet
from xpronet.model.transformer import DecoderLayer


class Decoding:
    """The state of several beams for each of several studies.

    Beams of a study are laid beside each other as queries of one attention, so that keys and values of its regions
    exist once, not once a beam; only the cache of earlier words has a row for each beam.
    """

    def __init__(self, network: XProNet, encoded: Encoded, *, num_beams: int, max_steps: int) -> None:
        """Reserve the caches for `max_steps` words."""
        self._network = network
        self._encoded = encoded
        self._position = 0
        settings = network.settings
        keys = encoded.regions[0].keys
        shape = (keys.shape[0], num_beams, settings.heads, max_steps, settings.width // settings.heads)
        self._words = [KeysValues(keys.new_zeros(shape), keys.new_zeros(shape)) for _ in encoded.regions]

    def step(
        self, words: Int[Tensor, "B N"], origin: Int[Tensor, "B N"] | None = None
    ) -> Float[Tensor, "B N vocabulary"]:
        """Take the newest word of every beam and return the log-probabilities of the next.

        Args:
            words: ids.
            origin: the beam of the same study that each beam continues; None where each continues itself.
        """
        if origin is not None:
            self._reorder(origin)
        features, _ = self._network.embed(words, self._encoded, position=self._position)
        mask = self._encoded.region_mask.unsqueeze(1)
        for layer, cache, regions in zip(
            self._network.decoder.each_layer(), self._words, self._encoded.regions, strict=True
        ):
            features = features + self._attend_to_words(layer, features, cache)
            features = layer.after_self(features, regions, mask)
        self._position += 1
        logits = self._network.word_output(self._network.decoder.norm(features))
        return logits.float().log_softmax(-1)

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

    def _reorder(self, origin: Int[Tensor, "B N"]) -> None:
        study = torch.arange(origin.shape[0], device=origin.device).unsqueeze(1)
        for cache in self._words:
            for tensor in cache:
                # Only the filled part moves.
                tensor[..., : self._position, :] = tensor[study, origin, :, : self._position]

    def _attend_to_words(
        self, layer: DecoderLayer, features: Float[Tensor, "B N width"], cache: KeysValues
    ) -> Float[Tensor, "B N width"]:
        attention = layer.self_attention
        normed = layer.self_norm(features).unsqueeze(2)
        newest = self._position
        cache.keys[..., newest : newest + 1, :] = split_heads(attention.key(normed), attention.heads)
        cache.values[..., newest : newest + 1, :] = split_heads(attention.value(normed), attention.heads)
        mixed = functional.scaled_dot_product_attention(
            split_heads(attention.query(normed), attention.heads),
            cache.keys[..., : newest + 1, :],
            cache.values[..., : newest + 1, :],
        )
        return attention.output(join_heads(mixed)).squeeze(2)
