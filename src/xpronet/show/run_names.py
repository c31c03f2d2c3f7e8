"""What several runs are called where they stand beside each other."""

from collections.abc import Sequence
from pathlib import Path

from xpronet.errors import InputError


def run_names(runs: Sequence[Path]) -> tuple[str, ...]:
    """Return the shortest ends of the folders' paths that tell the runs apart.

    Raises:
        InputError: a run is named twice.
    """
    parts = [run.resolve().parts for run in runs]
    twice = [str(run) for place, run in enumerate(runs) if parts[place] in parts[:place]]
    if twice:
        raise InputError(f"{twice[0]}: named twice; name each run once")
    longest = max(map(len, parts))
    for length in range(1, longest + 1):
        names = tuple("/".join(each[-length:]) for each in parts)
        if len(set(names)) == len(names):
            break
    return names
