"""What papers print about the models of table 1, and what of it may stand beside scores of one's own."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Literal

from xpronet.settings_tables import read_table

SPLITS = {
    "r2gen": "R2Gen's: 2,069, 296 and 590 studies of two views",
    "official": "the official one",
    "hrgr": "HRGR's random 7:1:2, never published",
    "zhang": "own, 60:20:20",
    "own": "own",
}
COMMON_SPLITS = ("r2gen", "official")
"""Splits that everybody has."""
TEST_STUDIES = {"r2gen": 590}
"""Test studies of a split, where it may be mistaken for another of the same corpus."""


@dataclass(frozen=True, kw_only=True)
class PublishedNumbers:
    """What one source prints about one model on one corpus."""

    model: str
    """As the source calls it."""
    corpus: Literal["IU X-Ray", "MIMIC-CXR"]
    """What it was tested on."""
    scores: dict[str, float]
    """As printed, by name."""
    source: str
    """The paper, or the code."""
    obtained: Literal["own", "re-run"]
    """By those who proposed the model, or by others."""
    split: Literal["r2gen", "official", "hrgr", "zhang", "own"]
    """Which studies were tested."""
    row: str = ""
    """The row of `xpronet rivals` that it belongs to; empty where there is none."""
    in_table: bool = False
    """Whether the paper's table 1 cites it."""
    text: str = "findings"
    """What the reference reports hold."""
    labels: Literal["none", "reference", "predicted"] = "none"
    """Where the model's findings come from when it writes about a test study."""
    protocol: str = ""
    """The protocol of ours that compares texts alike; empty where none does, or nobody knows."""
    truncation: str = "not stated"
    """How references are cut."""
    corrected: dict[str, float] = field(default_factory=dict)
    """Scores that are wrong where they are printed: what they are."""
    correction: str = ""
    """Why."""
    unsure: str = ""
    """Which of the numbers have not been compared with their source."""
    note: str = ""
    """What else a reader must know."""

    def differs_from(self, stamp: Mapping[str, str]) -> tuple[str, ...]:
        """Return why these numbers may not be compared with scores of one's own; nothing where they may.

        Args:
            stamp: how those were measured, as a scorecard has it.
        """
        reasons = []
        if stamp.get("corpus") != self.corpus:
            reasons.append(f"tested on {self.corpus}")
        tested = TEST_STUDIES.get(self.split)
        another = tested is not None and f" {tested} of {tested} studies" not in stamp.get("split", "")
        if self.split not in COMMON_SPLITS or another:
            reasons.append(f"split: {SPLITS[self.split]}")
        if self.text != "findings":
            reasons.append(f"text of the references: {self.text}")
        if self.labels == "reference":
            reasons.append("was given findings read from the references")
        if self.protocol != stamp.get("protocol"):
            reasons.append(f"references cut: {self.truncation}")
        return tuple(reasons)


@cache
def read_published() -> tuple[PublishedNumbers, ...]:
    """Return all numbers of published.toml."""
    text = files("xpronet.evaluation").joinpath("published.toml").read_text(encoding="utf-8")
    return tuple(
        read_table(PublishedNumbers, number, where=f"published.toml, number {place}")
        for place, number in enumerate(tomllib.loads(text)["number"], start=1)
    )
