"""Linear layers that are quick for the few rows of which a step of decoding consists."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

FEW_ROWS = 9
"""Up to so many rows the weights stand on the left."""
SOME_ROWS = 128
"""Up to so many rows the weights are cut into blocks."""


class Linear(nn.Linear):
    """As PyTorch's; a CPU that only predicts multiplies few rows in other ways.

    PyTorch's library employs hardly more than one thread for few rows. With the weights on the left, two threads need
    0.4 of the time for 3 rows (a study with three beams) and 0.6 for 5. From 10 rows on the weights are cut into one
    block a thread: 12 rows take 0.8 of the time, 48 rows 0.9.
    """

    def forward(self, input: Float[Tensor, "*batch width_in"]) -> Float[Tensor, "*batch width_out"]:  # noqa: A002
        """Return weight times each row, plus bias; the result may lie in memory column after column."""
        return apply_linear(input, self.weight, self.bias)


def apply_linear(
    features: Float[Tensor, "*batch width_in"],
    weight: Float[Tensor, "width_out width_in"],
    bias: Float[Tensor, "width_out"],
) -> Float[Tensor, "*batch width_out"]:
    """Do what `Linear` does with weights that are no layer's."""
    threads = torch.get_num_threads()
    num_rows = features.numel() // features.shape[-1]
    if threads == 1 or not _only_predicts(features):
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
    """Return whether a product is computed at once, in full precision, on a CPU, and never differentiated."""
    return not (
        torch.compiler.is_compiling()
        or torch.is_grad_enabled()
        or features.device.type != "cpu"
        or features.dtype != torch.float32
        or torch.is_autocast_enabled("cpu")
    )
