"""What `xpronet label` prints: counts, agreement, evidence."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from xpronet.evaluation.finding_f1 import DEFINITIONS, Agreement, Score, disagreements, table_agreement
from xpronet.labels.findings import FINDINGS, State, Uncertain
from xpronet.labels.rules import Evidence

EXAMPLES_KEPT = 10
"""How many ids of each kind of disagreement go into the JSON file."""

EXAMPLES_SHOWN = 2
"""How many are printed."""

States = Mapping[str, Mapping[str, State]]


@dataclass(frozen=True, kw_only=True)
class LabelerComparison:
    """A labeler beside a table."""

    by_definition: Mapping[str, Agreement]
    """Agreement over 14, 13 and 5 findings."""
    disagreements: Mapping[str, tuple[Sequence[str], Sequence[str]]]
    """For each finding, the studies where only the labeler has it and those where only the table has it."""

    def record(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "agreement": {name: agreement.record() for name, agreement in self.by_definition.items()},
            "disagreements": {
                finding: {"only_labeler": list(added[:EXAMPLES_KEPT]), "only_table": list(missed[:EXAMPLES_KEPT])}
                for finding, (added, missed) in self.disagreements.items()
            },
        }


def compare(truth: States, predicted: States, uncertain: Uncertain) -> LabelerComparison:
    """Compare two tables of states under every definition."""
    return LabelerComparison(
        by_definition={
            name: table_agreement(truth, predicted, findings, uncertain) for name, findings in DEFINITIONS.items()
        },
        disagreements={finding: disagreements(truth, predicted, finding, uncertain) for finding in FINDINGS},
    )


def print_comparison(console: Console, comparison: LabelerComparison, source: Mapping[str, Any]) -> None:
    """Print agreement finding by finding, the means under each definition, and examples of where they differ."""
    whole = comparison.by_definition["14"]
    read = f"{source['labeler']} on {' or '.join(source['sections'])}"
    console.print(
        f"{read}, beside {source['against']}: split {source['split']}, {whole.studies} studies, "
        f"uncertain counts as {whole.uncertain}"
    )
    table = _table("finding", "table", "read", "both", "precision", "recall", "F1", "κ")
    for row in whole.per_finding:
        counts = (str(row.present), str(row.predicted), str(row.hits))
        table.add_row(row.finding, *counts, *map(_number, (row.precision, row.recall, row.f1, row.kappa)))
    for name, agreement in comparison.by_definition.items():
        table.add_section()
        for kind in ("micro", "macro", "example"):
            score: Score = getattr(agreement, kind)
            scores = map(_number, (score.precision, score.recall, score.f1))
            table.add_row(f"{kind}, {name} findings", "", "", "", *scores, "")
    console.print(table)
    for finding, sides in comparison.disagreements.items():
        told = [
            f"{len(ids)} {side} ({', '.join(ids[:EXAMPLES_SHOWN])}{', ...' if len(ids) > EXAMPLES_SHOWN else ''})"
            for side, ids in zip(("only read", "only in the table"), sides, strict=True)
            if ids
        ]
        if told:
            console.print(f"{finding}: {'; '.join(told)}")


def print_counts(console: Console, path: Path, counts: Mapping[str, Counter[State]], labeler: str) -> None:
    """Print how often each finding got each state."""
    table = _table("finding", *map(_said, State))
    for finding, states in counts.items():
        table.add_row(finding, *(str(states[state]) for state in State))
    console.print(table)
    studies = sum(counts[FINDINGS[0]].values())
    console.print(f"{path}: {studies} studies labelled by {labeler}", soft_wrap=True)


def print_unread(console: Console, ids: Sequence[str]) -> None:
    """Tell which reports the rules could not read; nothing where they read all."""
    if ids:
        shown = ", ".join(ids[:EXAMPLES_SHOWN]) + (", ..." if len(ids) > EXAMPLES_SHOWN else "")
        console.print(
            f"{len(ids)} reports do not seem to be in English ({shown}); the rules read English only, so all labels "
            "of these are blank",
            soft_wrap=True,
        )


def print_explanation(
    console: Console, study_id: str, states: Mapping[str, State], evidence: Sequence[Evidence]
) -> None:
    """Print a study's labels, and under each sentence what was read in it."""
    told = ", ".join(f"{name} {_said(state)}" for name, state in states.items() if state is not State.NOT_MENTIONED)
    console.print(f"{study_id}: {told or 'nothing mentioned'}")
    sentence = None
    for one in evidence:
        if one.sentence != sentence:
            sentence = one.sentence
            console.print(f"\n{sentence}.")
        cue = f" by “{one.cue}”" if one.cue else ""
        console.print(f"  {one.finding}: {_said(one.state)}, “{one.mention}”{cue}")


def _table(*columns: str) -> Table:
    table = Table(box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", no_wrap=True)
    return table


def _said(state: State) -> str:
    return state.name.lower().replace("_", " ")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
