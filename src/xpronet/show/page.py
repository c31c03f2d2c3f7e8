"""One page of generated reports that explains itself: a single HTML file that reaches for nothing outside it."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from xpronet.errors import InputError
from xpronet.files import write_text
from xpronet.generation.report import Report
from xpronet.show.overlay import evidence_record, picture_uri
from xpronet.show.wording import Run, find_words, marked_runs, readable_words, shared_words

CONTENTS_FROM = 4
"""Studies from which the page opens with a table of contents."""

SOURCES = {
    "predicted": "Findings predicted from the images",
    "reference": "Findings read from the reference report",
    "all": "All prototypes were visible, whatever the findings",
}
"""What `Report.labels_from` says, in words."""

PRESENT_MEANS = {"predicted": "Present", "reference": "Given", "all": "Visible"}
"""What `FindingScore.present` means for each source of labels, as the head of its column."""


@dataclass(frozen=True, kw_only=True)
class PageStudy:
    """One study as the page shows it."""

    report: Report
    """What the model wrote; with evidence its words can be pointed at."""
    views: tuple[UInt8[np.ndarray, "height width"], ...]
    """The squares the network saw, in order."""
    positions: tuple[str | None, ...]
    """View position of each (PA, LATERAL, ...), None where nobody knows."""
    reference: str | None = None
    """The report a radiologist wrote, where there is one."""
    reference_findings: tuple[str, ...] | None = None
    """Names of the findings that the reference report states; None where nobody has labelled it."""

    def __post_init__(self) -> None:
        assert len(self.views) == len(self.positions), "every view has a position, if only None"


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
class _Section:
    """One study, ready for the template."""

    id: str
    pictures: tuple[tuple[str, str], ...]
    text: tuple[Run, ...]
    reference: tuple[Run, ...] | None
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
        path: where it goes.
        studies: what it shows, at least one.
        title: its heading.
        summary: rows of a small table under the heading: a name and its value.
        note: a paragraph under the heading.
        overwrite: replace what is there.

    Raises:
        InputError: there is no study, `path` exists and `overwrite` is false, or it cannot be written.
    """
    if not studies:
        raise InputError(f"{path}: a page needs at least one study; choose a split or a list that has some")
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
    """Return a Content-Security-Policy that allows images inside the file, this style and this script, no more."""
    hashes = [
        "'sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode() + "'"
        for content in (style, script)
    ]
    return (
        f"default-src 'none'; img-src data:; style-src {hashes[0]}; script-src {hashes[1]}; "
        "base-uri 'none'; form-action 'none'"
    )


def _section(study: PageStudy) -> _Section:
    report = study.report
    if report.words:
        text, words = readable_words([word.text for word in report.words])
    else:
        text, words = report.text, find_words(report.text)
    reference_words = find_words(study.reference or "")
    return _Section(
        id=report.id,
        pictures=tuple(
            (position or f"View {number}", picture_uri(view))
            for number, (view, position) in enumerate(zip(study.views, study.positions, strict=True), 1)
        ),
        text=marked_runs(text, words, shared_words(words, reference_words)),
        reference=(
            marked_runs(study.reference, reference_words, shared_words(reference_words, words))
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


def _finding_rows(study: PageStudy) -> tuple[_FindingRow, ...]:
    """Return the model's findings, then those of the reference that the model doesn't know."""
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
