"""Numbers and tables as scorecards show them: for a terminal of 80 columns, and in Markdown."""

from collections.abc import Sequence
from html import escape

from rich import box
from rich.table import Table

from xpronet.evaluation.intervals import Difference, Estimate

Cells = Sequence[str]


def interval(estimate: Estimate | Difference | None, *, signed: bool = False) -> str:
    """Return a value and its interval, nothing for none."""
    if estimate is None:
        return ""
    low, high = (short(end, signed=signed) for end in (estimate.low, estimate.high))
    if signed:
        return f"{short(estimate.value, signed=True)} ({low} {high})"
    return f"{estimate.value:.3f} ({low}–{high})"


def short(value: float, *, signed: bool) -> str:
    """Return three decimals without the zero before the point, to fit two intervals on a line."""
    digits = f"{abs(value):.3f}"
    digits = digits.removeprefix("0")
    return f"{'-' if value < 0 else '+'}{digits}" if signed else digits


def p_value(value: float) -> str:
    """Return a p-value."""
    return "<.001" if value < 0.001 else short(value, signed=False)


def table(header: Cells, rows: Sequence[Cells]) -> Table:
    """Return a table for the terminal, its first column to the left."""
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True, padding=(0, 1))
    for number, name in enumerate(header):
        shown.add_column(name, justify="left" if number == 0 else "right", no_wrap=number == 0)
    for row in rows:
        shown.add_row(*row)
    return shown


def without(header: Cells, rows: Sequence[Cells], column: str) -> tuple[Cells, list[Cells]]:
    """Return a table without one of its columns, for a narrow terminal."""
    left_out = header.index(column)
    narrow: list[Cells] = [(*row[:left_out], *row[left_out + 1 :]) for row in (header, *rows)]
    return narrow[0], list(narrow[1:])


def markdown(header: Cells, rows: Sequence[Cells]) -> str:
    """Return a table in Markdown."""
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def html_table(header: Cells, rows: Sequence[Cells]) -> str:
    """Return a table in HTML."""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
