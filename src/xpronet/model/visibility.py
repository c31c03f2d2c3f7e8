"""Which findings a study counts as having, and so whose prototypes it may query.

Shape legend: B studies, K findings.
"""

from jaxtyping import Bool, Float
from torch import Tensor


def present_findings(
    probabilities: Float[Tensor, "B K"], thresholds: Float[Tensor, "K"], no_finding: int
) -> Bool[Tensor, "B K"]:
    """Return which findings count as present.

    As in the labels that the network learns from, No Finding is what remains where nothing else is: its own probability
    does not count.

    Args:
        probabilities: of each finding.
        thresholds: from which probability on a finding is present.
        no_finding: column of No Finding.
    """
    present = probabilities >= thresholds
    others = present.clone()
    others[:, no_finding] = False
    present[:, no_finding] = ~others.any(1)
    return present
