"""Which findings a study counts as having, and so whose prototypes it may query.

Shape legend: B studies, K findings.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor


class Trust(NamedTuple):
    """Which studies of a train batch see the prototypes of what the network itself predicts.

    When a report is to be written there is no reference, and the network's own findings are sometimes wrong. A network
    that only ever learned from right ones takes them for certain.
    """

    studies: Bool[Tensor, "B"]
    """True where the network's own findings count, false where the reference's do."""
    thresholds: Float[Tensor, "K"]
    """Probability from which on each finding counts as present."""
    no_finding: int
    """Column of No Finding."""


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


def share_of_trust(goal: float, *, step: int, steps: int) -> float:
    """Return the share of studies that see predicted findings at a step: from none at first to the goal at the end.

    Args:
        goal: share at the last step.
        step: counted from 0.
        steps: of the whole training.
    """
    return goal * step / max(1, steps - 1)


def draw_trust(num_studies: int, share: float, thresholds: Float[Tensor, "K"], no_finding: int) -> Trust:
    """Draw each study with the probability `share`, from torch's generator; thresholds say on which device."""
    drawn = torch.rand(num_studies) < share
    return Trust(drawn.to(thresholds.device), thresholds, no_finding)
