"""What all commands share: help with examples, the options of every command, names that agree, mistakes at once."""

import os
import re
import shlex
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from cyclopts import App

from xpronet.cli import app, run
from xpronet.corpora import table
from xpronet.device import DEVICE_VARIABLE, best_device
from xpronet.errors import InputError
from xpronet.launch import THREADS_VARIABLE
from xpronet.progress import QUIET_VARIABLE, on_console

MEANINGS_APART = {
    "--labels",
    "--size",
    "--words",
    "--studies",
    "--workers",
    "--batch-size",
    "--precision",
    "--seconds",
    "--weights",
}
"""Options that mean another thing in each command, and are told apart by what they are given to."""
CHOICES_APART = {"--to", "--split", "--labels-from", "--force"}
"""Options that mean the same and rightly offer other choices."""


def commands(here: App = app, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], App]]:
    for name in here:
        if name.startswith("-"):
            continue
        command = here[name]
        if command.default_command is None:
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


NAMES = [" ".join(path) for path, _ in commands()]


@pytest.mark.parametrize("name", NAMES)
def test_help_has_an_example_that_runs(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    *groups, last = name.split()
    command = app
    for word in (*groups, last):
        command = command[word]
    examples = re.findall(r"^ {8}(xpronet .*)$", command.default_command.__doc__ or "", re.MULTILINE)
    assert examples
    for example in examples:
        words = shlex.split(example)[1:]
        assert words[: len(groups) + 1] == name.split()
        _, bound, ignored = app.parse_args(words, exit_on_error=False, print_error=False)
        assert not ignored
        assert bound.arguments or name in ("demo", "check")
    assert run([*name.split(), "--help"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert " ".join(examples[0].split()[:3]) in printed
    assert "--threads" in printed


def test_columns_of_a_table_stand_in_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    run(["prepare", "table", "--help"])
    printed = capsys.readouterr().out
    for columns in (
        table.ID_COLUMNS,
        table.REPORT_COLUMNS,
        table.IMAGE_COLUMNS,
        table.POSITION_COLUMNS,
        table.PATIENT_COLUMNS,
        table.SECTION_COLUMNS,
        ("split",),
    ):
        assert all(re.search(rf"\b{name}\b", printed) for name in columns), columns


def test_an_option_takes_the_same_kind_of_value_everywhere() -> None:
    kinds = defaultdict(lambda: defaultdict(list))
    for path, command in commands():
        for argument in command.assemble_argument_collection():
            for name in argument.names:
                if name.startswith("--") and name not in MEANINGS_APART:
                    kind = re.sub(r"^<class '(.*)'>$|^typing.Optional\[(.*)\]$", r"\1\2", str(argument.hint))
                    kinds[name][kind.replace(" | None", "")].append(" ".join(path))
    differing = {name: dict(found) for name, found in kinds.items() if len(found) > 1}
    assert differing.keys() <= CHOICES_APART, differing


def test_options_of_every_command_may_stand_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = []

    def describe(path: Path) -> list[str]:
        list(on_console(range(2), "Work", 2))
        names = (DEVICE_VARIABLE, THREADS_VARIABLE, QUIET_VARIABLE)
        seen.append((str(path), *(os.environ.get(name) for name in names), torch.get_num_threads()))
        return []

    monkeypatch.setattr("xpronet.experiment.describe.describe", describe)
    monkeypatch.delenv(THREADS_VARIABLE)
    for words in (["--threads", "2", "info", "x", "--device", "cpu", "--quiet"], ["info", "x"]):
        assert run(words) == 0
    assert seen == [("x", "cpu", "2", "1", 2), ("x", None, None, None, 1)]
    assert capsys.readouterr().err.count("Work: 2 in") == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("info x --device gpu", "--device gpu: no such device; give cpu, cuda, cuda:N or mps"),
        ("info x --threads 0", "--threads 0: must be at least 1"),
        ("info x --quiet --verbose", "--quiet and --verbose contradict each other"),
    ],
)
def test_wrong_values_of_these_are_told(words: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words.split()) == 2
    assert told in capsys.readouterr().err


def test_a_device_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DEVICE_VARIABLE, "cuda:99")
    with pytest.raises(InputError, match="this machine has no such device"):
        best_device()
    monkeypatch.setenv(DEVICE_VARIABLE, "cpu")
    assert best_device().type == "cpu"


def test_verbose_says_what_computes_and_where_a_mistake_was_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["info", str(tmp_path), "--verbose"]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("xpronet ")
    assert "describe.py" in printed
    assert "Took " in printed
    assert printed.rstrip().splitlines()[-1].startswith(f"xpronet: {tmp_path}: neither a run")


def test_what_follows_two_dashes_is_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["info", "--", "-none"]) == 2
    assert "-none: no such folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["train", "phantm", "--out", "x"], "did you mean phantom?"),
        (["trian", "phantom"], 'Did you mean "train"?'),
        (["train", "phantom", "--uot", "x"], "--out"),
        (["prepare", "tabel"], 'Did you mean "table"?'),
    ],
)
def test_misspelt_words_are_told_before_torch_is_imported(words: list[str], told: str) -> None:
    code = "import sys; from xpronet.cli import run; run(sys.argv[1:]); sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert told in done.stdout + done.stderr


def test_no_help_imports_torch() -> None:
    code = (
        "import sys; from xpronet.cli import run\n"
        "for line in sys.argv[1:]: run([*line.split(), '--help'])\n"
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, *NAMES], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("For example:") == len(NAMES)


def test_completion_scripts_know_the_commands() -> None:
    script = app.generate_completion(prog_name="xpronet", shell="bash")
    assert "import-checkpoint" in script
    assert "--with-permission" in script
