"""A generated report: its text, the findings behind it, and where each word came from."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True, kw_only=True)
class FindingScore:
    """How sure the model is of one finding."""

    name: str
    """One of the fourteen."""
    probability: float
    """Of the finding being present, 0 to 1."""
    threshold: float
    """At and above which the finding counts as present; chosen on the validation split."""
    present: bool
    """Whether the finding's prototypes were visible while the report was written."""


@dataclass(frozen=True, kw_only=True)
class PrototypeUse:
    """One prototype that answered a word."""

    finding: str
    """Whose prototype it is."""
    index: int
    """Which of that finding's prototypes, from 0."""
    weight: float
    """Share of the response, averaged over heads; the shares of one word add up to at most 1."""


@dataclass(frozen=True, kw_only=True)
class WordEvidence:
    """Why one word was written."""

    text: str
    """The word."""
    log_probability: float
    """Natural logarithm of its probability given the words before it."""
    attention: Float[np.ndarray, "views rows columns"]
    """Cross-attention on the regions of each view, averaged over layers and heads; sums to 1 over all views."""
    prototypes: tuple[PrototypeUse, ...]
    """The prototypes that answered it, strongest first."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """What the model wrote about one study. A draft, never a diagnosis."""

    id: str
    """The study's id."""
    text: str
    """The report."""
    findings: tuple[FindingScore, ...]
    """All fourteen; empty for a model without a findings head."""
    labels_from: str
    """Where the visible prototypes came from: predicted, reference or all."""
    log_probability: float
    """Natural logarithm of the report's probability."""
    words: tuple[WordEvidence, ...] = ()
    """Evidence for each word, where it was asked for."""

    def record(self) -> dict[str, Any]:
        """Return the report as JSON values, as a line of predictions.jsonl has them."""
        record: dict[str, Any] = {
            "id": self.id,
            "report": self.text,
            "findings": [asdict(finding) for finding in self.findings],
            "labels_from": self.labels_from,
            "log_probability": round(self.log_probability, 6),
        }
        if self.words:
            record["words"] = [_word_record(word) for word in self.words]
        return record

    def answer(self, *, model: str, views: Sequence[str]) -> dict[str, Any]:
        """Return the report as `report --json` and the HTTP interface give it.

        Args:
            model: the checkpoint's fingerprint.
            views: what each view is called, in order.
        """
        return {"model": model, "views": list(views), **self.record()}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Report":
        """Return the report that `record` or `answer` gave, without the evidence for its words."""
        return cls(
            id=record["id"],
            text=record["report"],
            findings=tuple(FindingScore(**finding) for finding in record["findings"]),
            labels_from=record["labels_from"],
            log_probability=record["log_probability"],
        )


def _word_record(word: WordEvidence) -> Mapping[str, Any]:
    return {
        "text": word.text,
        "log_probability": round(word.log_probability, 6),
        "attention": word.attention.round(5).tolist(),
        "prototypes": [
            {"finding": use.finding, "index": use.index, "weight": round(use.weight, 5)} for use in word.prototypes
        ],
    }
