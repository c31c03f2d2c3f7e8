"""Reports about corpora of any size: written in parts, by any number of processes, and joined in the corpus's order.

The parts lie beside the file that is to be, in a folder of its name and `.parts`. Each is written whole or not at all,
so that a run that was killed goes on with the first part that is missing, with the same number of processes or
another. No more than one part's studies and one batch's images are in memory at a time.
"""

import dataclasses
import hashlib
import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from xpronet.data.corpus import CORPUS_FILE, STUDIES_FILE, Corpus, each_study
from xpronet.data.dataset import Shard
from xpronet.data.study import Study
from xpronet.errors import InputError
from xpronet.files import new_file, read_json, write_json, write_json_lines
from xpronet.generation.generator import ReportGenerator
from xpronet.generation.predictions import predictions
from xpronet.generation.settings import GenerationSettings
from xpronet.progress import Tracker, silent

MADE_FILE = "parts.json"
FORMAT = 1


class PredictionShards:
    """The parts of one file of predictions."""

    def __init__(
        self, out: Path, *, model: str, corpus: Corpus, split: str, writer: ReportGenerator, part_size: int
    ) -> None:
        """Name the parts; nothing is read or written.

        Args:
            out: the file that they make together.
            model: fingerprint of the model's weights.
            corpus: opened; its studies are read one at a time.
            split: which of them.
            writer: what writes the reports.
            part_size: studies in a part.
        """
        self.out = out
        self.folder = out.with_name(f"{out.name}.parts")
        self.corpus = corpus
        self.split = split
        self.writer = writer
        self.part_size = part_size
        self._made = {
            "format": FORMAT,
            "model": model,
            "corpus": hashlib.sha256((corpus.folder / CORPUS_FILE).read_bytes()).hexdigest(),
            "studies_bytes": (corpus.folder / STUDIES_FILE).stat().st_size,
            "split": split,
            "labels_from": writer.labels_from,
            "search": dataclasses.asdict(writer.settings),
            "precision": writer.precision,
            "part_size": part_size,
        }

    def begin(self, *, overwrite: bool) -> None:
        """Make the folder, or find the one that an earlier run has left.

        Args:
            overwrite: the file may be replaced, and parts of something else may be thrown away.

        Raises:
            InputError: the file is there already, the folder holds parts of something else, or cannot be written.
        """
        if self.out.exists() and not overwrite:
            raise InputError(f"{self.out}: already exists; choose another name or add --overwrite")
        made = self.folder / MADE_FILE
        if made.is_file() and read_json(made) != self._made:
            if not overwrite:
                raise InputError(
                    f"{self.folder}: parts of other predictions (another model, corpus or setting); finish those, "
                    "remove the folder or add --overwrite"
                )
            shutil.rmtree(self.folder)
        if not made.is_file():
            # Several shards may begin at once: all write the same.
            write_json(made, self._made, overwrite=True)

    def write(self, share: Shard, settings: GenerationSettings, *, track: Tracker = silent) -> int:
        """Write the parts of a share that are missing; return how many reports were written.

        Raises:
            InputError: the corpus has no such study, an image cannot be read, or the disk is full.
        """
        written = 0
        for number, studies in self._cut():
            if number % share.of != share.number or self._path(number).is_file():
                continue
            lines = predictions(
                self.writer, self.corpus, studies, batch=settings.batch, workers=settings.workers, track=track
            )
            write_json_lines(self._path(number), lines)
            written += len(studies)
        return written

    def clear_if_empty(self) -> None:
        """Remove the folder where no part was written: nothing is left of a mistake."""
        if self.folder.is_dir() and not any(self.folder.glob("part-*")):
            shutil.rmtree(self.folder, ignore_errors=True)

    def missing(self) -> list[int]:
        """Return the numbers of the parts that are not written yet."""
        return [number for number, _ in self._cut() if not self._path(number).is_file()]

    @property
    def seconds(self) -> float:
        """Return the time from the beginning to the last part, pauses counted in."""
        ended = max(path.stat().st_mtime for path in self.folder.iterdir())
        return round(ended - (self.folder / MADE_FILE).stat().st_mtime, 3)

    def join(self, *, overwrite: bool) -> int:
        """Put all parts into the file, in order, and remove their folder; return the number of studies.

        Raises:
            InputError: the file cannot be written.
        """
        count = 0
        with new_file(self.out, overwrite=overwrite) as temporary, temporary.open("wb") as whole:
            for number, studies in self._cut():
                count += len(studies)
                with self._path(number).open("rb") as part:
                    shutil.copyfileobj(part, whole)
        shutil.rmtree(self.folder)
        return count

    def _cut(self) -> Iterator[tuple[int, list[Study]]]:
        """Yield the number and the studies of each part."""
        studies = each_study(self.corpus.folder, self.split)
        number = 0
        while taken := list(islice(studies, self.part_size)):
            yield number, taken
            number += 1
        if not number:
            raise InputError(f"{self.corpus.folder}: no study in split {self.split!r}")

    def _path(self, number: int) -> Path:
        return self.folder / f"part-{number:08d}.jsonl"


def read_shard(text: str) -> Shard:
    """Return the share that `3/8` means: the third of eight.

    Raises:
        InputError: it means none.
    """
    number, slash, count = text.partition("/")
    if not (slash and number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise InputError(f"--shard {text}: write which of how many, from 1, such as 3/8")
    return Shard(number=int(number) - 1, of=int(count))
