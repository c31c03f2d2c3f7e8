"""What a model learned from: written into its run folder when training begins, and handed over with the model."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xpronet.data.corpus import Corpus
from xpronet.encoders.hub import HUB
from xpronet.errors import InputError
from xpronet.files import read_json, write_json

TRAINING_DATA_FILE = "training_data.json"
DRAWN = "Drawn X-rays only: worthless on patients."
"""What is said of every model that learned from drawn X-rays."""


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """The corpus that a model learned from, without where it lies."""

    corpus: str
    """Its name."""
    licence: str
    """The terms under which its images and texts may be used."""
    studies: Mapping[str, int]
    """The number of studies in each split; the model learned from those of train, and was chosen on those of val."""
    drawn: bool
    """Whether its X-rays were drawn by a program: what was learned from them is worthless on patients."""
    weights: str = ""
    """What the image encoder began from: random, auto, a file's name or hub:owner/name; empty where nothing says."""
    first_stage: str = ""
    """What the model of an earlier stage of training learned from, in a line; empty without one."""

    @classmethod
    def of(cls, corpus: Corpus, *, weights: str = "", first_stage: str = "") -> "TrainingData":
        """Return what is handed over about a corpus.

        Args:
            corpus: with its studies.
            weights: what the image encoder began from, as a recipe names it; the folders of a file are left out.
            first_stage: as the field.
        """
        return cls(
            corpus=corpus.name,
            licence=corpus.licence,
            studies=corpus.counts,
            drawn=corpus.drawn,
            weights=weights if weights.startswith(HUB) else Path(weights).name,
            first_stage=first_stage,
        )

    def write(self, folder: Path) -> None:
        """Write it into a run or model folder."""
        write_json(folder / TRAINING_DATA_FILE, dataclasses.asdict(self), overwrite=True)

    def line(self) -> str:
        """Return it in one line."""
        counts = ", ".join(f"{count:,} {split}" for split, count in self.studies.items() if count)
        licence = self.licence or "not stated"
        return f"{self.corpus}{' (drawn X-rays)' if self.drawn else ''}, {counts} studies, licence: {licence}"


def read_training_data(folder: Path) -> TrainingData | None:
    """Return what the model in a run or model folder learned from; None where the folder does not say.

    Raises:
        InputError: its file holds something else.
    """
    path = folder / TRAINING_DATA_FILE
    if not path.is_file():
        return None
    record: Any = read_json(path)
    try:
        return TrainingData(
            corpus=str(record["corpus"]),
            licence=str(record["licence"]),
            studies={str(split): int(count) for split, count in record["studies"].items()},
            drawn=bool(record["drawn"]),
            weights=str(record["weights"]),
            first_stage=str(record["first_stage"]),
        )
    except (TypeError, KeyError, AttributeError, ValueError):
        raise InputError(f"{path}: does not say what the model learned from; remove it and name the --corpus") from None


def note_training_data(run: Path, corpus: Corpus, *, weights: str, first_stage: Path | None) -> None:
    """Write into a run folder what its model learns from.

    Args:
        run: the run folder.
        corpus: what it is trained on.
        weights: what the image encoder begins from, as the recipe names it.
        first_stage: run or model that training starts from, as the user names it; None where it starts from nothing,
            or where the run is resumed and has said it before.

    Raises:
        InputError: what the first stage says of itself is damaged.
    """
    before = read_training_data(run)
    earlier = before.first_stage if before is not None else ""
    if first_stage is not None:
        stage = read_training_data(first_stage)
        earlier = "not stated" if stage is None else stage.line()
    TrainingData.of(corpus, weights=weights, first_stage=earlier).write(run)
