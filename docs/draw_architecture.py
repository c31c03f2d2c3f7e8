"""Draw docs/explanation/architecture.svg from the import graph: python docs/draw_architecture.py [FILE]."""

import ast
import sys
import tomllib
from html import escape
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[1]
PACKAGE = "xpronet"
ROW, BOX_WIDTH, LEFT, TOP = 34, 640, 10, 40
FONT = "font-family='sans-serif'"


def rooms() -> list[str]:
    """Return the rooms and single modules in the order in which imports may go, the highest first."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    [contract] = settings["tool"]["importlinter"]["contracts"]
    return [name.removeprefix(f"{PACKAGE}.") for name in contract["layers"]]


def purpose(room: str) -> str:
    """Return the first sentence of a room's docstring."""
    path = ROOT / "src" / PACKAGE / room
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    text = ast.get_docstring(ast.parse(file.read_text())) or ""
    return text.split("\n")[0].rstrip(".")


def imports(names: list[str]) -> set[tuple[str, str]]:
    """Return the pairs of rooms of which the first imports the second."""
    graph = grimp.build_graph(PACKAGE, exclude_type_checking_imports=True, cache_dir=None)
    pairs = set()
    for module in graph.modules:
        for other in graph.find_modules_directly_imported_by(module):
            first, second = (name.split(".")[1] if "." in name else "" for name in (module, other))
            if first in names and second in names and first != second:
                pairs.add((first, second))
    return pairs


def draw(names: list[str], pairs: set[tuple[str, str]]) -> str:
    """Return the picture: a row for each room, and on the right an arc to a dot for each import."""
    rows = {name: number for number, name in enumerate(names)}
    # Rooms that nearly every other imports would hide the rest behind their arcs.
    common = {name for name in names if not (ROOT / "src" / PACKAGE / name).is_dir()}
    width, height = LEFT + BOX_WIDTH + 330, TOP + ROW * len(names) + 10
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{width}' height='{height}' viewBox='0 0 {width} {height}'>",
        f"<rect width='{width}' height='{height}' fill='white'/>",
        f"<text x='{LEFT}' y='24' {FONT} font-size='15' font-weight='bold'>Rooms of the package: each imports only "
        "from rooms below it</text>",
    ]
    for name, row in rows.items():
        y = TOP + ROW * row
        fill = "#f1f1f1" if name in common else "#dcebf7"
        parts += [
            f"<rect x='{LEFT}' y='{y}' width='{BOX_WIDTH}' height='{ROW - 6}' rx='5' fill='{fill}' stroke='#4a6f8f'/>",
            f"<text x='{LEFT + 10}' y='{y + 19}' {FONT} font-size='14' font-weight='bold'>{escape(name)}</text>",
            f"<text x='{LEFT + 120}' y='{y + 19}' {FONT} font-size='11.5'>{escape(_short(purpose(name)))}</text>",
        ]
    right = LEFT + BOX_WIDTH
    for first, second in sorted(pairs, key=lambda pair: (rows[pair[0]], rows[pair[1]])):
        if first in common or second in common:
            continue
        start, end = (TOP + ROW * rows[name] + (ROW - 6) / 2 for name in (first, second))
        reach = right + 14 + 15.5 * (rows[second] - rows[first])
        parts.append(
            f"<path d='M {right} {start + 4} C {reach} {start + 4}, {reach} {end - 4}, {right} {end - 4}' fill='none' "
            "stroke='#4a6f8f' stroke-opacity='0.45'/>"
        )
        parts.append(f"<circle cx='{right}' cy='{end - 4}' r='2.5' fill='#4a6f8f'/>")
    return "\n".join([*parts, "</svg>"]) + "\n"


def _short(text: str, most: int = 84) -> str:
    return text if len(text) <= most else text[: most - 1].rsplit(" ", 1)[0] + " …"


if __name__ == "__main__":
    names = rooms()
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "explanation" / "architecture.svg"
    target.write_text(draw(names, imports(names)))
