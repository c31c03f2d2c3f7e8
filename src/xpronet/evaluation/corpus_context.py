"""The texts of a corpus around the split that is scored: references, and what a model could have learned."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from xpronet.data.corpus import LABELS_FILE, Corpus
from xpronet.errors import InputError
from xpronet.evaluation.prediction_files import Prediction
from xpronet.labels.findings import State
from xpronet.labels.label_tables import read_labels


@dataclass(frozen=True, kw_only=True)
class CorpusContext:
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
    """Of the corpus that the model learned from; None where there are none."""
    val_reports: tuple[str, ...] | None = None
    """Of the same corpus; None where there are none, or where they are what is scored."""

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
        pairs = [(one, self.references.get(one.id, one.reference)) for one in predictions]
        other = [one.id for one, reference in pairs if one.reference.split() != reference.split()]
        if other:
            warnings.append(
                f"{len(other)} references are not the corpus's (first {other[0]}); scored against those of the file."
            )
        return stamp, warnings


def corpus_context(corpus: Corpus | None, split: str, train: Corpus | None = None) -> CorpusContext:
    """Return the texts around one split of a corpus.

    Args:
        corpus: has the references; None where the predictions have their own.
        split: the split that is scored.
        train: has the reports that the model learned from; `corpus` itself where left out.

    Raises:
        InputError: the corpus has no study in that split, or `train` none to learn from.
    """
    source = train or corpus
    studies = () if source is None else source.studies
    if train is not None:
        train.split("train")
    learned = tuple(study.report for study in studies if study.split == "train")
    val = tuple(study.report for study in studies if study.split == "val")
    return CorpusContext(
        folder=None if corpus is None else corpus.folder,
        corpus="" if corpus is None else corpus.name,
        split=split,
        references={} if corpus is None else {study.id: study.report for study in corpus.split(split)},
        others=frozenset(() if corpus is None else (study.id for study in corpus.studies if study.split != split)),
        train_reports=learned or None,
        val_reports=val if val and learned and (split != "val" or source is not corpus) else None,
    )
