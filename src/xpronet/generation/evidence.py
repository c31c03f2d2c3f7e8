"""Where each written word came from: regions it looked at, prototypes that answered it.

Shape legend: B studies, T words, S regions of all views, P prototypes.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from xpronet.errors import InputError
from xpronet.generation.beam import Hypothesis
from xpronet.generation.report import PrototypeUse, Report, WordEvidence
from xpronet.model.checkpoint import Checkpoint
from xpronet.model.fast_cpu import fast_copy
from xpronet.model.network import XProNet
from xpronet.model.report_model import WordReading
from xpronet.text.vocabulary import Vocabulary

PROTOTYPES_SHOWN = 10
"""Prototypes listed for a word (the paper's figure 1 shows ten)."""


def written_words(found: list[Hypothesis], vocabulary: Vocabulary) -> Int[Tensor, "B length"]:
    """Return the reports that a search found as ids from the BOS on, padded to the longest."""
    words = torch.full((len(found), 1 + max(len(report.words) for report in found)), vocabulary.padding)
    words[:, 0] = vocabulary.bos
    for row, report in enumerate(found):
        words[row, 1 : len(report.words) + 1] = torch.tensor(report.words, dtype=torch.long)
    return words


def explain_words(
    reading: WordReading,
    found: list[Hypothesis],
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
    language = reading.language.tolist() if reading.language is not None else None
    # All words at once: one at a time it took as long as a third of the search.
    strongest = _strongest(reading.shares.cpu().numpy()) if reading.shares is not None else None
    return [
        tuple(
            WordEvidence(
                text=text,
                log_probability=log_probability,
                attention=attention[row, place],
                prototypes=_named(strongest[row][place], findings, per_finding) if strongest is not None else (),
                language=language[row][place] if language is not None else None,
            )
            for place, text, log_probability in each_written(report.words, log_probabilities[row], vocabulary)
        )
        for row, report in enumerate(found)
    ]


def each_written(
    ids: Sequence[int], log_probabilities: Sequence[float], vocabulary: Vocabulary
) -> Iterator[tuple[int, str, float]]:
    """Yield place, text and log-probability of each word that is written by ids.

    The probability of a phrase is that of its first word: the others follow for certain. That of an id that is written
    as nothing goes to the word after it.
    """
    silent = 0.0
    for place, number in enumerate(ids):
        silent += log_probabilities[place]
        for text in vocabulary.spell(number):
            yield place, text, silent
            silent = 0.0


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
    language: float | None = None
    """Share of the word that came from what had been written; None of a model that does not tell."""

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
    """Read a written report of XProNet once more and note how each word met the image.

    Of any other report model, what it noted when it wrote is returned.

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
        InputError: there is no such layer or head, or the model does not note where its words come from.
    """
    if not isinstance(checkpoint.network, XProNet):
        return _stored_traces(report, checkpoint.network.settings.name, layer=layer, head=head)
    network = fast_copy(checkpoint.network.to(device)).eval()
    assert isinstance(network, XProNet), "a copy is of the same kind"
    for name, number, most in (("layer", layer, network.settings.layers), ("head", head, network.settings.heads)):
        if number is not None and not 1 <= number <= most:
            raise InputError(f"--{name} {number}: the model has {name}s 1 to {most}")
    if not report.words:
        return ()
    words = _words_of(report, checkpoint, device)
    num_views = images.shape[1]
    with torch.inference_mode():
        patches = network.encode_images(images.to(device), torch.ones(1, num_views, dtype=torch.bool, device=device))
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


def _stored_traces(report: Report, name: str, *, layer: int | None, head: int | None) -> tuple[WordTrace, ...]:
    """Do what `trace_words` does with any report model's own account of its words: the report has it already.

    It is not read again: of words that a phrase was spelled out to, nobody can tell the phrase.
    """
    for option, number in (("layer", layer), ("head", head)):
        if number is not None:
            raise InputError(f"--{option} {number}: {name} has no {option}s; leave --{option} out")
    if report.text and not report.words:
        raise InputError(f"{name}: does not note where its words come from")
    return tuple(
        WordTrace(
            text=word.text,
            probability=math.exp(word.log_probability),
            attention=word.attention,
            word_shares=None,
            region_shares=None,
            visible=0,
            language=word.language,
        )
        for word in report.words
    )


def _words_of(report: Report, checkpoint: Checkpoint, device: torch.device) -> Int[Tensor, "1 length"]:
    """Return the ids of a report's words from BOS on."""
    ids = checkpoint.vocabulary.ids_of([word.text for word in report.words])
    return torch.tensor([[checkpoint.vocabulary.bos, *ids]], device=device)


def _largest(shares: Float[np.ndarray, " prototypes"] | None) -> tuple[int, ...]:
    if shares is None:
        return ()
    return tuple(int(row) for row in np.argsort(-shares, kind="stable")[:CHOSEN] if shares[row] > 0)
