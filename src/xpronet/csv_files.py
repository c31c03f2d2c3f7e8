"""Rows of a CSV file by column name, compressed or not."""

import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from xpronet.errors import InputError

SEPARATORS = ";\t|"
"""What some programs write between columns in place of commas."""


def read_rows(path: Path, columns: Sequence[str] = ()) -> Iterator[tuple[dict[str, str], str]]:
    """Yield each row by lower-case column name, and its file and line; empty lines are skipped.

    Args:
        path: a .csv file, or a .csv.gz.
        columns: names, in lower case, that must be there.

    Raises:
        InputError: the file is missing, is no UTF-8 CSV with commas, lacks a column, or a row has too few or too many
            cells.
    """
    lines = read_cells(path)
    first, _ = next(lines, ([], ""))
    names = [name.strip().lower() for name in first]
    separator = next((mark for mark in SEPARATORS if len(names) == 1 and mark in names[0]), None)
    if separator is not None:
        raise InputError(
            f"{path}: has one column, {names[0][:80]!r}; columns are separated by commas, not by {separator!r}: "
            "save it as CSV with commas"
        )
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{path}: the column name {twice!r} is there twice; rename one")
    missing = [name for name in columns if name not in names]
    if missing:
        raise InputError(f"{path}: lacks the column {missing[0]!r}; it has {', '.join(names[:8]) or 'none'}")
    for cells, where in lines:
        if len(cells) != len(names):
            raise InputError(f"{where}: {len(cells)} cells in {len(names)} columns; quote texts that hold commas")
        yield dict(zip(names, cells, strict=True)), where


def read_cells(path: Path) -> Iterator[tuple[list[str], str]]:
    """Yield the cells of each row, the header among them, and its file and line; empty lines are skipped.

    Raises:
        InputError: the file is missing or is no UTF-8 CSV.
    """
    number = 0
    try:
        with path.open("rb") as stream:
            raw: Any = gzip.GzipFile(fileobj=stream) if path.suffix.lower() == ".gz" else stream
            with io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as text:
                reader = csv.reader(text, strict=True)
                for cells in reader:
                    number = reader.line_num
                    if cells:
                        yield cells, f"{path}, line {number}"
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not UTF-8 text after line {number}; save it as UTF-8") from None
    except csv.Error as error:
        raise InputError(f"{path}, line {number + 1}: not CSV ({error})") from None
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read ({error})") from None
