"""`xpronet serve`, as a user starts it, for the browser tests."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def served(run: Path, *options: str) -> Iterator[str]:
    """Serve a run and yield the address of its reading page."""
    command = [sys.executable, "-m", "xpronet", "serve", str(run), "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        line = server.stdout.readline()
        try:
            yield line.split()[2]
        finally:
            server.terminate()
