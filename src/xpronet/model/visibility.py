"""Which findings count as present in a study; it may query their prototypes.

Shape legend: B studies, K findings.
"""

from jaxtyping import Bool, Float
from torch import Tensor


def present_findings(
    probabilities: Float[Tensor, "B K"], thresholds: Float[Tensor, "K"], no_finding: int
) -> Bool[Tensor, "B K"]:
    """Return which findings count as present.

    As in the training labels, No Finding is present if and only if no other finding is; its own probability is ignored.

    Args:
        probabilities: of each finding.
        thresholds: probability from which each finding is present.
        no_finding: column of No Finding.
    """
    present = probabilities >= thresholds
    others = present.clone()
    others[:, no_finding] = False
    present[:, no_finding] = ~others.any(1)
    return present
