"""The run's journal: one JSON line an event, in the order of steps."""

import time
from pathlib import Path
from typing import Any

from xpronet.files import append_json_line, read_json_lines, write_json_lines

JOURNAL_FILE = "journal.jsonl"


class Journal:
    """Append events to a run's journal."""

    def __init__(self, run: Path, *, step: int = 0) -> None:
        """Open the journal; what it says of steps after `step` is dropped, since they will be taken again."""
        self._path = run / JOURNAL_FILE
        if self._path.exists():
            kept = [event for event in read_json_lines(self._path) if event["step"] <= step]
            write_json_lines(self._path, kept, overwrite=True)

    def write(self, event: str, *, step: int, **values: Any) -> None:
        """Append one event."""
        line = {"event": event, "step": step, "time": round(time.time(), 1), **values}
        append_json_line(self._path, line)


def read_journal(run: Path) -> list[dict[str, Any]]:
    """Return a run's events, oldest first.

    Raises:
        InputError: the run has no journal.
    """
    return read_json_lines(run / JOURNAL_FILE)
