"""Word-by-word decoding with caches: what was computed for earlier words and for the images is never repeated.

Shape legend: B studies still being decoded, N beams of each, C places in the word cache, H heads, D width of a head.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from xpronet.model.attention import KeysValues
from xpronet.model.network import Encoded, XProNet
from xpronet.precision import full_precision


class Decoding:
    """The state of several beams for each of several studies.

    The beams of a study are queries of one attention, so the keys and values of its regions exist once, not once for
    each beam. The words of all its beams share a cache as well: a mask says which of them each beam consists of, and
    when beams are reordered, only this mask moves.
    """

    def __init__(self, network: XProNet, encoded: Encoded, *, num_beams: int, max_steps: int) -> None:
        """Reserve caches for `max_steps` words of each beam."""
        self._network = network
        self._encoded = encoded
        self._position = 0
        self._num_beams = num_beams
        keys = encoded.regions[0].keys
        size = max_steps * num_beams
        self._caches = [WordCache(layer.keys, size) for layer in encoded.regions]
        # Which words of the cache each beam consists of.
        self._own = torch.zeros((keys.shape[0], num_beams, size), dtype=torch.bool, device=keys.device)

    def step(
        self, words: Int[Tensor, "B N"], origin: Int[Tensor, "B N"] | None = None
    ) -> Float[Tensor, "B N vocabulary"]:
        """Take the newest word of every beam and return the log-probabilities of the next.

        Args:
            words: ids.
            origin: the beam of the same study that each beam continues; None where each continues itself.
        """
        start = self._position * self._num_beams
        stop = start + self._num_beams
        if origin is not None:
            self._own = self._own.gather(1, origin.unsqueeze(-1).expand_as(self._own))
        self._own[:, :, start:stop] = torch.eye(self._num_beams, dtype=torch.bool, device=words.device)
        position = torch.tensor([self._position], device=words.device)
        embedded, _ = self._network.embed(words, self._encoded, position)
        decoded = self._network.decoder(
            embedded,
            self._own[:, :, :stop],
            self._encoded.regions,
            self._encoded.region_mask,
            caches=self._caches,
        )
        self._position += 1
        return full_precision(self._network.word_output(decoded.words)).log_softmax(-1)

    def keep(self, studies: Int[Tensor, "kept"]) -> None:
        """Continue with these studies only."""
        encoded = self._encoded
        self._encoded = encoded._replace(
            regions=[KeysValues(keys[studies], values[studies]) for keys, values in encoded.regions],
            region_mask=encoded.region_mask[studies],
            visible=encoded.visible[studies],
            responses=None,
        )
        for cache in self._caches:
            cache.keep(studies)
        self._own = self._own[studies]


class WordCache:
    """Keys and values of one layer's words, in memory that is reserved once."""

    def __init__(self, like: Float[Tensor, "B H S D"], size: int) -> None:
        """Reserve `size` places for tensors of the same batch, heads, width, type and device."""
        shape = (*like.shape[:2], size, like.shape[3])
        self._keys, self._values = like.new_zeros(shape), like.new_zeros(shape)
        self._length = 0

    def extend(self, newest: KeysValues) -> KeysValues:
        """Append the newest words and return the keys and values of all words so far."""
        stop = self._length + newest.keys.shape[2]
        self._keys[:, :, self._length : stop] = newest.keys
        self._values[:, :, self._length : stop] = newest.values
        self._length = stop
        return KeysValues(self._keys[:, :, :stop], self._values[:, :, :stop])

    def keep(self, studies: Int[Tensor, "kept"]) -> None:
        """Continue with these studies only."""
        self._keys, self._values = self._keys[studies], self._values[studies]
