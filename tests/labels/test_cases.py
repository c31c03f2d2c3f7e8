"""Sentences that are easily read wrong, by kind, and what is right for each: one line each in the tables of cases/."""

import csv
from pathlib import Path

import pytest

from xpronet.labels.findings import FINDINGS, State
from xpronet.labels.rules import RuleLabeler

TABLES = sorted(Path(__file__).with_name("cases").glob("*.csv"))
"""A column with the report, its line breaks as \\n, and one with the states that are right: `Edema=1|-1;Fracture=`."""


def read_cases(path: Path) -> list[tuple[str, dict[str, set[State]]]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return [
            (
                row["report"].replace("\\r", "\r").replace("\\n", "\n"),
                {
                    finding: {State(value) for value in values.split("|")}
                    for finding, values in (part.split("=") for part in row["right"].split(";"))
                },
            )
            for row in csv.DictReader(stream)
        ]


def test_there_are_cases_of_every_kind():
    cases = {path.stem: read_cases(path) for path in TABLES}
    assert len(cases) >= 15
    assert all(len(kind) >= 20 for kind in cases.values())
    assert {name for kind in cases.values() for _, right in kind for name in right} <= set(FINDINGS)


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_every_case_is_read_right(rules: RuleLabeler, path: Path):
    wrong = []
    for report, right in read_cases(path):
        states = rules.label(report)
        wrong += [(report, name, states[name]) for name, allowed in right.items() if states[name] not in allowed]
    assert wrong == []
