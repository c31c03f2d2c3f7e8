"""How reports are searched for; a checkpoint keeps its own, so that a copy of it writes the same reports."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Literal

from xpronet.errors import InputError

Choose = Literal["likeliest", "agreeing"]


@dataclass(frozen=True, kw_only=True)
class BeamSettings:
    """How widely and how far to search."""

    beams: int = 3
    """Partial reports kept at each step (paper: 3)."""
    max_words: int = 60
    """Longest report, EOS included; IU X-Ray 60, MIMIC-CXR 100."""
    word_reward: float = 0.0
    """Added to a report's log-probability for each of its words; 0 (paper) prefers short reports."""
    choose: Literal["likeliest", "agreeing"] = "likeliest"
    """Of the finished reports of a study, take the likeliest (paper), or of the likeliest, as many as there are beams,
    the one that agrees best with the findings that the search was given."""
    evidence: float = 0.0
    """λ: how much the claims of partial reports, compared with the findings head, count beside the probability of their
    words; 0: not at all (paper)."""

    @property
    def candidates(self) -> int:
        """Return how many finished reports of each study are wanted."""
        return self.beams if self.choose == "agreeing" else 1

    def __post_init__(self) -> None:
        for name in ("beams", "max_words"):
            if getattr(self, name) < 1:
                raise InputError(f"generate.{name} = {getattr(self, name)}: must be at least 1")
        if not 0 <= self.word_reward < math.inf:
            raise InputError(f"generate.word_reward = {self.word_reward}: must be a number, 0 or more")
        if not 0 <= self.evidence < math.inf:
            raise InputError(f"generate.evidence = {self.evidence}: must be a number, 0 or more")

    def override(
        self, *, beams: int | None = None, choose: Choose | None = None, evidence: float | None = None
    ) -> "BeamSettings":
        """Return the settings with what a caller asks for instead; None leaves a setting as it is."""
        asked: dict[str, Any] = {"beams": beams, "choose": choose, "evidence": evidence}
        return dataclasses.replace(self, **{name: value for name, value in asked.items() if value is not None})
