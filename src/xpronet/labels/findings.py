"""The fourteen CheXpert findings, the states a report can give them, and the orders other tables have them in."""

from collections.abc import Mapping
from enum import Enum

FINDINGS = (
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
    "No Finding",
)
"""CheXbert's order, which is ours wherever an order is needed; other orders are joined by name."""

NO_FINDING = "No Finding"

ABNORMALITIES = FINDINGS[:-1]
"""The thirteen findings that are something to report."""


class State(Enum):
    """What a report says of one finding; the values are those of a CheXpert table."""

    POSITIVE = "1"
    NEGATIVE = "0"
    UNCERTAIN = "-1"
    NOT_MENTIONED = ""


def collapse(states: Mapping[str, State]) -> dict[str, int]:
    """Reduce states to 0/1 as the published model does.

    Positive and uncertain become 1, negative and not mentioned 0; where nothing else is present, No Finding is 1.
    No Finding stays 1 beside findings where the table says so.

    Args:
        states: one state a finding, by name; a finding left out counts as not mentioned.

    Returns:
        0 or 1 for each of `FINDINGS`, in that order.
    """
    present = {
        finding: int(states.get(finding, State.NOT_MENTIONED) in (State.POSITIVE, State.UNCERTAIN))
        for finding in FINDINGS
    }
    if not any(present.values()):
        present[NO_FINDING] = 1
    return present
