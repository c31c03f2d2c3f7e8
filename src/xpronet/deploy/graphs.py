"""The network as the graphs that are exported: one for images, one for studies, one for words, one for reports.

Each takes and returns only tensors and has no control flow that depends on their values, so it is traced once and runs
in any engine for any number of studies, views, beams and words.

Shape legend: B studies, V views, S regions of a study, K findings, P prototypes, N beams, C words in the cache of a
study's beams, T words of a report, H heads, D width of a head.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from xpronet.model.attention import Attention, Cache, KeysValues, attention_weights, join_heads, split_heads
from xpronet.model.fast_cpu import PlainAttention
from xpronet.model.network import Encoded, XProNet
from xpronet.model.report_model import FindingsHead, Patches


@dataclass(frozen=True, kw_only=True)
class Graph:
    """One graph: a module to trace, example inputs, and the names of inputs and outputs."""

    name: str
    """Name of its file, without extension."""
    module: nn.Module
    """Takes and returns tensors."""
    example: tuple[Tensor, ...]
    """One tensor for each input."""
    inputs: dict[str, dict[int, str]]
    """Name of each input, with the names of its dynamic axes."""
    fixed: int
    """Number of named parameters of the module; the inputs after them depend on the number of layers."""
    outputs: tuple[str, ...]
    """Name of each output."""


class EncodeImages(nn.Module):
    """Images (B, V, height, width) to features (B, S, channels), their mask (B, S) and probabilities (B, K)."""

    def __init__(self, network: XProNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor, view_mask: Tensor) -> tuple[Tensor, ...]:
        """Compute absent views as well and set them to zero: the number of images must not depend on a value."""
        seen = self.network.backbone(images.flatten(0, 1))
        regions = seen.flatten(2).transpose(1, 2)
        features = regions.reshape(*view_mask.shape, *regions.shape[1:]) * view_mask[:, :, None, None]
        mask = view_mask.unsqueeze(2).expand(-1, -1, regions.shape[1]).flatten(1)
        patches = Patches(features.flatten(1, 2), mask)
        if self.network.findings_head is None:
            return tuple(patches)
        return *patches, self.network.predict_findings(patches)


class FindingRegions(nn.Module):
    """Features (B, S, channels) and their mask to each region's contribution to each finding's logit (B, S, K)."""

    def __init__(self, head: FindingsHead) -> None:
        super().__init__()
        self.head = head

    def forward(self, features: Tensor, mask: Tensor) -> tuple[Tensor]:
        """Return the contributions."""
        return (self.head.region_shares(Patches(features, mask)),)


class Encode(nn.Module):
    """Patch features and findings (B, K) to visible prototypes (B, P) and each layer's keys and values.

    Keys are laid out as (B, H, D, S), ready for the products of a step, values as (B, H, S, D).
    """

    def __init__(self, network: XProNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: Tensor, mask: Tensor, findings: Tensor) -> tuple[Tensor, ...]:
        """Return visible, keys 1, values 1, keys 2, values 2 and so on."""
        encoded = self.network.encode(Patches(features, mask), findings)
        regions = ((keys.transpose(-2, -1).contiguous(), values) for keys, values in encoded.regions)
        return encoded.visible, *(tensor for layer in regions for tensor in layer)


class _Written(nn.Module):
    """Base of the graphs that read words about a study as `Encode` returned it."""

    def __init__(self, network: XProNet) -> None:
        super().__init__()
        self.network = network

    def study(self, mask: Tensor, visible: Tensor, regions: Sequence[Tensor]) -> Encoded:
        bank = self.network.matching.project() if self.network.matching is not None else None
        pairs = [KeysValues(keys.transpose(-2, -1), values) for keys, values in _two(regions)]
        return Encoded(pairs, mask, bank, visible, None)


class Step(_Written):
    """The newest words (B, N) and the words before them to log-probabilities of the next (B, N, vocabulary)."""

    def forward(
        self, words: Tensor, position: Tensor, own: Tensor, mask: Tensor, visible: Tensor, *rest: Tensor
    ) -> tuple[Tensor, ...]:
        """Return log-probabilities, then each layer's keys and values of the newest words (B, H, N, D).

        The caller appends these to the caches: returning a whole cache would take longer than the step.

        Args:
            words: the newest word of every beam.
            position: their position, (1,).
            own: which words of the cache each beam consists of, (B, N, C); all beams of a study share one cache.
            mask: regions of real views.
            visible: prototypes.
            rest: each layer's keys (B, H, D, S) and values (B, H, S, D) of the regions, then each layer's keys
                (B, H, D, C) and values (B, H, C, D) of the words so far.
        """
        split = 2 * self.network.settings.layers
        study = self.study(mask, visible, rest[:split])
        caches = [_GraphCache(keys, values) for keys, values in _two(rest[split:])]
        embedded, _ = self.network.embed(words, study, position)
        # Each beam sees its own newest word, and no other's.
        beams = torch.arange(words.shape[1])
        itself = (beams == beams.unsqueeze(1)).expand(words.shape[0], -1, -1)
        sees = torch.cat([own, itself], dim=-1)
        decoded = self.network.decoder(embedded, sees, study.regions, mask, caches=caches)
        log_probabilities = self.network.word_output(decoded.words).log_softmax(-1)
        return log_probabilities, *(tensor for cache in caches for tensor in cache.newest)


class _GraphCache:
    """The cache of a layer as a graph gets it: keys (B, H, D, C) and values (B, H, C, D)."""

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        self.before = KeysValues(keys.transpose(-2, -1), values)
        self.newest: KeysValues

    def extend(self, newest: KeysValues) -> KeysValues:
        """Keep the newest words for the caller; return those before them, which stay as they are."""
        self.newest = newest
        return self.before


class _GraphAttention(PlainAttention):
    """Attention to cached and to newest words without joining them, which would copy the cache at every step."""

    def attend_to_self(self, features: Tensor, mask: Tensor, cache: Cache | None = None) -> Tensor:
        """Attend to the features themselves and, with a cache, to those before them."""
        if cache is None:
            return super().attend_to_self(features, mask)
        query, newest = split_heads(self.query(features), self.heads), self.project(features)
        before = cache.extend(newest)
        weights = attention_weights(query, before.keys, newest.keys, mask=mask)
        split = before.keys.shape[2]
        mixed = weights[..., :split] @ before.values + weights[..., split:] @ newest.values
        return self.output(join_heads(mixed))


class ReadWordEvidence(_Written):
    """Finished reports (B, T + 1) to log-probabilities (B, T), attention (B, T, S) and prototypes' shares (B, T, P)."""

    def forward(self, words: Tensor, mask: Tensor, visible: Tensor, *regions: Tensor) -> tuple[Tensor, ...]:
        """Return the evidence for every word; a network without prototypes has no shares."""
        reading = self.network.reread(self.study(mask, visible, regions), words)
        return tuple(tensor for tensor in reading if tensor is not None)


def make_graphs(network: XProNet, *, size: int) -> list[Graph]:
    """Return the graphs of a network, with examples in which no two dynamic axes have the same length.

    Args:
        network: in evaluation mode, on the CPU; it is not changed.
        size: side of the images in pixels.
    """
    network = _prepared(network)
    settings = network.settings
    studies, views, beams, so_far = 2, 3, 5, 20
    images = torch.zeros(studies, views, size, size, dtype=torch.uint8)
    view_mask = torch.ones(studies, views, dtype=torch.bool)
    encode_images, encode, step, word_evidence = (
        EncodeImages(network),
        Encode(network),
        Step(network),
        ReadWordEvidence(network),
    )
    with torch.inference_mode():
        features, mask, *_ = encode_images(images, view_mask)
    findings = torch.ones(studies, _num_findings(network), dtype=torch.bool)
    with torch.inference_mode():
        visible, *regions = encode(features, mask, findings)
    words = torch.ones(studies, beams, dtype=torch.long)
    values = torch.zeros(studies, settings.heads, so_far, settings.width // settings.heads)
    caches = [values.transpose(-2, -1).contiguous(), values.clone()] * settings.layers
    layers = range(1, settings.layers + 1)
    region_names = [f"region_{kind}_{layer}" for layer in layers for kind in ("keys", "values")]
    word_names = [f"word_{kind}_{layer}" for layer in layers for kind in ("keys", "values")]
    batch, regions_axis = {0: "studies"}, {0: "studies", 1: "regions"}
    study_axes = {"mask": regions_axis, "visible": batch}
    study_axes.update({name: {0: "studies", _axis(name): "regions"} for name in region_names})
    beam_axes = {0: "studies", 1: "beams"}
    head = ("probabilities",) if network.findings_head is not None else ()
    shares = ("shares",) if network.matching is not None else ()
    finding_regions = []
    if network.findings_head is not None:
        finding_regions.append(
            Graph(
                name="locate",
                module=FindingRegions(network.findings_head),
                fixed=2,
                example=(features.clone(), mask.clone()),
                inputs={"features": regions_axis, "mask": regions_axis},
                outputs=("region_shares",),
            )
        )
    return [
        *finding_regions,
        Graph(
            name="look",
            module=encode_images,
            fixed=2,
            example=(images, view_mask),
            inputs={"images": {0: "studies", 1: "views"}, "view_mask": {0: "studies", 1: "views"}},
            outputs=("features", "mask", *head),
        ),
        Graph(
            name="encode",
            module=encode,
            fixed=3,
            example=(features.clone(), mask.clone(), findings),
            inputs={"features": regions_axis, "mask": regions_axis, "findings": batch},
            outputs=("visible", *region_names),
        ),
        Graph(
            name="step",
            module=step,
            fixed=5,
            example=(
                words,
                torch.tensor([4]),
                torch.ones(studies, beams, so_far, dtype=torch.bool),
                mask,
                visible,
                *regions,
                *(cache.clone() for cache in caches),
            ),
            inputs={
                "words": beam_axes,
                "position": {},
                "own": {**beam_axes, 2: "cached"},
                **study_axes,
                **{name: {0: "studies", _axis(name): "cached"} for name in word_names},
            },
            outputs=("log_probabilities", *(f"new_{name}" for name in word_names)),
        ),
        Graph(
            name="explain",
            module=word_evidence,
            fixed=3,
            example=(words, mask, visible, *regions),
            inputs={"words": {0: "studies", 1: "length"}, **study_axes},
            outputs=("word_log_probabilities", "attention", *shares),
        ),
    ]


def _prepared(network: XProNet) -> XProNet:
    """Return a copy with the attention of graphs, whose bank is stored in the network's width (eq. 8).

    It gives the same results from fewer weights.
    """
    network = copy.deepcopy(network)
    for module in network.modules():
        if isinstance(module, Attention):
            # It differs in its methods alone, so parameters stay.
            module.__class__ = _GraphAttention
    if network.matching is not None:
        with torch.inference_mode(False), torch.no_grad():
            network.matching.bank = nn.Parameter(network.matching.projected().clone())
        network.matching.projection = nn.Identity()
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    return network


def _num_findings(network: XProNet) -> int:
    if network.findings_head is not None:
        return network.findings_head.linear.out_features
    settings = network.settings
    return settings.bank_rows // settings.per_finding


def _axis(name: str) -> int:
    """Return the axis of an input's regions or words: the last of keys, the last but one of values."""
    return 3 if "_keys_" in name else 2


def _two(tensors: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """Return the keys and values of each layer."""
    return list(zip(tensors[::2], tensors[1::2], strict=True))
