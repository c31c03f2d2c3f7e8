"""What the tests of pages share: code blocks, a page's classes as an installed package, a folder to run blocks in."""

import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from page_commands import commands_of

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="session")
def blocks() -> Callable[[str, str], list[str]]:
    """Return the fenced code blocks of a page in one language."""

    def read(page: str, language: str) -> list[str]:
        return re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)

    return read


@pytest.fixture(scope="module")
def install(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str, str], None]]:
    """Make a module importable as if its package were installed."""
    site, made = tmp_path_factory.mktemp("site"), []
    sys.path.insert(0, str(site))

    def write(name: str, code: str) -> None:
        (site / f"{name}.py").write_text(code)
        made.append(name)

    yield write
    sys.path.remove(str(site))
    for name in made:
        sys.modules.pop(name, None)


@pytest.fixture
def desk(tiny_run: Path, phantom_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder of the pages: run, corpus, frontal.png, lateral.png and recipe.toml."""
    shutil.copytree(tiny_run, tmp_path / "run", symlinks=True)
    shutil.copytree(phantom_folder, tmp_path / "corpus")
    shutil.copy(tiny_run / "recipe.toml", tmp_path / "recipe.toml")
    images = sorted((phantom_folder / "images").rglob("*.png"))
    for image, name in zip(images, ("frontal.png", "lateral.png"), strict=False):
        shutil.copy(image, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    # Java takes longer than all the rest; METEOR has tests of its own.
    monkeypatch.setattr("xpronet.evaluation.meteor.find_java", lambda: None)
    return tmp_path


@pytest.fixture(scope="session")
def commands() -> Callable[[str], list[str]]:
    """Return the `xpronet ...` lines of a page's indented or fenced blocks, without comments and explanations."""
    return lambda page: commands_of((DOCS / page).read_text())
