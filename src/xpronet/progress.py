"""Show how far long work has come: a bar on a terminal, a plain line now and then elsewhere."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar, runtime_checkable

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

Item = TypeVar("Item")

SECONDS_BETWEEN_LINES = 10.0


@runtime_checkable
class Tracker(Protocol):
    """What library functions take to tell how far they are."""

    def __call__(self, items: Iterable[Item], description: str, total: int) -> Iterable[Item]:
        """Hand on `items` unchanged; `total` is how many there will be."""
        ...


def silent(items: Iterable[Item], description: str, total: int) -> Iterable[Item]:
    """Hand on `items` and say nothing: the default of every library function."""
    return items


def on_console(items: Iterable[Item], description: str, total: int) -> Iterator[Item]:
    """Hand on `items` with a progress bar on standard error, or plain lines where that is no terminal."""
    console = Console(stderr=True)
    if console.is_terminal:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=console, expand=True) as progress:
            yield from progress.track(items, total=total, description=description)
        return
    started = shown = time.monotonic()
    done = 0
    for item in items:
        yield item
        done += 1
        now = time.monotonic()
        if now - shown >= SECONDS_BETWEEN_LINES:
            shown = now
            sys.stderr.write(f"{description}: {done}/{total}, {done / (now - started):.1f} a second\n")
    sys.stderr.write(f"{description}: {done} in {time.monotonic() - started:.1f} s\n")
