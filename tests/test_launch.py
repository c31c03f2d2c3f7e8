"""How work is divided on the cores of a machine, and what the user's own word changes."""

import os

import pytest

from xpronet import launch
from xpronet.launch import THREADS_VARIABLE, WAITING, Division, Launch, divide, let_threads_sleep, read_launch


@pytest.fixture
def _unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (THREADS_VARIABLE, "GOMP_SPINCOUNT", *WAITING):
        # Set first, so that what the code under test sets is taken back, too.
        monkeypatch.setenv(name, "1")
        monkeypatch.delenv(name)


@pytest.mark.usefixtures("_unset")
@pytest.mark.parametrize(
    ("cores", "batch", "expected"),
    [(1, 16, (1, 1)), (2, 16, (2, 1)), (2, 4, (2, 1)), (2, 3, (1, 1)), (4, 2, (1, 1)), (8, 4, (2, 4)), (6, 8, (4, 1))],
)
def test_batches_are_divided_among_the_cores_where_they_are_large_enough(
    cores: int, batch: int, expected: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "num_cores", lambda: cores)
    assert divide(batch) == Division(processes=expected[0], threads=expected[1])


@pytest.mark.usefixtures("_unset")
def test_the_user_has_the_last_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "num_cores", lambda: 2)
    assert divide(2, processes=3) == Division(processes=3, threads=1)
    monkeypatch.setenv(THREADS_VARIABLE, "2")
    assert divide(16) == Division(processes=1, threads=None)
    assert divide(16, processes=2) == Division(processes=2, threads=None)


@pytest.mark.usefixtures("_unset")
def test_threads_wait_asleep_unless_the_user_says_how_they_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOMP_SPINCOUNT", "9")
    let_threads_sleep()
    assert "OMP_WAIT_POLICY" not in os.environ
    monkeypatch.delenv("GOMP_SPINCOUNT")
    let_threads_sleep()
    assert {name: os.environ[name] for name in WAITING} == WAITING


def test_a_started_process_finds_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    place = Launch(rank=1, local_rank=1, count=2, meeting="somewhere")
    for name, value in place.environment().items():
        monkeypatch.setenv(name, value)
    assert read_launch() == place


@pytest.mark.parametrize(
    ("called", "name"), [(".venv/bin/xpronet", ".venv/bin/xpronet"), ("/src/xpronet/__main__.py", "xpronet")]
)
def test_advice_names_the_program_as_it_was_called(called: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", [called, "report"])
    assert launch.program_name() == name
