"""The metric of docs/how_to/extend_metrics.md stands in a scorecard, from the command line and from Python."""

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from xpronet.cli import run

PAGE = "how_to/extend_metrics.md"


def test_the_metric_of_the_page(
    desk: Path,
    blocks: Callable[[str, str], list[str]],
    commands: Callable[[str], list[str]],
    install: Callable[[str, str], None],
    capsys: pytest.CaptureFixture[str],
):
    metric, use = blocks(PAGE, "python")
    install("my_metrics", metric)
    assert run(shlex.split("generate run --corpus corpus --out predictions.jsonl")) == 0
    [command] = commands(PAGE)
    assert run([*shlex.split(command)[1:], "--out", "card.json", "--skip-meteor", "--skip-retrieval"]) == 0
    page = Path("card.md").read_text()
    assert "length ratio" in page
    assert "shorter over longer length in words, my_metrics 1.0; higher is better" in page
    capsys.readouterr()
    exec(use, {})
    # 4 of 6 words, and 5 of 6.
    assert "| length ratio | 0.750 (.667–.833) | 0.833" in capsys.readouterr().out
