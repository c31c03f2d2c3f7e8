"""Recipes by name, and what is said of a misspelt one."""

import subprocess
import sys
from pathlib import Path

import pytest

from xpronet.errors import InputError
from xpronet.experiment.recipe_files import recipe_file


def test_a_file_or_a_name() -> None:
    shipped = recipe_file("phantom")
    assert shipped.name == "phantom.toml"
    assert recipe_file(shipped) == shipped
    assert recipe_file("rivals/adaatt").parent.name == "rivals"


def test_a_folder_of_that_name_is_no_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "phantom").mkdir()
    monkeypatch.chdir(tmp_path)
    assert recipe_file("phantom").name == "phantom.toml"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("phantm", "no recipe 'phantm' comes with this package; did you mean phantom?"),
        ("recipes/phantm.toml", "did you mean recipes/phantom.toml?"),
        ("../phantom", "no recipe '../phantom' comes with this package"),
        ("qqqq", "name a TOML file, or one of covid_chestxray, iu_xray,"),
    ],
)
def test_a_misspelt_name(name: str, told: str) -> None:
    with pytest.raises(InputError) as error:
        recipe_file(name)
    assert told in str(error.value)


def test_a_misspelt_file_beside_the_right_one(tmp_path: Path) -> None:
    (tmp_path / "my_study.toml").write_text("")
    with pytest.raises(InputError, match=r"did you mean .*/my_study\.toml"):
        recipe_file(tmp_path / "my_stduy.toml")


@pytest.mark.parametrize("command", ["train", "pretrain", "ablate", "prototypes"])
def test_a_misspelt_recipe_is_told_without_torch(command: str) -> None:
    words = [command, "phantm", "--out", "x"]
    code = f"import sys; from xpronet.cli import run; print(run({words}), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2", "False"]
    assert "did you mean phantom?" in done.stderr
