"""Scorecards and comparisons for people: tables for a terminal of 80 columns, and Markdown."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from rich.console import Group, RenderableType
from rich.text import Text

from xpronet.evaluation.cells import Cells, html_table, interval, markdown, p_value, short, table, without
from xpronet.evaluation.comparison import Comparison, SideBySide
from xpronet.evaluation.constant_scores import ConstantBaseline
from xpronet.evaluation.finding_f1 import GROUPS, MAIN
from xpronet.evaluation.intervals import Difference
from xpronet.evaluation.language import BLEU_NAMES
from xpronet.evaluation.scorecard import SPEED, Row, Scorecard
from xpronet.evaluation.scorecard_sections import Section, sections
from xpronet.text.cleaning import readable

LANGUAGE = (*BLEU_NAMES, "METEOR", "ROUGE-L", "CIDEr")
CLINICAL = tuple(f"{kind}-F1 of {group}" for group in GROUPS for kind in ("macro", "micro", "example"))
BRIEF = (*LANGUAGE, *CLINICAL[:4], CLINICAL[6])
"""What fits a terminal; the files have the rest."""
BESIDE = ("BLEU-1", "BLEU-4", "CIDEr", MAIN)
"""The scores that baselines are shown with."""


def scorecard_view(card: Scorecard) -> RenderableType:
    """Return a scorecard for the terminal."""
    return Group(
        Text(f"{card.title}: {card.studies} studies, {card.abnormal_studies} of them abnormal", style="bold"),
        *([] if card.collapse is None else [Text(f"\n{card.collapse}", style="bold red")]),
        *(Text(f"\n{answer}") for answer in card.summary),
        Text(),
        Text(_stamp_line(card.stamp), style="dim"),
        table(_score_header(card), _score_rows(card, (*BRIEF, *card.metrics))),
        Text(f"above constant: {_constants_clause(card)}\n", style="dim"),
        table(_baseline_header(), _baseline_rows(card)),
        table(*without(FINDING_HEADER, _finding_rows(card), "both")),
        Text(f"{FINDING_CAPTION}\n", style="dim"),
        *(part for section in sections(card) for part in _section_view(section)),
        Text(_counts_line(card.counts)),
        *(Text(f"! {warning}", style="bold yellow") for warning in card.warnings),
    )


def scorecard_markdown(card: Scorecard) -> str:
    """Return a scorecard as a Markdown page."""
    parts = [f"# {card.title}: {card.studies} studies, {card.abnormal_studies} of them abnormal"]
    parts += [] if card.collapse is None else [f"> **{card.collapse}**"]
    parts += card.summary
    parts += [f"> **{warning}**" for warning in card.warnings]
    parts += [
        _counts_line(card.counts),
        "## Scores",
        markdown(_score_header(card), _score_rows(card, (*LANGUAGE, *CLINICAL, *card.metrics))),
        "In brackets: 95 % intervals over studies. Above constant: " + _constants_clause(card) + ".",
        "## Beside what needs no image",
        markdown(_baseline_header(), _baseline_rows(card)),
        "\n".join(f"* {row.name}: {row.how}." for row in card.baselines),
        "## Findings",
        markdown(FINDING_HEADER, _finding_rows(card)),
        FINDING_CAPTION,
        *(part for section in sections(card) for part in _section_markdown(section)),
        "## How this was measured",
        "\n".join(f"* {name}: {value}" for name, value in card.stamp.items()),
    ]
    return "\n\n".join(parts) + "\n"


def scorecard_html(card: Scorecard) -> str:
    """Return the main tables of a scorecard as HTML, for a notebook."""
    parts = [f"<p><strong>{escape(card.title)}: {card.studies} studies, {card.abnormal_studies} abnormal</strong></p>"]
    parts += [] if card.collapse is None else [f"<p><strong>{escape(card.collapse)}</strong></p>"]
    parts += [f"<p>{escape(answer)}</p>" for answer in card.summary]
    parts += [f"<p><strong>{escape(warning)}</strong></p>" for warning in card.warnings]
    tables = (
        (_score_header(card), _score_rows(card, (*BRIEF, *card.metrics))),
        (_baseline_header(), _baseline_rows(card)),
        (FINDING_HEADER, _finding_rows(card)),
    )
    return "<div>" + "".join(parts + [html_table(*one) for one in tables]) + "</div>"


def comparison_view(comparison: Comparison) -> RenderableType:
    """Return a comparison for the terminal."""
    first, second = comparison.names
    return Group(
        Text(f"{first} (A) against {second} (B): {comparison.studies} studies", style="bold"),
        Text(_stamp_line(comparison.stamp), style="dim"),
        table(COMPARISON_HEADER, _comparison_rows(comparison)),
        *(Text(f"! {warning}", style="bold yellow") for warning in comparison.warnings),
    )


def comparison_markdown(comparison: Comparison) -> str:
    """Return a comparison as a section of a Markdown page."""
    first, second = comparison.names
    parts = [f"## {first} (A) against {second} (B): {comparison.studies} studies"]
    parts += [f"> **{warning}**" for warning in comparison.warnings]
    parts += [markdown(COMPARISON_HEADER, _comparison_rows(comparison))]
    parts += ["\n".join(f"* {name}: {value}" for name, value in comparison.stamp.items())]
    return "\n\n".join(parts) + "\n"


def side_by_side_view(pair: SideBySide) -> RenderableType:
    """Return two saved scorecards for the terminal."""
    names = [name for name in pair.first.scores if name in pair.second.scores]
    rows = [(name, interval(pair.first.scores[name]), interval(pair.second.scores[name])) for name in names]
    return Group(
        Text(f"{pair.first.name} (A) beside {pair.second.name} (B): {pair.first.studies} studies", style="bold"),
        Text(_stamp_line(pair.first.stamp), style="dim"),
        table(("score", "A", "B"), rows),
        Text("Intervals of each, not of their difference: for that, compare the predictions.", style="dim"),
        *(Text(f"! Not comparable: {reason}.", style="bold yellow") for reason in pair.apart),
    )


def constant_baselines_view(baselines: Sequence[ConstantBaseline], protocol: str, studies: int) -> RenderableType:
    """Return constants and their scores for the terminal."""
    names = ("BLEU-1", "BLEU-4", "METEOR", "ROUGE-L", "CIDEr")
    rows = [
        (
            baseline.row.name,
            *(f"{baseline.row.scores[name].value:.3f}" if name in baseline.row.scores else "" for name in names),
        )
        for baseline in baselines
    ]
    parts: list[RenderableType] = [
        Text(f"One text for all {studies} studies, without any image ({protocol})", style="bold"),
        table(("constant", *names), rows),
    ]
    for baseline in baselines:
        bleu = interval(baseline.row.scores["BLEU-4"])
        parts += [Text(f"{baseline.row.name}: BLEU-4 {bleu}", style="bold"), Text(f"{readable(baseline.text)}\n")]
    return Group(*parts)


FINDING_HEADER = ("finding", "there", "named", "both", "F1", "denied", "invented")
FINDING_CAPTION = (
    "there: in the reference; named: in the generated report; denied: there, and the report says no in words; "
    "invented: named, and the reference says no in words."
)
COMPARISON_HEADER = ("score", "A", "B", "A - B", "p", "abnormal: A - B")


def _section_view(section: Section) -> list[RenderableType]:
    shown: list[RenderableType] = [Text(section.title, style="bold")]
    if section.rows:
        shown.append(table(section.header, section.rows))
    return [*shown, Text(f"{section.caption}\n", style="dim")]


def _section_markdown(section: Section) -> list[str]:
    shown = [f"## {section.title}"]
    if section.rows:
        shown.append(markdown(section.header, section.rows))
    return [*shown, section.caption]


def _score_header(card: Scorecard) -> Cells:
    return ("score", "all studies", f"{card.abnormal_studies} abnormal", "above constant")


def _score_rows(card: Scorecard, names: Iterable[str]) -> list[Cells]:
    lifts: dict[str, Difference] = {}
    for lift in (card.language_lift, card.findings_lift):
        lifts |= dict(lift.scores) if lift is not None else {}
    return [
        (
            name,
            interval(card.model.scores.get(name)),
            interval(card.model.abnormal.get(name)),
            interval(lifts.get(name), signed=True),
        )
        for name in names
        if name in card.model.scores
    ]


def _baseline_header() -> Cells:
    return ("reports of", *(name.replace(" of ", " ") for name in BESIDE), "abnormal BLEU-4")


def _baseline_rows(card: Scorecard) -> list[Cells]:
    def cells(row: Row) -> Cells:
        estimates = [row.scores.get(name) for name in BESIDE] + [row.abnormal.get("BLEU-4")]
        return (row.name, *("" if estimate is None else f"{estimate.value:.3f}" for estimate in estimates))

    return [cells(row) for row in (card.model, *card.baselines)]


def _finding_rows(card: Scorecard) -> list[Cells]:
    contradictions = {row.finding: row for row in card.contradictions}
    rows: list[Cells] = []
    for row in card.findings:
        opposite = contradictions.get(row.finding)
        words = ("", "") if opposite is None else (str(opposite.denied), str(opposite.invented))
        f1 = interval(card.model.scores.get(row.finding))
        rows.append((row.finding, str(row.present), str(row.predicted), str(row.hits), f1, *words))
    return rows


def _comparison_rows(comparison: Comparison) -> list[Cells]:
    return [
        (
            name,
            short(comparison.first[name], signed=False),
            short(comparison.second[name], signed=False),
            interval(comparison.differences[name], signed=True),
            p_value(comparison.differences[name].p_value),
            interval(comparison.abnormal.get(name), signed=True),
        )
        for name in (*LANGUAGE, *CLINICAL, *comparison.metrics)
        if name in comparison.differences
    ]


def _constants_clause(card: Scorecard) -> str:
    lifts = [lift.constant for lift in (card.language_lift, card.findings_lift) if lift is not None]
    return f"language against “{lifts[0]}”, findings against “{lifts[-1]}”" if lifts else "none, no train reports given"


def _stamp_line(stamp: Mapping[str, str]) -> str:
    return " · ".join(f"{name}: {value}" for name, value in stamp.items())


def _counts_line(counts: Mapping[str, float]) -> str:
    line = (
        f"{counts['distinct reports']:.0f} distinct reports (references: {counts['distinct references']:.0f}), "
        f"{counts['mean words']:.1f} words a report (references: {counts['mean reference words']:.1f})"
    )
    if "verbatim in train" in counts:
        line += (
            f", {counts['verbatim in train']:.0%} of reports verbatim in train "
            f"(references: {counts['references verbatim in train']:.0%})"
        )
    if SPEED in counts:
        line += f", written at {counts[SPEED]:.1f} studies a second"
    return line + "."
