"""Ctrl-C and SIGTERM while a model is trained: the step under way is finished and saved first."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupted(KeyboardInterrupt):
    """Training was stopped by a signal and can be resumed."""


@contextmanager
def collect_interrupts(*, alone: bool = True) -> Iterator[list[int]]:
    """Collect the numbers of Ctrl-C and SIGTERM in a list instead of stopping in the middle of a step.

    A second signal stops at once. With several processes it does nothing: torchrun passes one Ctrl-C on more than
    once, and kills whatever has not ended after half a minute.
    """
    received: list[int] = []

    def handle(number: int, _: FrameType | None) -> None:
        if received and alone:
            raise KeyboardInterrupt
        received.append(number)

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
