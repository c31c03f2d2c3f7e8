"""`xpronet table`: a table that was made before, and what papers print about the same models."""

from pathlib import Path

from rich.console import Console

WIDE = 160
"""Columns that cited numbers need; a narrower terminal wraps the lines."""


def table(folder: Path, /, *, published: bool = False, one_column: bool = False, force: bool = False) -> None:
    """Show a table of `xpronet rivals` again, beside the published numbers.

    Cited numbers stand in the columns of the measured ones only where split, references, truncation and the findings
    at test time are the same; the others stand apart, each with the reason.

    For example:

        xpronet table table1 --published

    Args:
        folder: of the table.
        published: show what papers print about the models, beside what was measured.
        one_column: put all cited numbers into the columns of the measured ones; refused where some are not comparable.
        force: put them there all the same.
    """
    from xpronet.errors import InputError
    from xpronet.experiment.published_table import published_view
    from xpronet.experiment.variant_runs import TABLE_FILE
    from xpronet.experiment.variant_table import read_variant_table, variants_view
    from xpronet.files import read_json

    path = folder / TABLE_FILE
    if not path.is_file():
        raise InputError(f"{path}: no such table; make it with `xpronet rivals RECIPE --out {folder}`")
    if one_column and not published:
        raise InputError("--one-column is about cited numbers: add --published")
    if force and not one_column:
        raise InputError("--force is about --one-column: add it, or leave --force out")
    made = read_variant_table(read_json(path), where=str(path))
    shown = published_view(made, one_column=one_column, force=force) if published else variants_view(made)
    console = Console(highlight=False, markup=False)
    if published:
        console.width = max(console.width, WIDE)
    console.print(shown)
