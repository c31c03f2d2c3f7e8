"""Every command and code block of README.md and of the pages in docs is one that exists."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from cyclopts import App
from page_commands import commands_of

from xpronet.cli import app
from xpronet.experiment.recipe import make_recipe

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
TEXTS = {str(page.relative_to(ROOT)): page.read_text() for page in PAGES}
PLACEHOLDERS = {"I": "1", "N": "2"}
"""Numbers that pages leave open; other words in capitals are names of files, studies or findings."""
ALWAYS = {"--help", "--version"}


def fenced(language: str) -> list[tuple[str, str]]:
    return [
        (name, block)
        for name, text in TEXTS.items()
        for block in re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    ]


def indented(first_line: str) -> list[tuple[str, str]]:
    """Return the indented blocks whose first line begins like this, with their pages, not indented any more."""
    found = []
    for name, text in TEXTS.items():
        for block in re.findall(r"(?:^    .*\n|^\n(?=    ))+", text, re.MULTILINE):
            plain = re.sub(r"^    ", "", block.lstrip("\n"), flags=re.MULTILINE)
            if plain.startswith(first_line):
                found.append((name, plain))
    return found


def in_blocks() -> list[tuple[str, str]]:
    return [(name, command) for name, text in TEXTS.items() for command in commands_of(text)]


def mentioned() -> list[tuple[str, str]]:
    """Return the commands that sentences and tables mention, as far as they are written out."""
    inline = [
        (name, " ".join(code.split()))
        for name, text in TEXTS.items()
        for code in re.findall(r"`(xpronet [^`]*)`", text)
    ]
    return sorted({*inline, *(pair for pair in in_blocks() if "..." in pair[1])})


@pytest.mark.parametrize(("page", "command"), [pair for pair in in_blocks() if "..." not in pair[1]])
def test_commands_are_ones_that_the_command_line_takes(page: str, command: str):
    words = [PLACEHOLDERS.get(word, word) for word in command.split()[1:]]
    _, bound, ignored = app.parse_args(words, exit_on_error=False, print_error=False)
    assert bound.arguments or len(words) == 1
    assert not ignored


@pytest.mark.parametrize(("page", "command"), mentioned())
def test_commands_that_are_mentioned_exist_and_have_these_options(page: str, command: str):
    first, *rest = command.split()[1:]
    if first == "COMMAND":
        first, *rest = "train", *rest
    here: App = app
    words = [first, *rest]
    while words and not words[0].startswith("-") and here.default_command is None:
        here, words = here[words[0]], words[1:]
    if here.default_command is None:  # a group of commands, such as prepare
        assert not words
        return
    options = {name for argument in here.assemble_argument_collection() for name in argument.names}
    assert {word for word in words if word.startswith("--")} <= options | ALWAYS


@pytest.mark.parametrize(("page", "block"), fenced("toml"))
def test_toml_blocks_are_recipes(page: str, block: str):
    make_recipe(tomllib.loads(block), where=page)


@pytest.mark.parametrize(
    ("page", "block"),
    [
        (page, block)
        for page, block in fenced("python")
        if not (Path(__file__).parent / f"test_{Path(page).stem.lower()}.py").exists()
    ],
)
def test_python_blocks_of_pages_without_a_test_of_their_own_run(page: str, block: str, desk: Path):
    exec(compile(block, page, "exec"), {})


def test_no_other_kind_of_block_goes_unread():
    languages = {language for text in TEXTS.values() for language in re.findall(r"^```(\S+)$", text, re.MULTILINE)}
    assert languages <= {"python", "toml", "sh", "console", "{toctree}", "{eval-rst}"}


@pytest.mark.parametrize(("page", "script"), indented("#!/bin/bash"))
def test_scripts_are_shell(page: str, script: str):
    done = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("page", "manifest"), indented("apiVersion"))
def test_manifests_are_yaml(page: str, manifest: str):
    assert all("kind" in part for part in yaml.safe_load_all(manifest))


@pytest.mark.parametrize(
    ("page", "target"),
    sorted(
        {(name, target) for name, text in TEXTS.items() for target in re.findall(r"(?:^    |`)make ([\w-]+)", text)}
    ),
)
def test_make_has_these_targets(page: str, target: str):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize(
    ("page", "link"),
    sorted({(page, link) for page, text in TEXTS.items() for link in re.findall(r"\]\(([^)#:\s]+)[^):]*\)", text)}),
)
def test_links_lead_to_files(page: str, link: str):
    assert ((ROOT / page).parent / link).exists()
