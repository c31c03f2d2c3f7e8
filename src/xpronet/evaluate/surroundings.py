"""What a corpus tells of the studies that are scored: references, train and validation reports, label table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from xpronet.data.corpus import LABELS_FILE, Corpus
from xpronet.errors import InputError
from xpronet.evaluate.predictions import Prediction
from xpronet.labels.findings import State
from xpronet.labels.tables import read_labels


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """The texts of a corpus around one of its splits; as it stands, those of no corpus."""

    folder: Path | None = None
    """The corpus folder."""
    corpus: str = ""
    """What the corpus calls itself."""
    split: str = ""
    """The split that is scored."""
    references: Mapping[str, str] = field(default_factory=dict)
    """The report of each of its studies, by id."""
    others: frozenset[str] = frozenset()
    """The ids of the studies in other splits."""
    train_reports: tuple[str, ...] | None = None
    """Of the train split."""
    val_reports: tuple[str, ...] | None = None
    """Of the validation split; None where there is none, or where it is the one that is scored."""

    def table(self, predictions: Sequence[Prediction]) -> dict[str, dict[str, State]]:
        """Return the findings of the predicted studies from the corpus's label table.

        Raises:
            InputError: there is no corpus, or its table lacks a study.
        """
        if self.folder is None:
            raise InputError("true findings from the corpus's labels.csv need a corpus; name the --corpus")
        return read_labels(self.folder / LABELS_FILE, [prediction.id for prediction in predictions])

    def check(self, predictions: Sequence[Prediction]) -> tuple[dict[str, str], list[str]]:
        """Return a stamp and warnings on which studies were scored.

        Raises:
            InputError: a prediction is about a study of another split.
        """
        if self.folder is None:
            return {}, []
        stray = [prediction.id for prediction in predictions if prediction.id in self.others]
        if stray:
            raise InputError(
                f"study {stray[0]} is not in split {self.split} ({len(stray)} such predictions); name the right --split"
            )
        scored = sum(prediction.id in self.references for prediction in predictions)
        stamp = {"corpus": self.corpus, "split": f"{self.split}, {scored} of {len(self.references)} studies"}
        warnings = []
        if scored < len(self.references):
            warnings.append(f"{len(self.references) - scored} studies of split {self.split} have no prediction.")
        if scored < len(predictions):
            warnings.append(f"{len(predictions) - scored} predictions are about studies that the corpus does not have.")
        return stamp, warnings


def surroundings(corpus: Corpus, split: str) -> Surroundings:
    """Return the texts around one split of a corpus.

    Raises:
        InputError: the corpus has no study in that split, or none to train on.
    """
    chosen = corpus.split(split)
    val = tuple(study.report for study in corpus.studies if study.split == "val")
    return Surroundings(
        folder=corpus.folder,
        corpus=corpus.name,
        split=split,
        references={study.id: study.report for study in chosen},
        others=frozenset(study.id for study in corpus.studies if study.split != split),
        train_reports=tuple(study.report for study in corpus.split("train")),
        val_reports=val if val and split != "val" else None,
    )
