"""What works on a machine: every extra is looked at, and what lacks names the line that installs it."""

import tomllib
from pathlib import Path

import pytest

from xpronet.experiment import capabilities
from xpronet.experiment.capabilities import EXTRAS, Capability

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


def told() -> dict[str, Capability]:
    return {each.name: each for each in capabilities.capabilities()}


def test_every_extra_is_looked_at() -> None:
    extras = tomllib.loads(PYPROJECT.read_text())["project"]["optional-dependencies"]
    assert {*EXTRAS, "dicom", "metrics", "dev", "docs"} >= set(extras) - {"all"}
    assert {f"[{name}]" for name in EXTRAS} <= told().keys()


def test_what_lacks_names_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capabilities, "find_spec", lambda name: None)
    monkeypatch.setattr(capabilities, "find_java", lambda: None)
    monkeypatch.setattr("shutil.which", lambda name: None)
    lacking = told()
    for name, line in (
        ("DICOM, HTJ2K", "pip install 'xpronet[dicom]'"),
        ("Java", "pip install 'xpronet[metrics]'"),
        ("[serve]", "pip install 'xpronet[serve]'"),
        ("Chromium", "apt-get install chromium"),
    ):
        assert not lacking[name].works
        assert lacking[name].line().startswith("no ")
        assert lacking[name].line().endswith(line)
