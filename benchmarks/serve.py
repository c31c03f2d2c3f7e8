"""Measure `xpronet serve` under load: requests a second from many clients, against one at a time.

`python benchmarks/serve.py RUN --corpus CORPUS` starts the server, sends 200 studies one after the other and 200 from
20 clients at a time, and compares every answer with what the model writes about that study alone.
"""

import argparse
import dataclasses
import http.client
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

BOUNDARY = "one-boundary-for-all"
TOLERANCE = 1e-4
"""Of log-probabilities and attention: sums of floats depend on the size of the batch in their last digits."""


def body_of(pictures: Sequence[Path]) -> bytes:
    """Return a multipart body with a study's images."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="views"; filename="view"\r\n\r\n'.encode()
    parts = [head + picture.read_bytes() + b"\r\n" for picture in pictures]
    return b"".join([*parts, f"--{BOUNDARY}--\r\n".encode()])


class Client:
    """One connection that is kept."""

    def __init__(self, address: str) -> None:
        self.connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=600)

    def post(self, body: bytes) -> tuple[int, bytes, float]:
        """Return status, answer and seconds."""
        started = time.perf_counter()
        headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        self.connection.request("POST", "/v1/reports", body, headers)
        answer = self.connection.getresponse()
        content = answer.read()
        return answer.status, content, time.perf_counter() - started


def load(address: str, bodies: Sequence[bytes], clients: int) -> tuple[list[tuple[int, bytes, float]], float]:
    """Send all bodies from some clients, each its share in turn; return the answers in order and the seconds."""
    results: list[tuple[int, bytes, float]] = [(0, b"", 0.0)] * len(bodies)

    def work(first: int) -> None:
        client = Client(address)
        for number in range(first, len(bodies), clients):
            results[number] = client.post(bodies[number])

    started = time.perf_counter()
    with ThreadPoolExecutor(clients) as threads:
        list(threads.map(work, range(clients)))
    return results, time.perf_counter() - started


def batches(address: str) -> tuple[float, float, float]:
    """Return how many batches the server has written so far, their studies and their seconds."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
    connection.request("GET", "/metrics")
    lines = dict(line.rsplit(" ", 1) for line in connection.getresponse().read().decode().splitlines())
    names = ("xpronet_batch_studies_count", "xpronet_batch_studies_sum", "xpronet_batch_seconds_sum")
    count, studies, seconds = (float(lines[name]) for name in names)
    return count, studies, seconds


def answers_alone(run: Path) -> Callable[[Sequence[Path]], dict[str, Any]]:
    """Return what writes about one study, as `xpronet report --json` does."""
    from xpronet.device import best_device
    from xpronet.generation.generator import ReportGenerator
    from xpronet.model.checkpoint import load_checkpoint
    from xpronet.model.checkpoint_files import fingerprint

    checkpoint = load_checkpoint(run)
    generator = ReportGenerator(checkpoint, device=best_device())
    model = fingerprint(run)

    def write(pictures: Sequence[Path]) -> dict[str, Any]:
        names = tuple(f"view-{number}{picture.suffix}" for number, picture in enumerate(pictures, 1))
        report = dataclasses.replace(generator.report(pictures, study_id="view-1"), view_names=names)
        answer: dict[str, Any] = json.loads(json.dumps(report.answer(model=model)))
        return answer

    return write


def same(given: Any, expected: Any) -> bool:
    """Tell whether two JSON values agree: texts exactly, numbers within the tolerance."""
    if isinstance(expected, dict):
        return given.keys() == expected.keys() and all(same(given[name], expected[name]) for name in expected)
    if isinstance(expected, list):
        return len(given) == len(expected) and all(map(same, given, expected))
    if isinstance(expected, float):
        return math.isclose(given, expected, abs_tol=TOLERANCE, rel_tol=TOLERANCE)
    return bool(given == expected)


def main() -> None:
    """Start a server, load it, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--batch", type=int, default=None)
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="cores of all workers together")
    arguments = parser.parse_args()

    from xpronet.data.corpus import open_corpus

    corpus = open_corpus(arguments.corpus)
    studies = [
        [corpus.view_path(view) for view in study.views[: 1 + number % 2]]
        for number, study in enumerate(corpus.split("test"))
    ]
    chosen = [studies[number % len(studies)] for number in range(arguments.requests)]
    bodies = [body_of(pictures) for pictures in chosen]
    command = [sys.executable, "-m", "xpronet", "serve", str(arguments.run), "--port", "0"]
    if arguments.workers:
        command += ["--workers", str(arguments.workers)]
    if arguments.batch:
        command += ["--batch-size", str(arguments.batch)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(arguments.threads)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as server:
        assert server.stdout is not None
        address = server.stdout.readline().split()[2]
        try:
            load(address, bodies[:8], 8)  # the model is loaded and warm
            alone, alone_seconds = load(address, bodies, 1)
            before = batches(address)
            together, together_seconds = load(address, bodies, arguments.clients)
            after = batches(address)
        finally:
            server.terminate()

    write = answers_alone(arguments.run)
    expected = {tuple(pictures): write(pictures) for pictures in chosen}
    lost = sum(status != 200 for status, _, _ in together)
    wrong = sum(
        status == 200 and not same(json.loads(content), expected[tuple(pictures)])
        for pictures, (status, content, _) in zip(chosen, together, strict=True)
    )
    for name, results, seconds in (
        ("one at a time", alone, alone_seconds),
        (f"{arguments.clients} clients", together, together_seconds),
    ):
        waits = sorted(wait for _, _, wait in results)
        p95 = waits[math.ceil(0.95 * len(waits)) - 1]
        rate, median = len(bodies) / seconds, statistics.median(waits)
        print(f"{name:>14}: {rate:6.2f} a second, median {median:.3f} s, p95 {p95:.3f} s")
    count, studies, seconds = (later - earlier for earlier, later in zip(before, after, strict=True))
    print(f"{count:.0f} batches of {studies / count:.1f} studies, {seconds / count:.3f} s each in the model")
    print(f"throughput x {alone_seconds / together_seconds:.2f}; lost {lost}, wrong {wrong} of {len(bodies)}")
    if lost or wrong:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
