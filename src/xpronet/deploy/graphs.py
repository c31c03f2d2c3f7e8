"""The network in the graphs that are exported: once a picture, once a study, once a word, once a finished report.

Each takes and returns tensors alone and chooses nothing by their values, so that it can be traced once and run by any
engine for any number of studies, views, beams and words.

Shape legend: B studies, V views, S regions of a study, K findings, P prototypes, N beams, C words in the cache of a
study's beams, T words of a report, H heads, D width of a head.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from xpronet.generate.evidence import read_again
from xpronet.model.attention import KeysValues, join_heads, split_heads
from xpronet.model.matching import HIDDEN
from xpronet.model.network import Encoded, FindingsHead, Patches, XProNet
from xpronet.model.transformer import DecoderLayer


@dataclass(frozen=True, kw_only=True)
class Graph:
    """One graph: a module to trace, tensors to trace it with, and what its inputs and outputs are called."""

    name: str
    """Its file's name, without ending."""
    module: nn.Module
    """Takes and returns tensors."""
    example: tuple[Tensor, ...]
    """One tensor an input."""
    inputs: dict[str, dict[int, str]]
    """Each input's name and the names of those of its axes that vary."""
    fixed: int
    """Inputs that the module names itself; those after them are as many as the network has layers."""
    outputs: tuple[str, ...]
    """Each output's name."""


class Look(nn.Module):
    """Pictures (B, V, height, width) to features (B, S, channels), their mask (B, S) and the findings (B, K)."""

    def __init__(self, network: XProNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor, view_mask: Tensor) -> tuple[Tensor, ...]:
        """Compute absent views too and blank them: how many pictures there are must not depend on a value."""
        seen = self.network.backbone(images.flatten(0, 1))
        regions = seen.flatten(2).transpose(1, 2)
        features = regions.reshape(*view_mask.shape, *regions.shape[1:]) * view_mask[:, :, None, None]
        mask = view_mask.unsqueeze(2).expand(-1, -1, regions.shape[1]).flatten(1)
        patches = Patches(features.flatten(1, 2), mask)
        if self.network.findings_head is None:
            return tuple(patches)
        return *patches, self.network.predict_findings(patches)


class Locate(nn.Module):
    """Features (B, S, channels) and their mask to what each region adds to each finding's logit (B, S, K)."""

    def __init__(self, head: FindingsHead) -> None:
        super().__init__()
        self.head = head

    def forward(self, features: Tensor, mask: Tensor) -> tuple[Tensor]:
        """Return the shares."""
        return (self.head.region_shares(Patches(features, mask)),)


class Encode(nn.Module):
    """Patch features and findings (B, K) to visible prototypes (B, P) and each layer's keys and values.

    Keys come as (B, H, D, S), as the step multiplies them, values as (B, H, S, D).
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
    """What the graphs share that read words: the study as `Encode` returned it."""

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

        Whoever calls lays these into the caches: copying a whole cache in and out would take longer than the step.

        Args:
            words: the newest word of every beam.
            position: where they stand, (1,).
            own: which words of the cache each beam is made of, (B, N, C); all beams of a study share one.
            mask: regions of real views.
            visible: prototypes.
            rest: each layer's keys (B, H, D, S) and values (B, H, S, D) of the regions, then each layer's keys
                (B, H, D, C) and values (B, H, C, D) of the words so far.
        """
        layers = list(self.network.decoder.each_layer())
        regions, caches = rest[: 2 * len(layers)], rest[2 * len(layers) :]
        features, _ = self.network.embed(words, self.study(mask, visible, regions), position)
        newest: list[Tensor] = []
        for layer, seen, written in zip(layers, _two(regions), _two(caches), strict=True):
            features, keys_and_values = _attend_to_words(layer, features, own, *written)
            features = features + _attend_to_regions(layer, features, mask, *seen)
            features = features + layer.feed_forward(layer.feed_forward_norm(features))
            newest += keys_and_values
        logits = self.network.word_output(self.network.decoder.norm(features))
        return logits.log_softmax(-1), *newest


def _attend_to_words(
    layer: DecoderLayer, features: Tensor, own: Tensor, keys: Tensor, values: Tensor
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Return features after self-attention, and the newest words' keys and values (B, H, N, D).

    Keys of the cache are (B, H, D, C), its values (B, H, C, D).
    """
    attention = layer.self_attention
    normed = layer.self_norm(features)
    query, key, value = (
        split_heads(part(normed), attention.heads) for part in (attention.query, attention.key, attention.value)
    )
    query = query * query.shape[-1] ** -0.5
    before = (query @ keys).masked_fill(~own.unsqueeze(1), HIDDEN)
    # Each beam sees its own newest word, and no other's.
    itself = (query * key).sum(-1, keepdim=True)
    weights = torch.cat([before, itself], dim=-1).softmax(-1)
    mixed = weights[..., :-1] @ values + weights[..., -1:] * value
    return features + attention.output(join_heads(mixed)), (key, value)


def _attend_to_regions(layer: DecoderLayer, features: Tensor, mask: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Return what cross-attention adds to the features; keys are (B, H, D, S), values (B, H, S, D)."""
    attention = layer.cross_attention
    query = split_heads(attention.query(layer.cross_norm(features)), attention.heads)
    scores = (query * query.shape[-1] ** -0.5) @ keys
    weights = scores.masked_fill(~mask[:, None, None], HIDDEN).softmax(-1)
    return attention.output(join_heads(weights @ values))


class Explain(_Written):
    """Finished reports (B, T + 1) to log-probabilities (B, T), attention (B, T, S) and prototypes' shares (B, T, P)."""

    def forward(self, words: Tensor, mask: Tensor, visible: Tensor, *regions: Tensor) -> tuple[Tensor, ...]:
        """Read the reports once more; shares are left out of a network without prototypes."""
        reading = read_again(self.network, self.study(mask, visible, regions), words)
        return tuple(tensor for tensor in reading if tensor is not None)


def make_graphs(network: XProNet, *, size: int) -> list[Graph]:
    """Return the graphs of a network, with examples on which no two axes that vary are equally long.

    Args:
        network: in evaluation mode, on the CPU; it stays as it is.
        size: side of the pictures in pixels.
    """
    network = _with_projected_bank(network)
    settings = network.settings
    studies, views, beams, so_far = 2, 3, 5, 20
    images = torch.zeros(studies, views, size, size, dtype=torch.uint8)
    view_mask = torch.ones(studies, views, dtype=torch.bool)
    look, encode, step, explain = Look(network), Encode(network), Step(network), Explain(network)
    with torch.inference_mode():
        features, mask, *_ = look(images, view_mask)
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
    locate = []
    if network.findings_head is not None:
        locate.append(
            Graph(
                name="locate",
                module=Locate(network.findings_head),
                fixed=2,
                example=(features.clone(), mask.clone()),
                inputs={"features": regions_axis, "mask": regions_axis},
                outputs=("region_shares",),
            )
        )
    return [
        *locate,
        Graph(
            name="look",
            module=look,
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
            module=explain,
            fixed=3,
            example=(words, mask, visible, *regions),
            inputs={"words": {0: "studies", 1: "length"}, **study_axes},
            outputs=("word_log_probabilities", "attention", *shares),
        ),
    ]


def _with_projected_bank(network: XProNet) -> XProNet:
    """Return a copy whose bank is stored in the network's width (eq. 8): the same results from fewer weights."""
    network = copy.deepcopy(network)
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
    """Return on which axis an input's regions or words lie: the last of keys, the last but one of values."""
    return 3 if "_keys_" in name else 2


def _two(tensors: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """Return keys and values of each layer."""
    return list(zip(tensors[::2], tensors[1::2], strict=True))
