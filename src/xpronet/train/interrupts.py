"""Ctrl-C and SIGTERM end training after the step that is under way."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupted(KeyboardInterrupt):
    """Training was stopped from outside and can be resumed."""


@contextmanager
def interrupts(*, alone: bool = True) -> Iterator[list[int]]:
    """Collect Ctrl-C and SIGTERM in a list instead of breaking off in the middle of a step; a second one breaks off.

    Where the process is not alone, a second one does nothing: torchrun hands one Ctrl-C on more than once, and ends
    by force what does not end in half a minute.
    """
    asked: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        if asked and alone:
            raise KeyboardInterrupt
        asked.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
