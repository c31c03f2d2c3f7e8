import os
import sys
from pathlib import Path
from typing import Protocol, runtime_checkable

import pytest

from xpronet.errors import InputError
from xpronet.extensions import check_fulfils, is_outside, load_object

WHAT = "labeler"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on Python's path with one package in it."""
    site = tmp_path / "site"
    (site / "outside_things").mkdir(parents=True)
    (site / "outside_things" / "__init__.py").write_text("")
    (site / "outside_things" / "tools.py").write_text(
        "import os\nos.environ['OUTSIDE_RAN'] = 'yes'\nLIMIT = 3\n"
        "def make(): return 'made'\nclass Tool:\n    @staticmethod\n    def build(): return 'built'\n"
    )
    (site / "outside_things" / "needy.py").write_text("import package_that_nobody_has\n")
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("OUTSIDE_RAN", "no")
    yield site
    for name in [name for name in sys.modules if name.split(".")[0] == "outside_things"]:
        del sys.modules[name]


@pytest.mark.parametrize(("path", "made"), [("make", "made"), ("Tool.build", "built")])
def test_an_object_of_an_installed_package_is_loaded(installed: Path, path: str, made: str):
    assert load_object(f"python:outside_things.tools:{path}", what=WHAT, allow_code=True)() == made


def test_without_leave_nothing_is_imported_and_the_line_says_what_is_wanted(installed: Path):
    with pytest.raises(
        InputError, match=r"^labeler python:outside_things\.tools:make: .*'outside_things'.*--allow-code"
    ):
        load_object("python:outside_things.tools:make", what=WHAT, allow_code=False)
    assert os.environ["OUTSIDE_RAN"] == "no"
    assert "outside_things" not in sys.modules


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("python:outside_things.absent:make", "no module 'outside_things.absent' is installed"),
        ("python:nobody_has_this.tools:make", "no module 'nobody_has_this' is installed; pip install"),
        ("python:outside_things.needy:make", "needs the module 'package_that_nobody_has', which is not installed"),
        ("python:outside_things.tools:absent", "outside_things.tools has no 'absent'"),
        ("python:outside_things.tools:Tool.absent", "outside_things.tools has no 'Tool.absent'"),
        ("python:outside_things.tools:LIMIT", "a int cannot be called"),
        ("python:outside_things.tools", "not a name of the form python:package.module:object"),
        ("python:outside_things/tools.py:make", "not a name of the form"),
        ("python:.tools:make", "not a name of the form"),
        ("outside_things.tools:make", "not a name of the form"),
    ],
)
def test_what_cannot_be_loaded_is_said_in_one_line(installed: Path, name: str, told: str):
    with pytest.raises(InputError) as raised:
        load_object(name, what=WHAT, allow_code=True)
    assert str(raised.value).startswith(f"labeler {name}: ")
    assert told in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("first", ["", None])
def test_files_of_the_current_directory_are_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str | None
):
    """`python -m` and notebooks put the current directory before everything that is installed."""
    (tmp_path / "module_lying_about.py").write_text("def make(): return 1\n")
    monkeypatch.chdir(tmp_path)
    before = [str(tmp_path) if first is None else first, *sys.path]
    monkeypatch.setattr(sys, "path", list(before))
    with pytest.raises(InputError, match="no module 'module_lying_about' is installed"):
        load_object("python:module_lying_about:make", what=WHAT, allow_code=True)
    assert sys.path == before


@runtime_checkable
class Tool(Protocol):
    size: int

    def __call__(self) -> str: ...

    def rest(self) -> None: ...


def test_members_that_are_missing_are_named():
    class Half:
        size = 1

        def __call__(self) -> str:
            return ""

    with pytest.raises(InputError, match=r"^metric python:a:b: its Half lacks rest of Tool$"):
        check_fulfils(Half(), Tool, name="python:a:b", what="metric")
    with pytest.raises(InputError, match=r"its int lacks size, __call__, rest of Tool$"):
        check_fulfils(3, Tool, name="python:a:b", what="metric")
    Half.rest = lambda self: None
    check_fulfils(Half(), Tool, name="python:a:b", what="metric")


def test_only_python_names_are_outside():
    assert is_outside("python:a.b:c")
    assert not is_outside("hub:a/b")
    assert not is_outside("tfidf")
