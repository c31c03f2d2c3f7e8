"""The run's journal: one JSON line an event, in the order of steps.

Everything in it but times is a function of the recipe: a run that was killed and resumed has the journal of one that
never stopped.
"""

import json
import time
from pathlib import Path
from typing import Any

from xpronet.errors import InputError
from xpronet.files import append_json_line, read_text, sync, write_json_lines

JOURNAL_FILE = "journal.jsonl"


class Journal:
    """Append events to a run's journal."""

    def __init__(self, run: Path, *, step: int = 0) -> None:
        """Open the journal; what it says of steps after `step` is dropped, since they will be taken again."""
        self._path = run / JOURNAL_FILE
        if self._path.exists():
            kept = [event for event in read_journal(run) if event["step"] <= step]
            write_json_lines(self._path, kept, overwrite=True)

    def write(self, event: str, *, step: int, **values: Any) -> None:
        """Append one event."""
        line = {"event": event, "step": step, "time": round(time.time(), 1), **values}
        append_json_line(self._path, line)

    def sync(self) -> None:
        """Make the lines outlive a power cut; done before a checkpoint that stands for them."""
        if self._path.exists():
            sync(self._path)


def read_journal(run: Path, event: str | None = None) -> list[dict[str, Any]]:
    """Return a run's events, oldest first.

    A last line that is not whole is passed over: a kill or a power cut can come in the middle of it.

    Args:
        run: the run folder.
        event: only those of this name; by default all.

    Raises:
        InputError: the run has no journal, or one with something else in it.
    """
    path = run / JOURNAL_FILE
    events: list[dict[str, Any]] = []
    for number, line in enumerate(read_text(path).split("\n")[:-1], 1):
        found = _event(line)
        if found is None:
            raise InputError(f"{path}, line {number}: not an event of a training; remove the line, or name a run")
        events.append(found)
    return [found for found in events if event in (None, found["event"])]


def _event(line: str) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    whole = isinstance(event, dict) and isinstance(event.get("step"), int) and isinstance(event.get("event"), str)
    return event if whole else None
