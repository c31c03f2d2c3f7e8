"""Reports about corpora of any size: written in parts, by any number of processes, and joined in the corpus's order.

The studies of a split are divided evenly: shard 3/8 has the third eighth of them, however many there are. A shard is
written in parts beside the file that is to be, in a folder of its name and `.parts`; a part is named by the studies it
holds, and is written whole or not at all. A run that was killed therefore continues with what is missing, with the same
number of processes or another. No more than one part's studies and one batch's images are in memory at a time.
"""

import dataclasses
import re
import shutil
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path

from xpronet.data.corpus import CORPUS_FILE, STUDIES_FILE, Corpus, each_study
from xpronet.data.dataset import Shard
from xpronet.data.study import Study
from xpronet.errors import InputError
from xpronet.files import file_hash, new_file, read_json, write_json, write_json_lines
from xpronet.generation.generator import ReportGenerator
from xpronet.generation.predictions import predictions
from xpronet.generation.settings import GenerationSettings
from xpronet.progress import Tracker, silent

MADE_FILE = "parts.json"
FORMAT = 2
_PART = re.compile(r"part-(\d+)-(\d+)\.jsonl")


class PredictionShards:
    """The parts of one file of predictions."""

    def __init__(
        self, out: Path, *, model: str, corpus: Corpus, split: str, generator: ReportGenerator, part_size: int
    ) -> None:
        """Name the parts; nothing is read or written.

        Args:
            out: the file that they make together.
            model: fingerprint of the model's weights.
            corpus: opened; its studies are read one at a time.
            split: which of them.
            generator: what writes the reports.
            part_size: studies in a part, at most.
        """
        self.out = out
        self.folder = out.with_name(f"{out.name}.parts")
        self.corpus = corpus
        self.split = split
        self.generator = generator
        self.part_size = part_size
        self._made = {
            "format": FORMAT,
            "model": model,
            "corpus": file_hash(corpus.folder / CORPUS_FILE),
            "studies_bytes": (corpus.folder / STUDIES_FILE).stat().st_size,
            "split": split,
            "labels_from": generator.labels_from,
            "search": dataclasses.asdict(generator.settings),
            "precision": generator.precision,
            "max_error": generator.max_error,
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

    @cached_property
    def num_studies(self) -> int:
        """Return how many studies the split has.

        Raises:
            InputError: it has none.
        """
        count = sum(1 for _ in each_study(self.corpus.folder, self.split))
        if not count:
            raise InputError(f"{self.corpus.folder}: no study in split {self.split!r}")
        return count

    def write(self, shard: Shard, settings: GenerationSettings, *, track: Tracker = silent) -> int:
        """Write the missing parts of a shard; return how many reports were written.

        Raises:
            InputError: the corpus has no such study, an image cannot be read, or the disk is full.
        """
        own = shard.rows(self.num_studies)
        missing = [part for gap in self._gaps(own) for part in _cut(gap, self.part_size)]
        for part, studies in self._studies(missing):
            lines = predictions(
                self.generator, self.corpus, studies, batch=settings.batch_size, workers=settings.workers, track=track
            )
            write_json_lines(self.folder / f"part-{part.start:08d}-{part.stop:08d}.jsonl", lines)
        return sum(map(len, missing))

    def clear_if_empty(self) -> None:
        """Remove the folder where no part was written: nothing is left of a mistake."""
        if self.folder.is_dir() and not any(self.folder.glob("part-*")):
            shutil.rmtree(self.folder, ignore_errors=True)

    def num_missing(self) -> int:
        """Return how many reports are not written yet."""
        return sum(map(len, self._gaps(range(self.num_studies))))

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
        position = 0
        with new_file(self.out, overwrite=overwrite) as temporary, temporary.open("wb") as whole:
            for rows, path in self._parts():
                with path.open("rb") as part:
                    # One line a study. Parts overlap where runs with other numbers of shards met.
                    whole.writelines(islice(part, max(0, position - rows.start), None))
                position = max(position, rows.stop)
        shutil.rmtree(self.folder)
        return position

    def _parts(self) -> list[tuple[range, Path]]:
        """Return the studies and the file of each part that is written, in order."""
        matches = ((_PART.fullmatch(path.name), path) for path in self.folder.glob("part-*.jsonl"))
        parts = ((range(int(match[1]), int(match[2])), path) for match, path in matches if match is not None)
        return sorted(parts, key=lambda part: (part[0].start, part[0].stop))

    def _gaps(self, rows: range) -> list[range]:
        """Return the studies among `rows` that no part holds."""
        gaps = []
        position = rows.start
        for part, _ in self._parts():
            if position < part.start:
                gaps.append(range(position, min(part.start, rows.stop)))
            position = max(position, part.stop)
        gaps.append(range(position, rows.stop))
        return [gap for gap in gaps if len(gap)]

    def _studies(self, parts: Sequence[range]) -> Iterator[tuple[range, list[Study]]]:
        """Yield each part with its studies, in one pass over the corpus."""
        studies = each_study(self.corpus.folder, self.split)
        position = 0
        for part in parts:
            yield part, list(islice(studies, part.start - position, part.stop - position))
            position = part.stop


def _cut(rows: range, size: int) -> list[range]:
    """Cut a range into parts of `size`, the last of which may be smaller."""
    return [range(start, min(start + size, rows.stop)) for start in range(rows.start, rows.stop, size)]


def read_shard(text: str) -> Shard:
    """Return the share that `3/8` means: the third of eight.

    Raises:
        InputError: it means none.
    """
    number, slash, count = text.partition("/")
    if not (slash and number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise InputError(f"--shard {text}: write which of how many, from 1, such as 3/8")
    return Shard(number=int(number) - 1, of=int(count))
