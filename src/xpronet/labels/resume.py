"""Keep what a slow labeler has done, so that a stopped run goes on where it was."""

import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from xpronet.labels.findings import FINDINGS, State

Labels = dict[str, State]
LabelMany = Callable[[Iterable[tuple[str, str]]], Iterator[tuple[str, Labels]]]


def label_resumably(
    label_many: LabelMany, texts: Iterable[tuple[str, str]], kept: Path, labeler: str
) -> Iterator[tuple[str, Labels]]:
    """Yield the id and labels of each id and report, and keep them in a file as they come.

    What the file has already, of the same labeler and the same text, is not labelled again. The caller removes the file
    when all is written.

    Args:
        label_many: labels a stream of ids and reports, in order.
        texts: ids and reports.
        kept: a file of JSON lines, made where there is none.
        labeler: names the labeler and its weights; lines of another one are not used.
    """
    done = _read(kept)
    waiting: deque[tuple[str, str]] = deque()

    def unlabelled() -> Iterator[tuple[str, str]]:
        for study_id, report in texts:
            waiting.append((study_id, _key(labeler, study_id, report)))
            if waiting[-1][1] not in done:
                yield study_id, report

    with kept.open("a", encoding="utf-8") as stream:
        for study_id, labels in label_many(unlabelled()):
            key = next(key for name, key in waiting if name == study_id)
            values = [labels[name].value for name in FINDINGS]
            stream.write(json.dumps({"key": key, "labels": values}) + "\n")
            stream.flush()
            done[key] = values
            yield from _ready(waiting, done)
        yield from _ready(waiting, done)


def _ready(waiting: deque[tuple[str, str]], done: Mapping[str, list[str]]) -> Iterator[tuple[str, Labels]]:
    """Take from the front what has been labelled, so that the order of the studies stays."""
    while waiting and waiting[0][1] in done:
        study_id, key = waiting.popleft()
        yield study_id, {name: State(value) for name, value in zip(FINDINGS, done[key], strict=True)}


def _key(labeler: str, study_id: str, report: str) -> str:
    return hashlib.sha256("\0".join((labeler, study_id, report)).encode()).hexdigest()[:32]


def _read(kept: Path) -> dict[str, list[str]]:
    """Return what was kept; a last line that was cut off by a kill is taken out of the file."""
    if not kept.is_file():
        return {}
    lines = kept.read_bytes().split(b"\n")
    if lines[-1]:
        kept.write_bytes(b"".join(line + b"\n" for line in lines[:-1]))
    records = [json.loads(line) for line in lines[:-1]]
    return {record["key"]: record["labels"] for record in records}
