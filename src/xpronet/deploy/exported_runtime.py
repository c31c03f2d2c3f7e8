"""A runtime that computes the network with exported graphs; the search is the same as with PyTorch.

Shape legend: B studies, V views, S regions of a study, K findings, P prototypes, N beams, T words.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from xpronet.deploy.engines import Engine
from xpronet.deploy.exported_folder import Exported
from xpronet.generation.runtime import EncodedImages, pool_views
from xpronet.model.report_model import NextWord, WordReading


class Regions(NamedTuple):
    """Features of the images, as arrays for the graphs."""

    features: Float[np.ndarray, "B S channels"]
    mask: Bool[np.ndarray, "B S"]


class ExportedRuntime:
    """A network that is computed with exported graphs."""

    def __init__(self, exported: Exported, engine: Engine) -> None:
        """Combine an exported folder and the engine that runs its graphs."""
        self.device = torch.device("cpu")
        self.predicts_findings = exported.predicts_findings
        self._exported = exported
        self._engine = engine
        kinds = [f"{kind}_{layer + 1}" for layer in range(exported.layers) for kind in ("keys", "values")]
        self._region_names = [f"region_{kind}" for kind in kinds]
        self._word_names = [f"word_{kind}" for kind in kinds]

    def encode_images(self, images: UInt8[Tensor, "B V height width"], view_mask: Bool[Tensor, "B V"]) -> EncodedImages:
        """Return the features of the images and the probabilities of the findings."""
        features, mask, *probabilities = self._engine.run(
            "look", {"images": images.numpy(), "view_mask": view_mask.numpy()}
        )
        return EncodedImages(
            Regions(features, mask),
            torch.from_numpy(probabilities[0]) if probabilities else None,
            pool_views(torch.from_numpy(features), images.shape[1]),
        )

    def finding_regions(self, patches: Regions) -> Float[Tensor, "B S K"]:
        """Return the contribution of each region to each finding's logit."""
        [shares] = self._engine.run("locate", {"features": patches.features, "mask": patches.mask})
        return torch.from_numpy(shares)

    def encode(self, patches: Regions, findings: Bool[Tensor, "B K"]) -> dict[str, np.ndarray]:
        """Encode the regions, with the prototypes of these findings visible."""
        visible, *regions = self._engine.run(
            "encode", {"features": patches.features, "mask": patches.mask, "findings": findings.numpy()}
        )
        return {"mask": patches.mask, "visible": visible, **dict(zip(self._region_names, regions, strict=True))}

    def begin(self, encoded: dict[str, np.ndarray], *, num_beams: int, max_words: int) -> NextWord:
        """Start decoding."""
        cache = WordCache(
            self._word_names,
            studies=len(encoded["mask"]),
            beams=num_beams,
            heads=self._exported.heads,
            head_width=self._exported.head_width,
        )
        return ExportedDecoding(self._engine, encoded, cache)

    def word_evidence(self, encoded: dict[str, np.ndarray], words: Int[Tensor, "B T"]) -> WordReading:
        """Return the evidence for the words of finished reports; `words` are ids from BOS on."""
        outputs = self._engine.run("explain", {"words": words.numpy(), **encoded})
        chosen, attention, *shares = (torch.from_numpy(output) for output in outputs)
        return WordReading(chosen, attention, shares[0] if shares else None)


WORDS_AT_A_TIME = 16
"""Words by which a cache grows, because an engine optimises again for every new shape."""


class WordCache:
    """Keys and values of the words of all beams of each study, in one cache for each layer.

    A mask says which of the words each beam consists of. When beams are reordered, only this mask moves; the words are
    copied only when the cache grows.
    """

    def __init__(self, names: list[str], *, studies: int, beams: int, heads: int, head_width: int) -> None:
        """Make an empty cache.

        Args:
            names: of each layer's keys and values, as in the graph.
            studies: B.
            beams: N.
            heads: H.
            head_width: D.
        """
        self._beams = beams
        self.position = 0
        self.own = np.zeros((studies, beams, 0), bool)
        self.arrays = {
            name: np.zeros((studies, heads, *((head_width, 0) if _are_keys(name) else (0, head_width))), np.float32)
            for name in names
        }
        self._grow()

    def follow(self, origin: Int[np.ndarray, "B N"]) -> None:
        """Reorder the beams: each continues the beam of the same study that `origin` names."""
        self.own = np.take_along_axis(self.own, origin[:, :, None], axis=1)

    def add(self, newest: list[np.ndarray]) -> None:
        """Append the keys and values of the newest words, (B, H, N, D) each."""
        places = slice(self.position * self._beams, (self.position + 1) * self._beams)
        for (name, array), new in zip(self.arrays.items(), newest, strict=True):
            if _are_keys(name):
                array[..., places] = new.swapaxes(-2, -1)
            else:
                array[..., places, :] = new
        self.own[:, :, places] = np.eye(self._beams, dtype=bool)
        self.position += 1
        if self.position * self._beams == self.own.shape[-1]:
            self._grow()

    def keep(self, studies: Int[np.ndarray, " kept"]) -> None:
        """Continue with these studies only."""
        self.own = self.own[studies]
        self.arrays = {name: array[studies] for name, array in self.arrays.items()}

    def _grow(self) -> None:
        more = WORDS_AT_A_TIME * self._beams
        self.own = np.pad(self.own, ((0, 0), (0, 0), (0, more)))
        for name, array in self.arrays.items():
            room = ((0, 0), (0, more)) if _are_keys(name) else ((0, more), (0, 0))
            self.arrays[name] = np.pad(array, ((0, 0), (0, 0), *room))


def _are_keys(name: str) -> bool:
    return "_keys_" in name


class ExportedDecoding:
    """The state of several beams for each of several studies."""

    def __init__(self, engine: Engine, encoded: dict[str, np.ndarray], cache: WordCache) -> None:
        """Start decoding.

        Args:
            engine: runs the step graph.
            encoded: the studies.
            cache: of the words, empty.
        """
        self._engine = engine
        self._encoded = encoded
        self._cache = cache

    def step(
        self, words: Int[Tensor, "B N"], origin: Int[Tensor, "B N"] | None = None
    ) -> Float[Tensor, "B N vocabulary"]:
        """Take the newest word of every beam and the beam it continues; return log-probabilities of the next word."""
        cache = self._cache
        if origin is not None:
            cache.follow(origin.numpy())
        inputs = {"words": words.numpy(), "position": np.array([cache.position]), "own": cache.own}
        log_probabilities, *newest = self._engine.run("step", {**inputs, **self._encoded, **cache.arrays})
        cache.add(newest)
        return torch.from_numpy(log_probabilities)

    def keep(self, studies: Int[Tensor, "kept"]) -> None:
        """Continue with these studies only."""
        kept = studies.numpy()
        self._encoded = {name: array[kept] for name, array in self._encoded.items()}
        self._cache.keep(kept)
