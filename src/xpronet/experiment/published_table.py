"""Measured rows beside what papers print: comparable numbers in one column, all others apart, with the reason."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from xpronet.errors import InputError
from xpronet.evaluation.published import SPLITS, PublishedNumbers, read_published
from xpronet.experiment.variant_table import Variant, VariantTable
from xpronet.rivals.catalogue import CATALOGUE, OURS

SHOWN = ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "METEOR", "ROUGE-L", "CIDEr")


@dataclass(frozen=True, kw_only=True)
class CitedRow:
    """A source's numbers, and whether they may stand in a column with the measured ones."""

    numbers: PublishedNumbers
    """The numbers."""
    reasons: tuple[str, ...]
    """Why they are not comparable; nothing where they are."""


def cited_rows(table: VariantTable) -> tuple[CitedRow, ...]:
    """Return what papers print about the table's corpus, or everything where nobody else has tested on that corpus."""
    numbers = read_published()
    here = tuple(one for one in numbers if one.corpus == table.stamp.get("corpus"))
    return tuple(CitedRow(numbers=one, reasons=one.differs_from(table.stamp)) for one in here or numbers)


def published_view(table: VariantTable, *, one_column: bool = False, force: bool = False) -> RenderableType:
    """Return cited numbers beside measured ones.

    Args:
        table: the measured ones.
        one_column: put all cited numbers into the columns of the measured ones.
        force: even those that are not comparable.

    Raises:
        InputError: all are wanted in one column, some are not comparable, and nothing is forced.
    """
    cited = cited_rows(table)
    apart = [row for row in cited if row.reasons]
    if one_column and apart and not force:
        first = apart[0]
        raise InputError(
            f"{len(apart)} of {len(cited)} cited rows are not comparable with this table, the first is "
            f"{first.numbers.model} of {first.numbers.source} ({'; '.join(first.reasons)}); leave out --one-column, or "
            "add --force"
        )
    beside = cited if one_column else [row for row in cited if not row.reasons]
    parts: list[RenderableType] = [
        Text("Measured, and cited where comparable" if not one_column else "Measured and cited", style="bold")
    ]
    parts.append(_grid(table.rows, beside))
    if not one_column and apart:
        parts += [Text("Cited, not comparable with the rows above", style="bold"), _grid((), apart)]
    parts.append(Text(_footnotes(cited), style="dim"))
    return Group(*parts)


def _grid(measured: Sequence[Variant], cited: Sequence[CitedRow]) -> Table:
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True, padding=(0, 1))
    grid.add_column("model")
    grid.add_column("from")
    for name in SHOWN:
        grid.add_column(name, justify="right", no_wrap=True)
    grid.add_column("not comparable because")
    for variant in measured:
        scores = [variant.scores.get(name) for name in SHOWN]
        cells = ("" if score is None else f"{score.value:.3f}" for score in scores)
        grid.add_row(variant.name, "measured", *cells, "", end_section=False)
        name = _row_of(variant)
        own = [row for row in cited if name and row.numbers.row == name]
        for row in own:
            grid.add_row(*_cited(row))
    named = {_row_of(variant) for variant in measured} - {""}
    for row in cited:
        if row.numbers.row not in named:
            grid.add_row(*_cited(row))
    return grid


def _row_of(variant: Variant) -> str:
    """Return the name of the row whose title a variant has."""
    return next((name for name, notes in (CATALOGUE | OURS).items() if notes.title == variant.name), "")


def _cited(row: CitedRow) -> tuple[str, ...]:
    numbers = row.numbers
    how = "own paper" if numbers.obtained == "own" else "re-run"
    mark = "*" if numbers.in_table else ""
    return (
        f"  {numbers.model}{mark}",
        f"{how}: {numbers.source}",
        *(_cell(numbers, name) for name in SHOWN),
        "; ".join(row.reasons),
    )


def _cell(numbers: PublishedNumbers, name: str) -> str:
    """Return a printed score; a wrong one with its correction."""
    if name not in numbers.scores:
        return ""
    printed = f"{numbers.scores[name]:.3f}"
    return f"{printed}! {numbers.corrected[name]:.3f}" if name in numbers.corrected else printed


def _footnotes(cited: Sequence[CitedRow]) -> str:
    lines = ["* cited by the paper's table 1."]
    for row in cited:
        numbers = row.numbers
        if numbers.correction:
            lines.append(f"! {numbers.model}: {numbers.correction}.")
        said = [f"unsure: {numbers.unsure}"] if numbers.unsure else []
        said += [numbers.note] if numbers.note else []
        if said:
            lines.append(f"{numbers.model} of {numbers.source}: {'; '.join(said)}.")
    splits = sorted({row.numbers.split for row in cited})
    lines.append("Splits: " + "; ".join(f"{name} – {SPLITS[name]}" for name in splits) + ".")
    return "\n".join(lines)
