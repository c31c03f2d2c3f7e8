"""The network in the four graphs that are exported: once a picture, once a study, once a word, once a finished report.

Each takes and returns tensors alone and chooses nothing by their values, so that it can be traced once and run by any
engine for any number of studies, views, beams and words.

Shape legend: B studies, V views, S regions of a study, K findings, P prototypes, N beams, T words so far, H heads,
D width of a head, L decoder layers.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from xpronet.encoders.resnet import to_rgb
from xpronet.generate.evidence import read_again
from xpronet.model.attention import KeysValues, join_heads, split_heads
from xpronet.model.network import Encoded, Patches, XProNet


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
        seen = self.network.backbone(to_rgb(images.flatten(0, 1)))
        regions = seen.flatten(2).transpose(1, 2)
        features = regions.reshape(*view_mask.shape, *regions.shape[1:]) * view_mask[:, :, None, None]
        mask = view_mask.unsqueeze(2).expand(-1, -1, regions.shape[1]).flatten(1)
        patches = Patches(features.flatten(1, 2), mask)
        if self.network.findings_head is None:
            return tuple(patches)
        return *patches, self.network.predict_findings(patches)


class Encode(nn.Module):
    """Patch features and findings (B, K) to visible prototypes (B, P) and each layer's keys and values (B, H, S, D)."""

    def __init__(self, network: XProNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: Tensor, mask: Tensor, findings: Tensor) -> tuple[Tensor, ...]:
        """Return visible, keys 1, values 1, keys 2, values 2 and so on."""
        encoded = self.network.encode(Patches(features, mask), findings)
        return encoded.visible, *(tensor for layer in encoded.regions for tensor in layer)


class _Written(nn.Module):
    """What the graphs share that read words: the study as `Encode` returned it."""

    def __init__(self, network: XProNet) -> None:
        super().__init__()
        self.network = network

    def study(self, mask: Tensor, visible: Tensor, regions: Sequence[Tensor]) -> Encoded:
        bank = self.network.matching.project() if self.network.matching is not None else None
        return Encoded(_pairs(regions), mask, bank, visible, None)


class Step(_Written):
    """The newest words (B, N) and the words before them to log-probabilities of the next (B, N, vocabulary)."""

    def forward(
        self, words: Tensor, origin: Tensor, mask: Tensor, visible: Tensor, *rest: Tensor
    ) -> tuple[Tensor, ...]:
        """Return log-probabilities, then each layer's keys and values (B·N, H, T + 1, D).

        Args:
            words: the newest word of every beam.
            origin: the beam of the same study that each continues, (B, N).
            mask: regions of real views.
            visible: prototypes.
            rest: each layer's keys and values of the regions, then each layer's keys and values of the words so far,
                (B·N, H, T, D): how many there are is where the newest word stands.
        """
        layers = list(self.network.decoder.each_layer())
        encoded = self.study(mask, visible, rest[: 2 * len(layers)])
        caches = _pairs(rest[2 * len(layers) :])
        features, _ = self.network.embed(words, encoded, position=caches[0].keys.shape[-2])
        first = torch.arange(origin.shape[0], device=origin.device).unsqueeze(1) * origin.shape[1]
        rows = (first + origin).flatten()
        written: list[Tensor] = []
        for layer, regions, cache in zip(layers, encoded.regions, caches, strict=True):
            attention = layer.self_attention
            normed = layer.self_norm(features).flatten(0, 1).unsqueeze(1)
            newest = KeysValues(
                split_heads(attention.key(normed), attention.heads),
                split_heads(attention.value(normed), attention.heads),
            )
            keys, values = (torch.cat([old[rows], new], dim=-2) for old, new in zip(cache, newest, strict=True))
            mixed = functional.scaled_dot_product_attention(
                split_heads(attention.query(normed), attention.heads), keys, values
            )
            features = features + attention.output(join_heads(mixed)).reshape(features.shape)
            features = layer.after_self(features, regions, mask.unsqueeze(1))
            written += [keys, values]
        logits = self.network.word_output(self.network.decoder.norm(features))
        return logits.log_softmax(-1), *written


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
    studies, views, beams, so_far = 2, 3, 5, 4
    images = torch.zeros(studies, views, size, size, dtype=torch.uint8)
    view_mask = torch.ones(studies, views, dtype=torch.bool)
    look, encode, step, explain = Look(network), Encode(network), Step(network), Explain(network)
    with torch.inference_mode():
        features, mask, *_ = look(images, view_mask)
    findings = torch.ones(studies, _num_findings(network), dtype=torch.bool)
    with torch.inference_mode():
        visible, *regions = encode(features, mask, findings)
    words = torch.ones(studies, beams, dtype=torch.long)
    cache = torch.zeros(studies * beams, settings.heads, so_far, settings.width // settings.heads)
    layers = range(1, settings.layers + 1)
    region_names = [f"region_{kind}_{layer}" for layer in layers for kind in ("keys", "values")]
    word_names = [f"word_{kind}_{layer}" for layer in layers for kind in ("keys", "values")]
    batch, regions_axis = {0: "studies"}, {0: "studies", 1: "regions"}
    study_axes = {"mask": regions_axis, "visible": batch}
    study_axes.update({name: {0: "studies", 2: "regions"} for name in region_names})
    beam_axes = {0: "studies", 1: "beams"}
    head = ("probabilities",) if network.findings_head is not None else ()
    shares = ("shares",) if network.matching is not None else ()
    return [
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
            fixed=4,
            example=(words, torch.zeros_like(words), mask, visible, *regions, *(cache.clone() for _ in word_names)),
            inputs={
                "words": beam_axes,
                "origin": beam_axes,
                **study_axes,
                **{name: {0: "rows", 2: "words_so_far"} for name in word_names},
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


def _pairs(tensors: Sequence[Tensor]) -> list[KeysValues]:
    return [KeysValues(keys, values) for keys, values in zip(tensors[::2], tensors[1::2], strict=True)]
