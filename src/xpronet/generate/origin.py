"""Where predictions came from: a small file beside predictions.jsonl, so that anyone can look at their model again."""

import dataclasses
import hashlib
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from xpronet import __version__
from xpronet.data.corpus import Corpus
from xpronet.errors import InputError
from xpronet.files import read_json, write_json, write_json_lines
from xpronet.generate.corpus import predictions
from xpronet.generate.writer import LabelsFrom, Writer
from xpronet.model.checkpoint import fingerprint
from xpronet.progress import Tracker, silent

SUFFIX = ".run.json"
FORMAT = 1
CHOICES = {
    "labels_from": get_args(LabelsFrom),
    "choose": ("likeliest", "agreeing"),
    "precision": ("fp32", "bf16", "fp16"),
}


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What wrote a file of predictions, about what, and how fast."""

    run: Path
    """Run or checkpoint folder."""
    model: str
    """Fingerprint of its weights."""
    corpus: Path
    """Corpus folder."""
    split: str
    """The split that was predicted."""
    labels_from: LabelsFrom
    """What decided which prototypes were visible."""
    beams: int
    """Width of the search."""
    choose: Literal["likeliest", "agreeing"]
    """Which of the finished reports was taken."""
    precision: Literal["fp32", "bf16", "fp16"]
    """Arithmetic of the backbone."""
    device: str
    """Where it was computed: cpu or cuda."""
    studies: int
    """How many reports were written."""
    seconds: float
    """How long that took, from the first picture read to the last report written."""
    version: str = __version__
    """Of XProNet."""

    @property
    def rate(self) -> float:
        """Studies per second."""
        return self.studies / max(self.seconds, 1e-9)


def origin_path(written: Path) -> Path:
    """Return the file that tells where predictions came from: predictions.run.json beside predictions.jsonl."""
    return written.with_suffix(SUFFIX)


def write_predictions(
    path: Path,
    writer: Writer,
    *,
    run: Path,
    corpus: Corpus,
    split: str,
    batch: int = 32,
    overwrite: bool = False,
    track: Tracker = silent,
) -> Origin:
    """Write a report about every study of a split, and beside them where they came from.

    Args:
        path: predictions.jsonl to write, one study a line.
        writer: the model.
        run: the folder that it was loaded from.
        corpus: where the studies are.
        split: which of them.
        batch: studies at a time.
        overwrite: replace files that are there.
        track: tells how far the work is.

    Raises:
        InputError: a file is there already or cannot be written, or the studies cannot be used.
    """
    # Told before the long work, not after it.
    if origin_path(path).exists() and not overwrite:
        raise InputError(f"{origin_path(path)}: already exists; choose another name or add --overwrite")
    studies = corpus.split(split)
    model = fingerprint(run)
    started = time.monotonic()
    write_json_lines(path, predictions(writer, corpus, studies, batch=batch, track=track), overwrite=overwrite)
    origin = Origin(
        run=run,
        model=model,
        corpus=corpus.folder,
        split=split,
        labels_from=writer.labels_from,
        beams=writer.settings.beams,
        choose=writer.settings.choose,
        precision=writer.precision,
        device=writer.device.type,
        studies=len(studies),
        seconds=round(time.monotonic() - started, 3),
    )
    write_origin(path, origin, overwrite=overwrite)
    return origin


def write_origin(written: Path, origin: Origin, *, overwrite: bool = False) -> None:
    """Write beside a finished file of predictions where they came from.

    The folders are kept relative to the file, so that all may move together.
    """
    home = written.resolve().parent
    record = {
        "format": FORMAT,
        "predictions": _digest(written),
        **dataclasses.asdict(origin),
        "run": os.path.relpath(origin.run.resolve(), home),
        "corpus": os.path.relpath(origin.corpus.resolve(), home),
    }
    write_json(origin_path(written), record, overwrite=overwrite)


def read_origin(written: Path) -> Origin | None:
    """Return where predictions came from; None where nothing beside them tells, or it tells of other predictions.

    Raises:
        InputError: the file beside them is damaged.
    """
    path = origin_path(written)
    if not path.is_file() or not written.is_file():
        return None
    record = read_json(path)
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise InputError(f"{path}: does not tell where predictions came from; remove it, or write them again")
    if record.get("predictions") != _digest(written):
        return None
    try:
        return _origin(record, written.resolve().parent)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: damaged ({error}); remove it, or write the predictions again") from None


def _origin(record: dict[str, Any], home: Path) -> Origin:
    for name, choices in CHOICES.items():
        if record[name] not in choices:
            raise ValueError(f"{name} {record[name]!r}")
    return Origin(
        run=Path(os.path.normpath(home / str(record["run"]))),
        model=str(record["model"]),
        corpus=Path(os.path.normpath(home / str(record["corpus"]))),
        split=str(record["split"]),
        labels_from=record["labels_from"],
        beams=int(record["beams"]),
        choose=record["choose"],
        precision=record["precision"],
        device=str(record["device"]),
        studies=int(record["studies"]),
        seconds=float(record["seconds"]),
        version=str(record["version"]),
    )


def _digest(file: Path) -> str:
    """Return the first 16 hexadecimal digits of a file's SHA-256."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:16]
