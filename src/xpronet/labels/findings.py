"""The fourteen CheXpert findings, the states a report can give them, and the orders other tables have them in."""

from collections.abc import Mapping
from enum import Enum
from typing import Literal

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

COMMON_FIVE = ("Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Pleural Effusion")
"""The five findings that CheXpert's leaderboard scores, which "F1 of 5" in the literature means."""

SCHEMAS: Mapping[str, tuple[str, ...]] = {
    "chexbert": FINDINGS,
    "published-iu-xray": FINDINGS,
    "chexpert": (NO_FINDING, *ABNORMALITIES),
    "mimic-cxr-jpg": tuple(sorted(FINDINGS)),
    "published-mimic-cxr": (*sorted(ABNORMALITIES), NO_FINDING),
}
"""The order in which each published kind of table has the findings.

Only a table without names needs one: columns with names are joined by name. The two published pickles differ, and both
have No Finding last: IU X-Ray's is CheXbert's order, MIMIC-CXR's the alphabet.
"""

Uncertain = Literal["positive", "negative", "ignore"]
"""What becomes of an uncertain finding when states are reduced to 0 and 1."""

IGNORED = -1
"""The value of a finding that is to be left out of losses and scores."""


class State(Enum):
    """What a report says of one finding; the values are those of a CheXpert table."""

    POSITIVE = "1"
    NEGATIVE = "0"
    UNCERTAIN = "-1"
    NOT_MENTIONED = ""


def collapse(states: Mapping[str, State], uncertain: Uncertain = "positive") -> dict[str, int]:
    """Reduce states to 0/1, by default as the published model does.

    Positive becomes 1, negative and not mentioned 0, uncertain what `uncertain` says. Where nothing else is present,
    No Finding is 1; where something else is ignored and nothing is present, nobody knows, and No Finding is ignored.
    No Finding stays 1 beside findings where the table says so.

    Args:
        states: one state a finding, by name; a finding left out counts as not mentioned.
        uncertain: the published rule is "positive".

    Returns:
        0, 1 or `IGNORED` for each of `FINDINGS`, in that order.
    """
    of_uncertain = {"positive": 1, "negative": 0, "ignore": IGNORED}[uncertain]
    of_state = {State.POSITIVE: 1, State.UNCERTAIN: of_uncertain}
    values = {finding: of_state.get(states.get(finding, State.NOT_MENTIONED), 0) for finding in FINDINGS}
    if 1 not in values.values():
        values[NO_FINDING] = IGNORED if IGNORED in values.values() else 1
    return values
