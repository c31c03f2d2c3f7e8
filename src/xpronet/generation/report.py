"""A generated report: its text, the findings behind it, and where each word came from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from xpronet.generation.checked_claims import CheckedSentence, LeftOut
from xpronet.images.data_uri import image_uri
from xpronet.model.out_of_distribution import WARNING
from xpronet.model.texture_gate import WARNING as NOT_DRAWN

_SCORE = ("name", "probability", "threshold", "present")


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
    regions: Float[np.ndarray, "views rows columns"] | None = field(default=None, compare=False)
    """What each region adds to the logit behind the probability, before calibration: with a constant of the finding
    they add up to it. None where no evidence was asked for."""


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
    language: float | None = None
    """Share of it that came from what had been written, and from no region; None of a model that does not tell."""


@dataclass(frozen=True, kw_only=True)
class GateScore:
    """How far one view is from the images that the model learned from."""

    score: float
    """Its distance, by the model's gate."""
    threshold: float
    """Scores above it are warned of."""

    @property
    def warned(self) -> bool:
        """Whether the view is unlike them."""
        return self.score > self.threshold


@dataclass(frozen=True, kw_only=True)
class Guarantee:
    """What is promised about the sentences of a report, or why nothing is."""

    max_error: float
    """The bound that was asked for: the expected share of false claims among those vouched for."""
    holds: bool
    """Whether it can be promised for this study."""
    note: str
    """What a reader must know of it, in a line."""

    def record(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"max_error": self.max_error, "holds": self.holds, "note": self.note}


@dataclass(frozen=True, kw_only=True)
class Report:
    """What the model wrote about one study. A draft, never a diagnosis. A notebook shows it with its images."""

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
    gate: tuple[GateScore, ...] = ()
    """One score a view; empty for a model without a gate."""
    texture: tuple[GateScore, ...] = ()
    """How unlike drawings each view is; empty for a model that did not learn from drawings."""
    view_names: tuple[str, ...] = ()
    """What each view is called, in order; empty where the caller gave no names."""
    images: UInt8[np.ndarray, "views height width"] | None = field(default=None, compare=False, repr=False)
    """The views as the network saw them; None where the report was not generated from a caller's images."""
    study_warnings: tuple[str, ...] = ()
    """What is odd about the images or the study as a whole, a line each."""
    sentences: tuple[CheckedSentence, ...] = ()
    """What each sentence claims and how far it can be believed; empty for a model without a findings head."""
    left_out: tuple[LeftOut, ...] = ()
    """What the findings head sees and the text does not say, the most probable first."""
    guarantee: Guarantee | None = None
    """What was promised about the marked sentences; None where nothing was asked for."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader must know before trusting the report, a line each: odd images, and out-of-distribution ones."""
        return (*self.refusals, *self.study_warnings, *self._named(self.gate, WARNING))

    @property
    def refusals(self) -> tuple[str, ...]:
        """Why there should be no report, a line for each view that is not of the kind that the model learned from."""
        return self._named(self.texture, NOT_DRAWN)

    def _named(self, scores: tuple[GateScore, ...], warning: str) -> tuple[str, ...]:
        names = self.view_names or tuple(f"view {number}" for number in range(1, len(scores) + 1))
        return tuple(f"{name}: {warning}" for name, view in zip(names, scores, strict=False) if view.warned)

    def doubts(self) -> tuple[str, ...]:
        """Return what a reader should doubt, a line each: sentences, findings left out, and the guarantee's extent.

        With a guarantee, the doubtful sentences are those that it does not cover.
        """
        lines = [
            f"[{'not vouched for' if sentence.vouched is False else sentence.verdict}] "
            f"{self.text[sentence.start : sentence.end]} ({sentence.reason})"
            for sentence in self.sentences
            if sentence.doubted
        ]
        lines += [f"Seen, not in the text: {finding.line}" for finding in self.left_out]
        if self.guarantee is not None:
            lines.append(f"At most {self.guarantee.max_error:g} false: {self.guarantee.note}")
        return tuple(lines)

    def _repr_html_(self) -> str:
        """Return the images, the findings that count as present, and the text, for a notebook."""
        images = "".join(
            f'<img src="{image_uri(view)}" alt="{escape(name)}" width="224" style="margin-right:8px">'
            for name, view in zip(self.view_names, self.images if self.images is not None else (), strict=False)
        )
        present = [finding for finding in self.findings if finding.present]
        findings = ", ".join(f"{escape(finding.name)} ({finding.probability:.2f})" for finding in present)
        warnings = "".join(f"<p><strong>Warning:</strong> {escape(line)}</p>" for line in self.warnings)
        doubts = "".join(f"<p>{escape(line)}</p>" for line in self.doubts())
        return (
            f"<div><div>{images}</div>{warnings}<p><strong>Findings:</strong> {findings or 'none predicted'}</p>"
            f"<p>{escape(self.text)}</p>{doubts}<p><em>A draft for research, never a diagnosis.</em></p></div>"
        )

    def record(self) -> dict[str, Any]:
        """Return the report as JSON values, as a line of predictions.jsonl has them."""
        record: dict[str, Any] = {
            "id": self.id,
            "report": self.text,
            "findings": [_finding_record(finding) for finding in self.findings],
            "labels_from": self.labels_from,
            "log_probability": round(self.log_probability, 6),
        }
        if self.sentences:
            record["sentences"] = [sentence.record() for sentence in self.sentences]
            record["left_out"] = [finding.record() for finding in self.left_out]
        if self.guarantee is not None:
            record["guarantee"] = self.guarantee.record()
        if self.words:
            record["words"] = [_word_record(word) for word in self.words]
        return record

    def answer(self, *, model: str) -> dict[str, Any]:
        """Return the report as `report --json` and the HTTP interface give it.

        Args:
            model: the checkpoint's fingerprint.
        """
        answer = {"model": model, "views": list(self.view_names), **self.record()}
        if self.gate:
            answer["gate"] = [
                {"score": round(view.score, 4), "threshold": round(view.threshold, 4)} for view in self.gate
            ]
        if self.texture:
            answer["texture"] = [
                {"score": round(view.score, 4), "threshold": round(view.threshold, 4)} for view in self.texture
            ]
        if self.gate or self.texture or self.study_warnings:
            answer["warnings"] = list(self.warnings)
        return answer

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Report":
        """Return the report that `record` or `answer` gave, without the evidence for its words.

        What the gate said, and warnings, are only in an answer.
        """
        return cls(
            id=record["id"],
            text=record["report"],
            findings=tuple(_finding_score(finding) for finding in record["findings"]),
            labels_from=record["labels_from"],
            log_probability=record["log_probability"],
            gate=tuple(GateScore(**view) for view in record.get("gate", ())),
            texture=tuple(GateScore(**view) for view in record.get("texture", ())),
            view_names=tuple(record.get("views", ())),
            sentences=tuple(CheckedSentence.from_record(sentence) for sentence in record.get("sentences", ())),
            left_out=tuple(LeftOut.from_record(finding) for finding in record.get("left_out", ())),
            guarantee=Guarantee(**record["guarantee"]) if "guarantee" in record else None,
            study_warnings=tuple(
                line for line in record.get("warnings", ()) if not line.endswith((f": {WARNING}", f": {NOT_DRAWN}"))
            ),
        )


def _finding_record(finding: FindingScore) -> dict[str, Any]:
    record: dict[str, Any] = {name: getattr(finding, name) for name in _SCORE}
    if finding.regions is not None:
        record["regions"] = finding.regions.round(5).tolist()
    return record


def _finding_score(record: Mapping[str, Any]) -> FindingScore:
    regions = np.array(record["regions"], np.float64) if record.get("regions") else None
    return FindingScore(**{name: record[name] for name in _SCORE}, regions=regions)


def _word_record(word: WordEvidence) -> Mapping[str, Any]:
    record = {
        "text": word.text,
        "log_probability": round(word.log_probability, 6),
        "attention": word.attention.round(5).tolist(),
        "prototypes": [
            {"finding": use.finding, "index": use.index, "weight": round(use.weight, 5)} for use in word.prototypes
        ],
    }
    return record if word.language is None else {**record, "language": round(word.language, 5)}
