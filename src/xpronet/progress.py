"""Progress of long work: a bar on a terminal, plain lines elsewhere."""

import os
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Generic, Protocol, TypeVar, runtime_checkable

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

Item = TypeVar("Item")

SECONDS_BETWEEN_LINES = 10.0
QUIET_VARIABLE = "XPRONET_QUIET"
"""Set where the user wants no progress, for this process and those that it starts."""


@runtime_checkable
class Tracker(Protocol):
    """What library functions take to show progress."""

    def __call__(self, items: Iterable[Item], description: str, total: int) -> Iterable[Item]:
        """Yield `items` unchanged; `total` is how many there will be."""
        ...


class Noted(Generic[Item]):
    """Items with a status line (`note`) that the work may change; trackers that can show it do."""

    def __init__(self, items: Iterable[Item]) -> None:
        """Take the items, with an empty note."""
        self._items = items
        self.note = ""

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items)


class _NotedProgress(Progress):
    """A bar with the items' note below it."""

    noted: Noted[object] | None = None

    def get_renderables(self) -> Iterable[RenderableType]:
        yield from super().get_renderables()
        if self.noted is not None and self.noted.note:
            yield Text(self.noted.note, style="dim")


def silent(items: Iterable[Item], description: str, total: int) -> Iterable[Item]:
    """Return `items` and show nothing: the default of every library function."""
    return items


def on_console(items: Iterable[Item], description: str, total: int) -> Iterator[Item]:
    """Yield `items` with a progress bar on standard error, or plain lines where that is no terminal.

    Both say how much time is left. Under `--quiet` there is neither.
    """
    if os.environ.get(QUIET_VARIABLE):
        yield from items
        return
    console = Console(stderr=True)
    noted = items if isinstance(items, Noted) else None
    if console.is_terminal:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with _NotedProgress(*columns, console=console, expand=True) as progress:
            progress.noted = noted
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
            rate = done / (now - started)
            how = noted.note if noted is not None and noted.note else f"{rate:.1f} a second"
            left = f", {format_duration((total - done) / rate)} left" if total > done else ""
            sys.stderr.write(f"{description}: {done}/{total}, {how}{left}\n")
    sys.stderr.write(f"{description}: {done} in {time.monotonic() - started:.1f} s\n")


def format_duration(seconds: float) -> str:
    """Return a duration in its two largest units: 2 d 3 h, 3 h 20 min, 5 min 10 s, 8 s."""
    whole = round(seconds)
    for unit, size, smaller, part in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // part} {smaller}"
    return f"{whole} s"
