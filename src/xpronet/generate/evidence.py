"""Where each written word came from: regions it looked at, prototypes that answered it."""

import math

import numpy as np
import torch
from torch import Tensor

from xpronet.data.vocabulary import Vocabulary
from xpronet.generate.beam import Found
from xpronet.generate.report import PrototypeUse, WordEvidence
from xpronet.model.network import Encoded, XProNet

PROTOTYPES_SHOWN = 10
"""Prototypes listed for a word (the paper's figure 1 shows ten)."""


def explain_words(
    network: XProNet,
    encoded: Encoded,
    found: list[Found],
    *,
    vocabulary: Vocabulary,
    findings: tuple[str, ...],
    num_views: int,
) -> list[tuple[WordEvidence, ...]]:
    """Read the written reports once more and note what every word was drawn from.

    Args:
        network: in evaluation mode.
        encoded: the studies.
        found: their reports.
        vocabulary: names the words.
        findings: names the prototypes.
        num_views: views in the batch; regions are shared out evenly among them.

    Returns:
        The evidence for each word of each study.
    """
    length = max(len(report.words) for report in found)
    if length == 0:
        return [() for _ in found]
    words = torch.full((len(found), length + 1), vocabulary.padding, device=encoded.region_mask.device)
    words[:, 0] = vocabulary.begin
    for row, report in enumerate(found):
        words[row, 1 : len(report.words) + 1] = torch.tensor(report.words, dtype=torch.long)
    embedded, _ = network.embed(words[:, :-1], encoded)
    decoded = network.decoder(
        embedded, network.word_mask(words[:, :-1]), encoded.regions, encoded.region_mask, with_attention=True
    )
    assert decoded.attention is not None
    log_probabilities = network.word_output(decoded.words).float().log_softmax(-1)
    chosen = log_probabilities.gather(-1, words[:, 1:, None]).squeeze(-1)
    attention = _by_view(decoded.attention, num_views)
    shares = _shares(network, encoded, words[:, 1:])
    return [
        tuple(
            WordEvidence(
                text=text,
                log_probability=float(chosen[row, place]),
                attention=attention[row, place],
                prototypes=_strongest(shares[row, place], findings, network) if shares is not None else (),
            )
            for place, text in enumerate(vocabulary.word_list(report.words))
        )
        for row, report in enumerate(found)
    ]


def _by_view(attention: Tensor, num_views: int) -> np.ndarray:
    """Lay attention on the regions of each view out as its grid: (B, T, V, rows, columns)."""
    regions = attention.shape[-1] // num_views
    side = math.isqrt(regions)
    assert side * side == regions, "views are square"
    grid: np.ndarray = attention.float().reshape(*attention.shape[:2], num_views, side, side).cpu().numpy()
    return grid


def _shares(network: XProNet, encoded: Encoded, words: Tensor) -> np.ndarray | None:
    """Return each prototype's share in the response to each written word, averaged over heads: (B, T, P).

    A word is asked about where it stands as input to the next: one position after the one it was predicted at.
    """
    if network.matching is None or encoded.bank is None:
        return None
    queries = network.place(words, start=1)
    shares: np.ndarray = network.matching.weights(queries, encoded.bank, encoded.visible).mean(1).cpu().numpy()
    return shares


def _strongest(shares: np.ndarray, findings: tuple[str, ...], network: XProNet) -> tuple[PrototypeUse, ...]:
    per_finding = network.settings.per_finding
    by_finding = network.settings.visible == "findings"
    uses = []
    for row in np.argsort(-shares, kind="stable")[:PROTOTYPES_SHOWN]:
        if shares[row] <= 0:
            break
        name, index = (findings[row // per_finding], row % per_finding) if by_finding else ("", row)
        uses.append(PrototypeUse(finding=name, index=int(index), weight=float(shares[row])))
    return tuple(uses)
