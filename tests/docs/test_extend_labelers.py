"""The labeler of docs/how_to/extend_labelers.md labels a corpus, from the command line and from Python."""

import csv
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from xpronet.cli import run

PAGE = "how_to/extend_labelers.md"


def test_the_labeler_of_the_page(
    desk: Path,
    blocks: Callable[[str, str], list[str]],
    commands: Callable[[str], list[str]],
    install: Callable[[str, str], None],
    capsys: pytest.CaptureFixture[str],
):
    labeler, use = blocks(PAGE, "python")
    install("my_labelers", labeler)
    label, against = commands(PAGE)
    assert run(shlex.split(label)[1:]) == 0
    assert "40 studies labelled by devices and effusions 1.0" in capsys.readouterr().out
    with Path("corpus/labels.csv").open() as stream:
        effusion = [row["Pleural Effusion"] for row in csv.DictReader(stream)]
    assert len(effusion) == 40
    assert "1" in effusion
    assert run(shlex.split(against)[1:]) == 0
    assert "Pleural Effusion" in capsys.readouterr().out
    exec(use, {})
    assert capsys.readouterr().out == "{'Pleural Effusion': 'NEGATIVE', 'Support Devices': 'POSITIVE'}\n"
