"""The journal after a kill."""

from pathlib import Path

import pytest

from xpronet.errors import InputError
from xpronet.training.run_folder import JOURNAL_FILE, Journal, read_journal


def steps(run: Path) -> list[int]:
    return [event["step"] for event in read_journal(run)]


@pytest.mark.parametrize("torn", ["{", '{"event": "step", "step": 3', '{"event": "step", "step": 3}', "\0\0\0"])
def test_a_torn_last_line_is_passed_over_and_repaired(torn: str, tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for step in (1, 2):
        journal.write("step", step=step)
    path = tmp_path / JOURNAL_FILE
    whole = path.read_text()
    path.write_text(whole + torn)
    assert steps(tmp_path) == [1, 2]
    Journal(tmp_path, step=2).write("step", step=3)
    assert steps(tmp_path) == [1, 2, 3]
    assert path.read_text().startswith(whole)


def test_steps_that_will_be_taken_again_are_dropped(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for step in (1, 2, 3):
        journal.write("step", step=step)
    Journal(tmp_path, step=1).write("step", step=2)
    assert steps(tmp_path) == [1, 2]


@pytest.mark.parametrize("line", ["{", "[]", '{"event": "step"}', '{"step": 1}', '{"event": 3, "step": 1}'])
def test_a_line_that_is_no_event_is_refused_by_number(line: str, tmp_path: Path) -> None:
    (tmp_path / JOURNAL_FILE).write_text('{"event": "step", "step": 1}\n' + line + "\n")
    with pytest.raises(InputError, match="line 2: not an event"):
        read_journal(tmp_path)
