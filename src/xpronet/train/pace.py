"""How fast training goes, and how long it will take."""

import time


class Pace:
    """Counts steps and studies since it was made."""

    def __init__(self) -> None:
        """Start the clock."""
        self._started = time.monotonic()
        self.steps = 0
        self.studies = 0

    def add(self, studies: int) -> None:
        """Count one step."""
        self.steps += 1
        self.studies += studies

    @property
    def seconds(self) -> float:
        """Return the time since the clock was started."""
        return time.monotonic() - self._started

    @property
    def studies_per_second(self) -> float:
        """Return the throughput so far."""
        return self.studies / max(self.seconds, 1e-9)

    def left(self, steps: int) -> float:
        """Return the seconds that further steps will take, what came between the steps so far counted in."""
        return steps * self.seconds / max(self.steps, 1)


def spelled(seconds: float) -> str:
    """Return a duration in the two units that matter: 2 d 3 h, 3 h 20 min, 5 min 10 s, 8 s."""
    whole = round(seconds)
    for unit, size, smaller, part in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // part} {smaller}"
    return f"{whole} s"
