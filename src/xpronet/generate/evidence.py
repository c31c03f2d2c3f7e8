"""Where each written word came from: regions it looked at, prototypes that answered it.

Shape legend: B studies, T words, S regions of all views, P prototypes.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from xpronet.data.vocabulary import Vocabulary
from xpronet.generate.beam import Found
from xpronet.generate.report import PrototypeUse, WordEvidence
from xpronet.model.network import Encoded, XProNet
from xpronet.model.precision import full_precision

PROTOTYPES_SHOWN = 10
"""Prototypes listed for a word (the paper's figure 1 shows ten)."""


class Reading(NamedTuple):
    """What reading a written report once more tells of every word."""

    log_probabilities: Float[Tensor, "B T"]
    """Of each word, given those before it."""
    attention: Float[Tensor, "B T S"]
    """Cross-attention on the regions, averaged over layers and heads."""
    shares: Float[Tensor, "B T P"] | None
    """Each prototype's share in the response to each word, averaged over heads; None without a prototype network."""


def read_again(network: XProNet, encoded: Encoded, words: Int[Tensor, "B length"]) -> Reading:
    """Read written reports once more, all words at once.

    A word is asked which prototypes answer it where it stands as input to the next: one position after the one it
    was predicted at.

    Args:
        network: in evaluation mode.
        encoded: the studies.
        words: ids, one more than T: from the begin mark on.
    """
    embedded, _ = network.embed(words[:, :-1], encoded)
    decoded = network.decoder(
        embedded, network.word_mask(words[:, :-1]), encoded.regions, encoded.region_mask, with_attention=True
    )
    assert decoded.attention is not None, "attention was asked for"
    log_probabilities = full_precision(network.word_output(decoded.words)).log_softmax(-1)
    chosen = log_probabilities.gather(-1, words[:, 1:, None]).squeeze(-1)
    shares = None
    if network.matching is not None and encoded.bank is not None:
        queries = network.place(words[:, 1:], torch.arange(1, words.shape[1], device=words.device))
        shares = network.matching.weights(queries, encoded.bank, encoded.visible).mean(1)
    return Reading(chosen, decoded.attention.mean((0, 2)).float(), shares)


def written_words(found: list[Found], vocabulary: Vocabulary) -> Int[Tensor, "B length"]:
    """Return the reports that a search found as ids from the begin mark on, padded to the longest."""
    words = torch.full((len(found), 1 + max(len(report.words) for report in found)), vocabulary.padding)
    words[:, 0] = vocabulary.begin
    for row, report in enumerate(found):
        words[row, 1 : len(report.words) + 1] = torch.tensor(report.words, dtype=torch.long)
    return words


def explain_words(
    reading: Reading,
    found: list[Found],
    *,
    vocabulary: Vocabulary,
    findings: tuple[str, ...],
    per_finding: int | None,
    num_views: int,
) -> list[tuple[WordEvidence, ...]]:
    """Note what every word was drawn from.

    Args:
        reading: of the reports.
        found: the reports.
        vocabulary: names the words.
        findings: names the prototypes.
        per_finding: prototypes of each finding; None where prototypes belong to no finding.
        num_views: views in the batch; regions are shared out evenly among them.

    Returns:
        The evidence for each word of each study.
    """
    attention = by_view(reading.attention, num_views)
    log_probabilities = reading.log_probabilities.tolist()
    # All words at once: one at a time it took as long as a third of the search.
    strongest = _strongest(reading.shares.cpu().numpy()) if reading.shares is not None else None
    return [
        tuple(
            WordEvidence(
                text=text,
                log_probability=log_probabilities[row][place],
                attention=attention[row, place],
                prototypes=_named(strongest[row][place], findings, per_finding) if strongest is not None else (),
            )
            for place, text in enumerate(vocabulary.word_list(report.words))
        )
        for row, report in enumerate(found)
    ]


def by_view(attention: Float[Tensor, "B items S"], num_views: int) -> Float[np.ndarray, "B items V rows columns"]:
    """Lay what belongs to the regions of each view out as its grid."""
    regions = attention.shape[-1] // num_views
    side = math.isqrt(regions)
    assert side * side == regions, "views are square"
    grid: np.ndarray = attention.float().reshape(*attention.shape[:2], num_views, side, side).cpu().numpy()
    return grid


def _strongest(shares: Float[np.ndarray, "B T P"]) -> list[list[list[tuple[int, float]]]]:
    """Return, for each word of each study, the prototypes with the largest shares, strongest first."""
    order = np.argsort(-shares, axis=-1, kind="stable")[..., :PROTOTYPES_SHOWN]
    largest = np.take_along_axis(shares, order, -1)
    return [
        [list(zip(*word, strict=True)) for word in zip(*study, strict=True)]
        for study in zip(order.tolist(), largest.tolist(), strict=True)
    ]


def _named(
    uses: Sequence[tuple[int, float]], findings: tuple[str, ...], per_finding: int | None
) -> tuple[PrototypeUse, ...]:
    """Name the prototypes that have a share at all."""
    return tuple(
        PrototypeUse(
            finding=findings[row // per_finding] if per_finding else "",
            index=row % per_finding if per_finding else row,
            weight=weight,
        )
        for row, weight in uses
        if weight > 0
    )
