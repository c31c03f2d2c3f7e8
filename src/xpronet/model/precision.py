"""Where sums, logarithms and hinges need more digits than half precision has."""

from jaxtyping import Float
from torch import Tensor, float32, promote_types


def full_precision(values: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return the values in fp32, or as they are where they are more precise: a network may compute in fp64 throughout.

    Equal to `.float()` for all that training and use compute in; fp64 shows that what differs is rounding alone.
    """
    return values.to(promote_types(values.dtype, float32))
