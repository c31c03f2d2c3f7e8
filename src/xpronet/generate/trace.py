"""How picture and text meet at each written word: the region it looked at most, and what answered both of them.

Shape legend: B studies (one here), V views, S regions of all views, T words, P prototypes, H heads, L layers.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from xpronet.errors import InputError
from xpronet.generate.report import Report
from xpronet.model.checkpoint import Checkpoint
from xpronet.model.fast_cpu import fast_copy

CHOSEN = 10
"""Prototypes compared between a word and its region (the paper's figure 1 shows ten)."""


@dataclass(frozen=True, kw_only=True)
class WordTrace:
    """One word, where it looked, and which prototypes answered it and that place."""

    text: str
    """The word."""
    probability: float
    """Given the words before it."""
    attention: Float[np.ndarray, "views rows columns"]
    """Cross-attention on the regions, averaged over the layers and heads asked for; sums to 1 over all views."""
    word_shares: Float[np.ndarray, " prototypes"] | None
    """Each prototype's share in the response to the word, averaged over heads; None without prototypes."""
    region_shares: Float[np.ndarray, " prototypes"] | None
    """Each prototype's share in the response to the region that the word looked at most."""
    visible: int
    """Prototypes that the study could query."""

    @property
    def region(self) -> tuple[int, int, int]:
        """Return view, row and column of the region with the most attention."""
        view, row, column = np.unravel_index(int(self.attention.argmax()), self.attention.shape)
        return int(view), int(row), int(column)

    def chosen_by_word(self) -> tuple[int, ...]:
        """Return the rows of the prototypes with the largest shares in the word's response, largest first."""
        return _largest(self.word_shares)

    def chosen_by_region(self) -> tuple[int, ...]:
        """Return the rows of the prototypes with the largest shares in the region's response, largest first."""
        return _largest(self.region_shares)

    def overlap(self) -> int:
        """Return how many prototypes both chose."""
        return len(set(self.chosen_by_word()) & set(self.chosen_by_region()))

    def overlap_by_chance(self) -> float:
        """Return how many both would choose on average, chose each of them at random among the visible ones."""
        return len(self.chosen_by_word()) * len(self.chosen_by_region()) / max(1, self.visible)


def trace_words(
    checkpoint: Checkpoint,
    report: Report,
    images: UInt8[Tensor, "1 views height width"],
    present: Bool[np.ndarray, " findings"],
    *,
    device: torch.device,
    layer: int | None = None,
    head: int | None = None,
) -> tuple[WordTrace, ...]:
    """Read a written report once more and note how each word met the picture.

    Attention is taken where the word was chosen: at the word before it. Prototypes are taken where the word stands as
    input (paper, eq. 10 to 13), as in `WordEvidence`.

    Args:
        checkpoint: the model that wrote it.
        report: with evidence, whose words are read.
        images: the study's views as the network saw them, all of them real.
        present: the findings whose prototypes were visible.
        device: where to compute.
        layer: the decoder layer whose attention is shown, from 1; by default the mean of all.
        head: the head whose attention is shown, from 1; by default the mean of all.

    Raises:
        InputError: there is no such layer or head.
    """
    network = fast_copy(checkpoint.network.to(device)).eval()
    for name, number, most in (("layer", layer, network.settings.layers), ("head", head, network.settings.heads)):
        if number is not None and not 1 <= number <= most:
            raise InputError(f"--{name} {number}: the model has {name}s 1 to {most}")
    if not report.words:
        return ()
    ids = checkpoint.vocabulary.ids_of([word.text for word in report.words])
    words = torch.tensor([[checkpoint.vocabulary.begin, *ids]], device=device)
    num_views = images.shape[1]
    with torch.inference_mode():
        patches = network.look(images.to(device), torch.ones(1, num_views, dtype=torch.bool, device=device))
        encoded = network.encode(patches, torch.from_numpy(present).to(device)[None])
        embedded, _ = network.embed(words[:, :-1], encoded)
        mask = network.word_mask(words[:, :-1])
        decoded = network.decoder(embedded, mask, encoded.regions, encoded.region_mask, with_attention=True)
        assert decoded.attention is not None, "attention was asked for"
        weights_LHTS = decoded.attention[:, 0]
        if layer is not None:
            weights_LHTS = weights_LHTS[layer - 1 : layer]
        if head is not None:
            weights_LHTS = weights_LHTS[:, head - 1 : head]
        attention = weights_LHTS.mean((0, 1)).float().cpu().numpy()
        by_word = by_region = None
        if network.matching is not None and encoded.bank is not None:
            queries = (
                network.place(words[:, 1:], torch.arange(1, words.shape[1], device=words.device)),
                network.patch_embedding(patches.features),
            )
            by_word, by_region = (
                network.matching.weights(query, encoded.bank, encoded.visible)[0].mean(0).cpu().numpy()
                for query in queries
            )
    side = math.isqrt(attention.shape[1] // num_views)
    return tuple(
        WordTrace(
            text=word.text,
            probability=math.exp(word.log_probability),
            attention=attention[place].reshape(num_views, side, side),
            word_shares=None if by_word is None else by_word[place],
            region_shares=None if by_region is None else by_region[int(attention[place].argmax())],
            visible=int(encoded.visible.sum()),
        )
        for place, word in enumerate(report.words)
    )


def _largest(shares: Float[np.ndarray, " prototypes"] | None) -> tuple[int, ...]:
    if shares is None:
        return ()
    return tuple(int(row) for row in np.argsort(-shares, kind="stable")[:CHOSEN] if shares[row] > 0)
