"""Replacements for layers that PyTorch computes slowly on a CPU.

The network itself is written with PyTorch's own layers. `speed_up` replaces some of them in a network that is trained,
`fast_copy` in a copy for generation. The replacements compute the same up to rounding, except that dropout draws its
random numbers in another way. They add no parameters, so the names in a state dict stay the same.

Shape legend: B studies, Q queries, S sources, H heads, D width of a head.
"""

import copy
from itertools import chain

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from xpronet.model.attention import Attention, Cache, KeysValues, attention_weights, join_heads, split_heads
from xpronet.model.network import XProNet
from xpronet.model.report_model import ReportModel

FEW_ROWS = 9
"""Up to this many rows the weights are the left factor of a product."""
SOME_ROWS = 128
"""Up to this many rows the weights are cut into blocks."""
FEW_QUERIES = 16
"""Up to this many queries attention is computed as plain products; nobody searches with more beams."""


def speed_up(network: ReportModel) -> None:
    """Replace the slow layers behind the image backbone, in place."""
    backbone = set(network.backbone.modules())
    for module in network.modules():
        replacement = _REPLACEMENTS.get(type(module))
        if replacement is not None and module not in backbone:
            # Parameters, buffers, mode and hooks stay, because a replacement differs in its methods alone.
            module.__class__ = replacement


def fast_copy(network: ReportModel) -> ReportModel:
    """Return a fast copy for generation, which shares the network's tensors and its backbone.

    Weights that change later do not change the joint projections: make a new copy then.
    """
    shared = {id(tensor): tensor for tensor in chain(network.parameters(), network.buffers())}
    fast = copy.deepcopy(network, {**shared, id(network.backbone): network.backbone})
    speed_up(fast)
    for layer in fast.decoder.each_layer() if isinstance(fast, XProNet) else ():
        assert isinstance(layer.self_attention, FastAttention), "speed_up replaces every attention"
        layer.self_attention.join_projections()
    return fast


class FastLinear(nn.Linear):
    """A linear layer that multiplies few rows quickly where no gradient is wanted.

    PyTorch's library hardly employs more than one thread for few rows. With the weights as the left factor, two threads
    need 0.4 of the time for 3 rows (a study with three beams) and 0.6 for 5. From 10 rows on the weights are cut into
    one block for each thread: 12 rows take 0.8 of the time, 48 rows 0.9.
    """

    def forward(self, input: Float[Tensor, "*batch width_in"]) -> Float[Tensor, "*batch width_out"]:  # noqa: A002
        """Return weight times each row, plus bias; the result may be laid out in memory by columns."""
        return apply_linear(input, self.weight, self.bias)


def apply_linear(
    features: Float[Tensor, "*batch width_in"],
    weight: Float[Tensor, "width_out width_in"],
    bias: Float[Tensor, "width_out"] | None,
) -> Float[Tensor, "*batch width_out"]:
    """Do what `FastLinear` does with weights that belong to no layer."""
    threads = torch.get_num_threads()
    num_rows = features.numel() // features.shape[-1]
    if bias is None or threads == 1 or not _only_predicts(features):
        return functional.linear(features, weight, bias)
    rows = features.reshape(num_rows, features.shape[-1])
    if num_rows <= FEW_ROWS:
        product = torch.addmm(bias.unsqueeze(1), weight, rows.t()).t()
    elif num_rows <= SOME_ROWS and len(weight) % threads == 0:
        blocks = weight.view(threads, -1, weight.shape[1]).transpose(1, 2)
        product = torch.baddbmm(bias.view(threads, 1, -1), rows.expand(threads, -1, -1), blocks).transpose(0, 1)
    else:
        return functional.linear(features, weight, bias)
    return product.reshape(*features.shape[:-1], len(weight))


def _only_predicts(features: Tensor) -> bool:
    """Return whether a product is computed eagerly, in full precision, on a CPU, and never differentiated."""
    return not (
        torch.compiler.is_compiling()
        or torch.is_grad_enabled()
        or features.device.type != "cpu"
        or features.dtype != torch.float32
        or torch.is_autocast_enabled("cpu")
    )


class FastDropout(nn.Dropout):
    """Dropout that takes four decisions from each random 64-bit number.

    PyTorch draws one Bernoulli variable for each value, which on a CPU takes a twelfth of a training step behind the
    backbone, and a sixth under bfloat16.
    """

    def forward(self, input: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:  # noqa: A002 (the base's name)
        """Set a share `p` of the values to zero and scale the rest up, in training."""
        return drop(input, self.p) if self.training else input


def drop(features: Float[Tensor, "*shape"], share: float) -> Float[Tensor, "*shape"]:
    """Return the features with a random share of them set to zero and the rest scaled up to make up for it.

    On a CPU the share is rounded to a multiple of 1/65536.
    """
    if share == 0:
        return features
    if features.device.type != "cpu":
        return functional.dropout(features, share)
    numbers = torch.empty(-(-features.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
    decisions = numbers.view(torch.int16)[: features.numel()].view(features.shape)
    kept = decisions >= round(share * 2**16) - 2**15
    return features * kept.to(features.dtype).mul_(1 / (1 - share))


class PlainAttention(Attention):
    """Attention as plain products and a softmax, also the simplest for an engine that runs an exported graph."""

    def mix(
        self, query: Float[Tensor, "B H Q D"], sources: KeysValues, mask: Bool[Tensor, "#B #Q S"] | None
    ) -> Float[Tensor, "B H Q D"]:
        """Return the values of the sources, weighted by how well their keys match each projected query."""
        weights = drop(attention_weights(query, sources.keys, mask=mask), self.dropout if self.training else 0.0)
        return weights.to(sources.values.dtype) @ sources.values


class FastAttention(PlainAttention):
    """Attention that is quick with dropout, for few queries and for a decoding step."""

    _joint: tuple[Float[Tensor, "three_widths width"], Float[Tensor, "three_widths"]] | None = None
    """Weight and bias of queries, keys and values together."""

    def join_projections(self) -> None:
        """Compute queries, keys and values of cached steps as one product from now on.

        A step has so few rows that the number of calls matters, on a GPU as well.
        """
        parts = (self.query, self.key, self.value)
        with torch.no_grad():
            self._joint = torch.cat([part.weight for part in parts]), torch.cat([part.bias for part in parts])

    def attend_to_self(
        self, features: Float[Tensor, "B Q width"], mask: Bool[Tensor, "#B #Q S"], cache: Cache | None = None
    ) -> Float[Tensor, "B Q width"]:
        """Attend to the features themselves and, with a cache, to those before them."""
        if cache is None or self._joint is None:
            return super().attend_to_self(features, mask, cache)
        projected = apply_linear(features, *self._joint).chunk(3, dim=-1)
        query, keys, values = (split_heads(part, self.heads) for part in projected)
        return self.output(join_heads(self.mix(query, cache.extend(KeysValues(keys, values)), mask)))

    def mix(
        self, query: Float[Tensor, "B H Q D"], sources: KeysValues, mask: Bool[Tensor, "#B #Q S"] | None
    ) -> Float[Tensor, "B H Q D"]:
        """Return the values of the sources, weighted by how well their keys match each projected query.

        On a CPU, PyTorch's attention has no fast path with dropout, nor for few queries.
        """
        drops = self.training and self.dropout > 0
        if query.device.type == "cpu" and (drops or query.shape[2] <= FEW_QUERIES):
            return super().mix(query, sources, mask)
        return Attention.mix(self, query, sources, mask)


_REPLACEMENTS: dict[type[nn.Module], type[nn.Module]] = {
    nn.Linear: FastLinear,
    nn.Dropout: FastDropout,
    Attention: FastAttention,
}
