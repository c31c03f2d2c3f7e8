"""Draw the README's picture with the model that comes with the package: python docs/draw_readme.py [FILE]."""

import sys
from html import escape
from pathlib import Path

import xpronet
from xpronet.experiment.demo_report import draw_demo_study
from xpronet.generation.report import Report, WordEvidence
from xpronet.images.data_uri import image_uri
from xpronet.phantom.draw_views import POSITIONS

WORD, FINDING = "pneumothorax", "Pneumothorax"
"""The word whose prototypes are shown, and the finding that it claims, whose regions are."""
FINDINGS = 5
"""Rows of findings, the most probable first."""
WIDTH, HEIGHT, MARGIN, SIDE, GAP = 960, 390, 20, 224, 10
RIGHT = MARGIN + 2 * SIDE + GAP + 32
"""Left edge of the text."""
LINE, CHARACTERS = 24, 50
"""Height of a line of the report in pixels, and the most characters of one."""
INK, QUIET, MARK, BAR, PAPER = "#1f2933", "#5b6770", "#ffe3a3", "#0072b2", "#ffffff"
HEAT, MOST_HEAT, LEAST_HEAT = "#ffb000", 0.6, 0.03


def text(x: float, y: float, content: str, *, size: int = 14, colour: str = INK, more: str = "") -> str:
    """Return a line of text."""
    return f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{colour}" {more}>{content}</text>'


def view(x: float, image: str, added: list[list[float]], most: float, name: str) -> list[str]:
    """Return one image with what each region adds to the finding over it, and the view's name under it."""
    cell = SIDE / len(added)
    parts = [f'<image x="{x}" y="{MARGIN + 24}" width="{SIDE}" height="{SIDE}" href="{image}"/>']
    for row, line in enumerate(added):
        for column, value in enumerate(line):
            opacity = MOST_HEAT * value / most
            if opacity >= LEAST_HEAT:
                left, top = x + column * cell, MARGIN + 24 + row * cell
                parts.append(
                    f'<rect x="{left:g}" y="{top:g}" width="{cell:g}" height="{cell:g}" fill="{HEAT}" '
                    f'fill-opacity="{opacity:.2f}"/>'
                )
    return [*parts, text(x, MARGIN + 24 + SIDE + 18, name, size=12, colour=QUIET)]


def report_lines(words: list[str]) -> list[list[str]]:
    """Return the words of the report in lines."""
    lines: list[list[str]] = [[]]
    for word in words:
        if len(" ".join([*lines[-1], word])) > CHARACTERS:
            lines.append([])
        lines[-1].append(word)
    return lines


def written(report: Report, top: float) -> tuple[list[str], float]:
    """Return the report's text, its word marked, and where it ends."""
    parts = []
    lines = report_lines(report.text.split())
    for number, line in enumerate(lines):
        y = top + number * LINE
        spans = [
            f'<tspan font-weight="700" fill="#8a4b00">{escape(word)}</tspan>' if WORD in word else escape(word)
            for word in line
        ]
        parts.append(text(RIGHT, y, " ".join(spans), size=16))
    return parts, top + len(lines) * LINE


def findings(report: Report, top: float) -> tuple[list[str], float]:
    """Return rows of findings with their probabilities as bars, and where they end."""
    parts = [text(RIGHT, top, "FINDINGS, PREDICTED FROM THE IMAGES", size=11, colour=QUIET)]
    ranked = sorted(report.findings, key=lambda finding: -finding.probability)[:FINDINGS]
    for number, finding in enumerate(ranked):
        y = top + 22 + number * 20
        length = 130 * finding.probability
        weight = 'font-weight="700"' if finding.present else ""
        parts += [
            text(RIGHT, y, escape(finding.name), size=13, more=weight),
            f'<rect x="{RIGHT + 200}" y="{y - 10}" width="130" height="11" fill="#e4e9ed"/>',
            f'<rect x="{RIGHT + 200}" y="{y - 10}" width="{length:.1f}" height="11" fill="{BAR}"/>',
            text(RIGHT + 340, y, f"{finding.probability:.2f}", size=13),
        ]
    return parts, top + 22 + len(ranked) * 20


def evidence(word: WordEvidence, top: float) -> list[str]:
    """Return what the amber regions are, and which prototypes answered the word."""
    uses = ", ".join(f"{use.finding} {use.index + 1} ({use.weight:.0%})" for use in word.prototypes[:3])
    return [
        text(MARGIN, top, f"Amber: the regions that add to {escape(FINDING)}, the finding behind", size=13),
        text(MARGIN, top + 18, f"the word {escape(WORD)}. Prototypes that answered the word:", size=13),
        text(MARGIN, top + 36, escape(uses), size=13),
    ]


def draw() -> str:
    """Return the picture: a drawn study, its findings and report, and the evidence for one word."""
    study = draw_demo_study()
    report = xpronet.load("demo", device="cpu").report([study.views[position][0] for position in POSITIONS])
    word = next(word for word in report.words if word.text == WORD)
    assert report.images is not None
    [added] = [finding.regions for finding in report.findings if finding.name == FINDING]
    assert added is not None
    most = float(added.max())
    parts = [
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="8" fill="{PAPER}" stroke="#d5dce1"/>',
        text(MARGIN, MARGIN + 10, "DRAWN STUDY, TWO VIEWS", size=11, colour=QUIET),
        text(RIGHT, MARGIN + 10, "DRAFT REPORT", size=11, colour=QUIET),
    ]
    for number, position in enumerate(POSITIONS):
        uri = image_uri(report.images[number])
        parts += view(MARGIN + number * (SIDE + GAP), uri, added[number].tolist(), most, position)
    parts += evidence(word, MARGIN + 24 + SIDE + 46)
    lines, below = written(report, MARGIN + 38)
    rows, below = findings(report, below + 14)
    note = "The model that comes with the package: drawn X-rays only, worthless on patients."
    parts += [*lines, *rows, text(MARGIN, HEIGHT - 16, note, size=12, colour=QUIET)]
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'font-family="system-ui, sans-serif" role="img" aria-label="{escape(report.text)}">\n{body}\n</svg>\n'
    )


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("readme.svg")
    target.write_text(draw(), encoding="utf-8")
