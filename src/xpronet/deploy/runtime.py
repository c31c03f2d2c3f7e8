"""A writer's network as graphs that an engine computes: the same search writes with it as with PyTorch's.

Shape legend: B studies, V views, S regions of a study, K findings, P prototypes, N beams, T words.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from xpronet.deploy.engines import Engine
from xpronet.deploy.folder import Exported
from xpronet.generate.beam import NextWord
from xpronet.generate.evidence import Reading
from xpronet.generate.runtime import Seen, pool_views


class Regions(NamedTuple):
    """What the pictures look like to the graphs."""

    features: Float[np.ndarray, "B S channels"]
    mask: Bool[np.ndarray, "B S"]


class ExportedRuntime:
    """A network as graphs."""

    def __init__(self, exported: Exported, engine: Engine) -> None:
        """Join a folder and the engine that computes its graphs."""
        self.device = torch.device("cpu")
        self.predicts_findings = exported.predicts_findings
        self._exported = exported
        self._engine = engine
        kinds = [f"{kind}_{layer + 1}" for layer in range(exported.layers) for kind in ("keys", "values")]
        self._region_names = [f"region_{kind}" for kind in kinds]
        self._word_names = [f"word_{kind}" for kind in kinds]

    def look(self, images: UInt8[Tensor, "B V height width"], view_mask: Bool[Tensor, "B V"]) -> Seen:
        """Look at the pictures."""
        features, mask, *probabilities = self._engine.run(
            "look", {"images": images.numpy(), "view_mask": view_mask.numpy()}
        )
        return Seen(
            Regions(features, mask),
            torch.from_numpy(probabilities[0]) if probabilities else None,
            pool_views(torch.from_numpy(features), images.shape[1]),
        )

    def encode(self, patches: Regions, findings: Bool[Tensor, "B K"]) -> dict[str, np.ndarray]:
        """Return what the words are written about, with the prototypes of these findings visible."""
        visible, *regions = self._engine.run(
            "encode", {"features": patches.features, "mask": patches.mask, "findings": findings.numpy()}
        )
        return {"mask": patches.mask, "visible": visible, **dict(zip(self._region_names, regions, strict=True))}

    def begin(self, encoded: dict[str, np.ndarray], *, num_beams: int, max_words: int) -> NextWord:
        """Begin reports; caches grow with the words, so that `max_words` need not be known."""
        rows = len(encoded["mask"]) * num_beams
        empty = np.zeros((rows, self._exported.heads, 0, self._exported.head_width), np.float32)
        return ExportedDecoding(self._engine, encoded, dict.fromkeys(self._word_names, empty))

    def explain(self, encoded: dict[str, np.ndarray], words: Int[Tensor, "B T"]) -> Reading:
        """Read written reports once more; `words` are ids from the begin mark on."""
        outputs = self._engine.run("explain", {"words": words.numpy(), **encoded})
        chosen, attention, *shares = (torch.from_numpy(output) for output in outputs)
        return Reading(chosen, attention, shares[0] if shares else None)


class ExportedDecoding:
    """The state of several beams for each of several studies, as arrays that go into the graph and come out longer."""

    def __init__(self, engine: Engine, encoded: dict[str, np.ndarray], written: dict[str, np.ndarray]) -> None:
        """Begin.

        Args:
            engine: computes the step.
            encoded: the studies.
            written: keys and values of the words so far, (B·N, heads, T, head width) each.
        """
        self._engine = engine
        self._encoded = encoded
        self._written = written

    def step(
        self, words: Int[Tensor, "B N"], origin: Int[Tensor, "B N"] | None = None
    ) -> Float[Tensor, "B N vocabulary"]:
        """Take the newest word of every beam and the beam it continues; return log-probabilities of the next."""
        if origin is None:
            origin = torch.arange(words.shape[1]).expand_as(words)
        inputs = {"words": words.numpy(), "origin": origin.contiguous().numpy()}
        log_probabilities, *written = self._engine.run("step", {**inputs, **self._encoded, **self._written})
        self._written = dict(zip(self._written, written, strict=True))
        return torch.from_numpy(log_probabilities)

    def keep(self, studies: Int[Tensor, "kept"]) -> None:
        """Go on with these studies only."""
        kept = studies.numpy()
        num_studies = len(self._encoded["mask"])
        self._encoded = {name: array[kept] for name, array in self._encoded.items()}
        for name, rows in self._written.items():
            beams = rows.reshape(num_studies, -1, *rows.shape[1:])[kept]
            self._written[name] = beams.reshape(-1, *rows.shape[1:])
