"""The project's metadata agree with each other, and a release that is wrong is told."""

import re
import tomllib
import zipfile
from pathlib import Path

import check_release
import yaml

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


def bounds() -> dict[str, str]:
    """Return the lower bound of each dependency that users install."""
    lines = [
        *PROJECT["dependencies"],
        *(line for name, lines in EXTRAS.items() if name not in ("dev", "docs") for line in lines),
    ]
    pairs = [line.split(">=") for line in lines if not line.startswith("xpronet[")]
    return {name.lower().replace("_", "-"): bound for name, bound in pairs}


def test_the_lowest_versions_are_the_bounds() -> None:
    lines = [line for line in (ROOT / "constraints-lowest.txt").read_text().splitlines() if not line.startswith("#")]
    lowest = {name.lower().replace("_", "-"): version for name, version in (line.split("==") for line in lines)}
    assert lowest.keys() == bounds().keys()
    for name, bound in bounds().items():
        assert f"{lowest[name]}.".startswith(f"{bound}."), name


def test_all_is_every_extra_but_those_of_development() -> None:
    [everything] = EXTRAS["all"]
    named = set(re.fullmatch(r"xpronet\[(.*)\]", everything)[1].split(","))
    assert named | {"all", "dev", "docs", "demo"} == EXTRAS.keys()
    assert set(EXTRAS["demo"]) <= set(EXTRAS["metrics"])


def test_pythons_are_those_that_are_tested() -> None:
    named = [line.rpartition(" ")[2] for line in PROJECT["classifiers"] if "Python :: 3." in line]
    assert named == ["3.11", "3.12", "3.13"]
    assert PROJECT["requires-python"] == f">={named[0]}"


def test_hooks_run_the_tools_of_make_check() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert [repository["repo"] for repository in hooks] == ["local"]
    entries = {hook["entry"].partition(" ")[0].rpartition("/")[2] for hook in hooks[0]["hooks"]}
    check = re.search(r"^check:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
    assert entries == set(re.findall(r"\$\(BIN\)/([\w-]+)", check))
    assert all(hook["language"] == "system" for hook in hooks[0]["hooks"])


def test_the_changelog_keeps_its_form() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    versions = re.findall(r"^## \[(.*?)\](?: - (\d{4}-\d{2}-\d{2}))?$", text, re.MULTILINE)
    assert versions[0] == ("Unreleased", "")
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", name) and date for name, date in versions[1:])
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        found = re.findall(r"^### (.*)$", part, re.MULTILINE)
        assert set(found) <= kinds
        assert len(found) == len(set(found))


def test_a_wheel_with_test_data_or_without_a_recipe_is_told(tmp_path: Path) -> None:
    wheel = tmp_path / "xpronet-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in ("xpronet/py.typed", "tests/data/film.png", "xpronet-0.1.0.dist-info/METADATA"):
            archive.writestr(name, "Name: xpronet\n\nnothing")
    problems = "\n".join(check_release.read_wheel(wheel))
    assert "holds tests/data/film.png" in problems
    assert "no xpronet/recipes/phantom.toml" in problems
    assert "Requires-Python is None" in problems
    assert "its description is not README.md" in problems
