"""The commands of docs/how_to/compare.md put two models side by side."""

import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

from xpronet.cli import run
from xpronet.data.corpus import open_corpus

PAGE = "how_to/compare.md"


def test_the_commands_of_the_page(desk: Path, commands: Callable[[str], list[str]]) -> None:
    shutil.copytree("run", "run_b", symlinks=True)
    Path("run").rename("run_a")
    study = open_corpus(Path("corpus")).split("test")[0].id
    *score, draw = [shlex.split(line.replace(" ID ", f" {study} "))[1:] for line in commands(PAGE)]
    for words in score:
        assert run(words) == 0, words
    card = Path("card.md").read_text()
    assert "against" in card.lower()
    assert run(draw) == 0
    assert Path("compare.png").stat().st_size > 10_000
