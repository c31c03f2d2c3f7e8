"""What a table says of each report model that XProNet is compared with: how exact it is, and what differs."""

from dataclasses import dataclass
from typing import Literal

Exactness = Literal["exact", "close", "nearest"]

NO_FINDINGS = "none: it uses no findings"
OWN_FINDINGS = "its own predictions"


@dataclass(frozen=True, kw_only=True)
class RivalNotes:
    """One row's notes."""

    title: str
    """What the row is called."""
    findings_from: str
    """Where its findings come from when it writes about a test study."""
    exactness: Exactness
    """exact: the network equals the public one, figure by figure; close: built from public code, with other data or
    encoder; nearest: built from the paper's equations alone, because there is no public code."""
    differs: str
    """What differs from the original all the same."""


COMMON = "image encoder and split common to all rows"
CATALOGUE: dict[str, RivalNotes] = {
    "st": RivalNotes(
        title="ST",
        findings_from=NO_FINDINGS,
        exactness="exact",
        differs=f"{COMMON}; no scheduled sampling",
    ),
    "adaatt": RivalNotes(
        title="ADAATT",
        findings_from=NO_FINDINGS,
        exactness="exact",
        differs=f"{COMMON}; no scheduled sampling, image encoder not tuned",
    ),
    "att2in": RivalNotes(
        title="ATT2IN",
        findings_from=NO_FINDINGS,
        exactness="exact",
        differs=f"{COMMON}; embedded regions, trained by cross-entropy alone",
    ),
    "topdown": RivalNotes(
        title="TopDown (grid features)",
        findings_from=NO_FINDINGS,
        exactness="exact",
        differs=f"{COMMON}; regions of a grid in place of a detector's boxes, trained by cross-entropy alone",
    ),
    "coat": RivalNotes(
        title="CoAT",
        findings_from=OWN_FINDINGS,
        exactness="close",
        differs="tags are our findings, not 210 MeSH terms; ResNet; findings section only; stop loss on one softmax",
    ),
    "sentsat_kg": RivalNotes(
        title="SentSAT+KG",
        findings_from=OWN_FINDINGS,
        exactness="close",
        differs="graph of our fourteen findings; common encoder in place of a DenseNet-121 trained on CheXpert",
    ),
    "ratchet": RivalNotes(
        title="RATCHET",
        findings_from=NO_FINDINGS,
        exactness="close",
        differs="common vocabulary in lower case, ResNet, no flips, beam search in place of sampling",
    ),
    "hrgr": RivalNotes(
        title="HRGR (derived templates)",
        findings_from=NO_FINDINGS,
        exactness="nearest",
        differs="templates derived by rule, no pretraining on private reports, no post-processing",
    ),
    "cmas": RivalNotes(
        title="CMAS (two writers)",
        findings_from=NO_FINDINGS,
        exactness="nearest",
        differs="normal and abnormal sentences told apart by our rule labeler; trained by cross-entropy alone",
    ),
    "kerp": RivalNotes(
        title="KERP (nearest)",
        findings_from=OWN_FINDINGS,
        exactness="nearest",
        differs="graph of our fourteen findings, derived templates",
    ),
}
"""By the name that a recipe gives the model."""
OURS: dict[str, RivalNotes] = {
    "xpronet": RivalNotes(
        title="XProNet",
        findings_from=OWN_FINDINGS,
        exactness="exact",
        differs="image encoder frozen; findings predicted, which the published evaluation reads from the reference",
    ),
    "r2gencmn": RivalNotes(
        title="R2GenCMN",
        findings_from=NO_FINDINGS,
        exactness="close",
        differs="a setting of our network: all prototypes visible, random at first; image encoder frozen",
    ),
    "transformer": RivalNotes(
        title="transformer",
        findings_from=NO_FINDINGS,
        exactness="close",
        differs="our network without prototypes; image encoder frozen",
    ),
}
"""XProNet itself, and the settings of its network that are other models."""
