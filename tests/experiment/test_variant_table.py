"""Scores of variants side by side, on a terminal and on a page."""

from typing import Any

import pytest
from rich.console import Console

from xpronet.evaluation.scorecard import ORACLE_TITLE
from xpronet.experiment.variant_table import (
    VariantTable,
    best_constants,
    make_variant,
    variants_markdown,
    variants_view,
)


def estimate(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.02, "high": value + 0.03}


def card(bleu: float, *, oracle: bool = False, lifts: bool = True) -> dict[str, Any]:
    names = ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L", "METEOR", "CIDEr", "macro-F1 of 13")
    return {
        "title": ORACLE_TITLE if oracle else "Scorecard",
        "model": {"scores": {name: estimate(bleu) for name in names}},
        "baselines": [
            {"name": "constant, best BLEU-4", "scores": {"BLEU-4": estimate(0.25), "macro-F1 of 13": estimate(0.02)}},
            {"name": "constant, best macro-F1", "scores": {"BLEU-4": estimate(0.1), "macro-F1 of 13": estimate(0.15)}},
        ],
        "language_lift": {"constant": "constant, best BLEU-4"} if lifts else None,
        "findings_lift": {"constant": "constant, best macro-F1"} if lifts else None,
    }


@pytest.fixture
def table() -> VariantTable:
    return VariantTable(
        title="Ablation: 240 test studies, 200 of them abnormal",
        stamp={"protocol": "full-text"},
        variants=(
            make_variant("full", [card(0.2), card(0.24)]),
            make_variant("w/o CMPNet", [card(0.1, oracle=True), card(0.1)]),
        ),
        constants=best_constants(card(0.2)),
    )


def test_seeds_are_joined(table: VariantTable) -> None:
    score = table.variants[0].scores["BLEU-4"]
    assert score.value == pytest.approx(0.22)
    assert (score.low, score.high) == (pytest.approx(0.20), pytest.approx(0.25))
    assert score.spread == pytest.approx(0.0282843, abs=1e-6)
    assert score.each == (0.2, 0.24)
    single = make_variant("full", [card(0.2)]).scores["BLEU-4"]
    assert single.spread is None
    assert not table.variants[0].oracle
    assert table.variants[1].oracle


def test_the_best_constants_stand_below(table: VariantTable) -> None:
    assert [row.name for row in table.constants] == ["constant, best BLEU-4", "constant, best macro-F1"]
    assert table.constants[1].scores["macro-F1 of 13"].value == 0.15
    assert best_constants(card(0.2, lifts=False)) == ()


def test_a_terminal_of_80_columns_shows_every_score(table: VariantTable) -> None:
    console = Console(width=80, record=True, file=None, quiet=False, no_color=True)
    with console.capture() as captured:
        console.print(variants_view(table))
    printed = captured.get()
    assert all(len(line) <= 80 for line in printed.splitlines())
    assert "…" not in printed
    for told in (
        *table.names[:-1],
        "macro-F1 13",
        "full",
        "w/o CMPNet (ORACLE)",
        "0.220 ± .028",
        "(.200–.250)",
        "0.150",
    ):
        assert told in printed, told
    assert "ORACLE: the model was given findings" in " ".join(printed.split())


def test_a_page_has_a_row_a_variant(table: VariantTable) -> None:
    page = variants_markdown(table)
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    assert len(rows) == 2 + 4
    assert len({row.count("|") for row in rows}) == 1
    assert rows[2].startswith("| full | 0.220 ± .028 (.200–.250) |")
    assert "mean over 2 seeds" in page
    assert "* protocol: full-text" in page
    single = VariantTable(title="t", stamp={}, variants=(make_variant("full", [card(0.2)]),), constants=())
    assert "all of one seed: another may change a score by more" in variants_markdown(single)
    assert "mean over" not in variants_markdown(single)
    assert "ORACLE" not in variants_markdown(single)
