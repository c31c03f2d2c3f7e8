"""The site of the docs: built without a warning, no link leads nowhere, no page is unreachable, nothing is too wide."""

import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from cyclopts import App

from xpronet.cli import app

DOCS = Path(__file__).parents[2] / "docs"
NARROW = 400
"""Width of a phone, in pixels."""

pytestmark = [pytest.mark.long, pytest.mark.slow]


class Page(HTMLParser):
    """What a page links to, what it loads, and the places in it that can be linked to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.loads: set[str] = set()
        self.ids: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.ids |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.add(given["href"])
        elif tag in {"script", "img", "iframe", "source"} and "src" in given:
            self.loads.add(given["src"])
        elif tag == "link" and given.get("rel") in {"stylesheet", "icon", "preload"}:
            self.loads.add(given["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for needed in ("sphinx", "furo", "myst_parser"):
        if importlib.util.find_spec(needed) is None:
            pytest.skip(f"{needed} is not installed: the extra [docs] has it")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", str(DOCS), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path.read_text()) for path in site.rglob("*.html") if "_static" not in path.parts}


def targets(page: Path, links: set[str]) -> Iterator[tuple[Path, str]]:
    """Yield the files that the links within the site lead to, with the place in them."""
    for link in links:
        parts = urlsplit(link)
        if not parts.scheme and not parts.netloc:
            yield (page.parent / unquote(parts.path)).resolve() if parts.path else page, unquote(parts.fragment)


def test_every_page_of_the_docs_is_there(site: Path, pages: dict[Path, Page]) -> None:
    sources = [path for path in DOCS.rglob("*") if path.suffix in {".md", ".ipynb"}]
    assert len(sources) > 25
    assert all((site / path.relative_to(DOCS)).with_suffix(".html") in pages for path in sources)


def test_links_lead_somewhere(pages: dict[Path, Page]) -> None:
    lost = [
        f"{page.name}: {target}#{place}"
        for page, read in pages.items()
        for target, place in targets(page, read.links | read.loads)
        if not target.is_file() or (place and target in pages and place not in pages[target].ids)
    ]
    assert not lost


def test_every_page_is_reached_from_home(site: Path, pages: dict[Path, Page]) -> None:
    reached, ahead = set(), [site / "index.html"]
    while ahead:
        page = ahead.pop()
        if page in pages and page not in reached:
            reached.add(page)
            ahead += [target for target, _ in targets(page, pages[page].links)]
    unreached = {page.name for page in pages if page not in reached}
    assert unreached <= {"genindex.html", "search.html"}


def test_nothing_is_loaded_from_elsewhere(site: Path, pages: dict[Path, Page]) -> None:
    loaded = {address for page in pages.values() for address in page.loads}
    loaded |= {
        address
        for style in site.rglob("*.css")
        for address in re.findall(r"""(?:url\(|@import )['"]?([^'")\s]+)""", style.read_text())
    }
    assert loaded
    assert not [address for address in loaded if re.match(r"(?:https?:)?//", address)]


def test_every_command_and_setting_has_its_place(site: Path) -> None:
    def each(parent: App, path: str) -> Iterator[str]:
        for name in (name for name in parent if not name.startswith("-")):
            here = f"{path} {name}"
            yield from [here] if parent[name].default_command is not None else each(parent[name], here)

    commands = (site / "reference" / "commands.html").read_text()
    named = list(each(app, "xpronet"))
    assert len(named) > 25
    assert [name for name in named if f"<h2>{name}<" not in commands] == []
    assert "--protocol" in commands
    settings = (site / "reference" / "settings.html").read_text()
    assert 'pre">theta</span>' in settings
    assert "Of the backbone’s parameters" in settings or "Of the backbone's parameters" in settings


def test_no_page_is_wider_than_a_phone(site: Path, pages: dict[Path, Page], tmp_path: Path) -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed")
    names = sorted(str(page.relative_to(site)) for page in pages)
    frames = "".join(f'<iframe width="{NARROW}" height="800" src="{name}"></iframe>' for name in names)
    script = """addEventListener("load", () => { document.title = "WIDE:"
        + [...document.querySelectorAll("iframe")]
            .filter(frame => {
                const column = frame.contentDocument.querySelector(".content")
                return column.scrollWidth > column.clientWidth
            })
            .map(frame => frame.getAttribute("src")).join(" ") + ":" })"""
    measured = site / "measure.html"
    measured.write_text(f"<!doctype html><style>iframe {{ border: 0 }}</style>{frames}<script>{script}</script>")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files", "--dump-dom"]
    profile = f"--user-data-dir={tmp_path}"
    command = [chromium, *options, profile, measured.as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    measured.unlink()
    assert re.findall(r"<title>WIDE:(.*?):</title>", shown) == [""]
