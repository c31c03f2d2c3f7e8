"""Generated reports with their evidence as one HTML file that loads nothing from outside."""

import base64
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from xpronet.errors import InputError
from xpronet.files import write_text
from xpronet.generation.check_claims import split_sentences
from xpronet.generation.report import Report, WordEvidence
from xpronet.images.data_uri import image_uri
from xpronet.show.wording import MatchedSpan, TextWord, find_words, matched_spans, readable_words, shared_words

CONTENTS_FROM = 4
"""Fewest studies for which the page has a table of contents."""

PARTS = 100_000
"""The whole number that represents 1 in attention and shares: shorter than decimals, and exact to 0.001 %."""

SOURCES = {
    "predicted": "Findings predicted from the images",
    "reference": "Findings read from the reference report",
    "all": "All prototypes were visible, whatever the findings",
}
"""`Report.labels_from` in words."""

PRESENT_MEANS = {"predicted": "Present", "reference": "Given", "all": "Visible"}
"""What `FindingScore.present` means for each source of labels, as the title of its column."""


@dataclass(frozen=True, kw_only=True)
class PageStudy:
    """One study as the page shows it."""

    report: Report
    """The generated report; its words are interactive where it has evidence."""
    views: tuple[UInt8[np.ndarray, "height width"], ...]
    """The squares the network saw, in order."""
    positions: tuple[str | None, ...]
    """View position of each (PA, LATERAL, ...), None where it is unknown."""
    reference: str | None = None
    """The radiologist's report, where there is one."""
    reference_findings: tuple[str, ...] | None = None
    """Names of the findings in the reference report; None where it has no labels."""

    def __post_init__(self) -> None:
        assert len(self.views) == len(self.positions), "one position for each view"


@dataclass(frozen=True, kw_only=True)
class _FindingRow:
    """One row of a findings table."""

    name: str
    probability: float | None
    threshold: float | None
    present: bool
    in_reference: bool

    @property
    def above(self) -> bool:
        return self.probability is not None and self.threshold is not None and self.probability >= self.threshold


@dataclass(frozen=True, kw_only=True)
class _Doubt:
    """A sentence that a reader should doubt."""

    sentence: str
    verdict: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class _StudySection:
    """One study, ready for the template."""

    id: str
    images: tuple[tuple[str, str], ...]
    text: tuple[MatchedSpan, ...]
    doubts: tuple[_Doubt, ...]
    doubted: dict[int, int]
    """Words of doubtful sentences, with the number of their doubt."""
    left_out: tuple[str, ...]
    guarantee: str
    reference: tuple[MatchedSpan, ...] | None
    findings: tuple[_FindingRow, ...]
    reference_findings: tuple[str, ...] | None
    labels_from: str
    source: str
    present_means: str
    log_probability: float
    evidence: dict[str, Any] | None


def write_page(
    path: Path,
    studies: Sequence[PageStudy],
    *,
    title: str,
    summary: Sequence[tuple[str, str]] = (),
    note: str = "",
    overwrite: bool = False,
) -> None:
    """Write generated reports with images, findings and evidence as one HTML file that works offline.

    Images, style and script are inside the file, and its Content-Security-Policy forbids everything else.

    Args:
        path: the file to write.
        studies: at least one.
        title: the heading.
        summary: rows of a table under the heading: a name and its value.
        note: a paragraph under the heading.
        overwrite: replace an existing file.

    Raises:
        InputError: there is no study, `path` exists and `overwrite` is false, or it cannot be written.
    """
    if not studies:
        raise InputError(f"{path}: a page needs at least one study; choose a split or a list that has one")
    write_text(path, _render(studies, title=title, summary=summary, note=note), overwrite=overwrite)


def _render(studies: Sequence[PageStudy], *, title: str, summary: Sequence[tuple[str, str]], note: str) -> str:
    assets = files("xpronet.show")
    template, style, script = (
        (assets / name).read_text(encoding="utf-8") for name in ("page.html.j2", "page.css", "page.js")
    )
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    return environment.from_string(template).render(
        title=title,
        summary=summary,
        note=note,
        sections=[_section(study) for study in studies],
        with_contents=len(studies) >= CONTENTS_FROM,
        style=Markup(style),  # ours, and hashed: escaping would change it
        script=Markup(script),
        policy=_policy(style, script),
    )


def _policy(style: str, script: str) -> str:
    """Return a Content-Security-Policy that allows images inside the file, this style and this script only."""
    hashes = [
        "'sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode() + "'"
        for content in (style, script)
    ]
    return (
        f"default-src 'none'; img-src data:; style-src {hashes[0]}; script-src {hashes[1]}; "
        "base-uri 'none'; form-action 'none'"
    )


def _section(study: PageStudy) -> _StudySection:
    report = study.report
    if report.words:
        text, words = readable_words([word.text for word in report.words])
    else:
        text, words = report.text, find_words(report.text)
    reference_words = find_words(study.reference or "")
    doubts = [number for number, sentence in enumerate(report.sentences) if sentence.doubted]
    return _StudySection(
        id=report.id,
        images=tuple(
            (position or f"View {number}", image_uri(view))
            for number, (view, position) in enumerate(zip(study.views, study.positions, strict=True), 1)
        ),
        text=matched_spans(text, words, shared_words(words, reference_words)),
        doubts=tuple(_doubt(report, number) for number in doubts),
        doubted=_doubted_words(report, words, doubts),
        left_out=tuple(finding.line for finding in report.left_out),
        guarantee=report.guarantee.note if report.guarantee is not None else "",
        reference=(
            matched_spans(study.reference, reference_words, shared_words(reference_words, words))
            if study.reference is not None
            else None
        ),
        findings=_finding_rows(study),
        reference_findings=study.reference_findings,
        labels_from=report.labels_from,
        source=SOURCES[report.labels_from],
        present_means=PRESENT_MEANS[report.labels_from],
        log_probability=report.log_probability,
        evidence=evidence_record(report, len(study.views)) if report.words else None,
    )


def _doubt(report: Report, number: int) -> _Doubt:
    sentence = report.sentences[number]
    return _Doubt(
        sentence=report.text[sentence.start : sentence.end],
        verdict="not vouched for" if sentence.vouched is False else sentence.verdict,
        reason=sentence.reason,
    )


def _doubted_words(report: Report, words: Sequence[TextWord], doubts: Sequence[int]) -> dict[int, int]:
    """Return the numbers of the words in doubtful sentences, with which doubt it is."""
    if report.words:
        spans = split_sentences([word.text for word in report.words])
        return {word: place for place, number in enumerate(doubts) for word in range(*spans[number])}
    found = {}
    for place, number in enumerate(doubts):
        sentence = report.sentences[number]
        inside = (index for index, word in enumerate(words) if sentence.start <= word.start < sentence.end)
        found.update(dict.fromkeys(inside, place))
    return found


def _finding_rows(study: PageStudy) -> tuple[_FindingRow, ...]:
    """Return the model's findings, then those of the reference that the model does not know."""
    stated = study.reference_findings or ()
    rows = [
        _FindingRow(
            name=score.name,
            probability=score.probability,
            threshold=score.threshold,
            present=score.present,
            in_reference=score.name in stated,
        )
        for score in study.report.findings
    ]
    known = {row.name for row in rows}
    rows += [
        _FindingRow(name=name, probability=None, threshold=None, present=False, in_reference=True)
        for name in stated
        if name not in known
    ]
    return tuple(rows)


def evidence_record(report: Report, num_views: int) -> dict[str, Any]:
    """Return the evidence of a report's words as JSON values.

    The values: `parts`, the whole number that represents 1; `columns` of the attention grids; `findings`, the names
    that prototypes refer to; `words`, each with its probability `p`, its `attention` (a flat list for each view, row
    by row) and its `prototypes` (index in `findings`, number, share); `regions`, by finding the share of each region
    in the evidence for it, for findings with any.

    Args:
        report: with at least one word of evidence.
        num_views: images shown; views that pad the batch come after them and are left out.
    """
    assert report.words, "without evidence there is nothing to show"
    names = sorted({use.finding for word in report.words for use in word.prototypes})
    return {
        "parts": PARTS,
        "columns": report.words[0].attention.shape[2],
        "findings": names,
        "words": [_word_record(word, names, num_views) for word in report.words],
        "regions": {
            finding.name: grids
            for finding in report.findings
            if finding.regions is not None and (grids := _region_shares(finding.regions[:num_views]))
        },
    }


def _region_shares(regions: Float[np.ndarray, "views rows columns"]) -> list[list[int]]:
    """Return each region's share in all that is added to a finding's logit; empty where nothing is."""
    added = np.maximum(regions.astype(np.float64), 0)
    if not added.any():
        return []
    grids: list[list[int]] = np.rint(added / added.sum() * PARTS).astype(int).reshape(len(added), -1).tolist()
    return grids


def _word_record(word: WordEvidence, names: list[str], num_views: int) -> dict[str, Any]:
    assert word.attention.shape[0] >= num_views, "every image shown was attended to"
    grids = np.rint(word.attention[:num_views].astype(np.float64) * PARTS).astype(int)
    return {
        "p": round(math.exp(word.log_probability), 4),
        "attention": grids.reshape(num_views, -1).tolist(),
        "prototypes": [[names.index(use.finding), use.index, round(use.weight * PARTS)] for use in word.prototypes],
    }
