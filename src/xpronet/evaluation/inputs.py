"""What scoring needs: predictions, the corpus around them, and the model behind them."""

import dataclasses
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xpronet.data.corpus import CORPUS_FILE, LABELS_FILE, Corpus, open_corpus
from xpronet.errors import InputError
from xpronet.evaluation.corpus_context import CorpusContext, corpus_context
from xpronet.evaluation.finding_f1 import FindingReader
from xpronet.evaluation.measure import Yardstick, yardstick
from xpronet.evaluation.prediction_files import Prediction, read_prediction_file
from xpronet.evaluation.scored_model import ScoredModel, open_scored_model
from xpronet.evaluation.text_columns import FileSettings
from xpronet.evaluation.text_protocol import find_protocol
from xpronet.files import read_json, read_text
from xpronet.generation.predictions import Provenance, read_provenance
from xpronet.labels.findings import State
from xpronet.labels.label_tables import label_matrix
from xpronet.progress import Tracker, silent


@dataclass(frozen=True, kw_only=True)
class ScoringInputs:
    """What a scorecard is made from."""

    predictions: tuple[Prediction, ...]
    """One a study."""
    around: CorpusContext
    """The texts of the corpus."""
    table: Mapping[str, Mapping[str, State]] | None
    """The true findings, where they shall not be read from the references."""
    origin: Provenance | None
    """What stands beside the predictions."""
    source: ScoredModel | None
    """The model behind them, where it is at hand."""
    stamp: Mapping[str, str]
    """What was predicted, and by what."""
    notes: tuple[str, ...]
    """What a reader must not miss, a sentence each."""

    def yardstick(self, protocol: str, reader: FindingReader) -> Yardstick:
        """Return what the references measure against under a protocol, findings read by `reader`."""
        return yardstick(
            self.predictions,
            protocol=find_protocol(protocol),
            reader=reader,
            train_reports=self.around.train_reports,
            table=self.table,
        )

    def check_table(self, reader: FindingReader, *, force: bool) -> tuple[str, ...]:
        """Return a note where the label table is not what `reader` reads from the references.

        Raises:
            InputError: it is not, and `force` is false: labels of two labelers do not compare.
        """
        if self.table is None:
            return ()
        read = reader.labels([prediction.reference for prediction in self.predictions])
        made = label_matrix(self.table, [prediction.id for prediction in self.predictions], reader.uncertain)
        known = ~(np.isnan(read) | np.isnan(made))
        share = float((read == made)[known].mean())
        if share >= SAME_LABELER:
            return ()
        told = (
            f"agrees in {share:.1%} of the findings with what {reader.name} reads from the references, so something "
            "else made it"
        )
        if not force:
            raise InputError(
                f"{self.around.folder}/{LABELS_FILE}: {told}; read both sides with one labeler (leave --truth away, or "
                "name the table's --labeler), or add --force"
            )
        return (f"The true findings are of the corpus's {LABELS_FILE}, which {told}.",)


SAME_LABELER = 0.995
"""A table that agrees less with a labeler's reading of the references was made by another, or from other text."""


def gather_inputs(
    given: Path | Sequence[Prediction],
    *,
    corpus: str | Path | Corpus | None = None,
    train_corpus: str | Path | Corpus | None = None,
    split: str | None = None,
    run: Path | None = None,
    files: FileSettings | None = None,
    table: bool = False,
    needs_model: bool = False,
    wants_model: bool = True,
    allow_code: bool = False,
    track: Tracker = silent,
) -> ScoringInputs:
    """Read predictions, and what the file beside them or the user says of corpus and run.

    Args:
        given: predictions, or the file that holds them.
        corpus: corpus folder; by default the one that the predictions were written about, where it is still there.
        train_corpus: what the model learned from; by default what the run says, else `corpus`.
        split: the split that was predicted; by default the one that was written about, else test.
        run: the run that wrote them; by default the one that the file beside them names.
        files: how the file is read.
        table: take the true findings from the corpus's labels.csv.
        needs_model: the model must be had.
        wants_model: load the model where it is known; what then stands in the way becomes a note.
        allow_code: whether the checkpoint may name Python objects of installed packages.
        track: tells how far the model's work is.

    Raises:
        InputError: a file is missing or damaged, or does not fit the others.
    """
    origin = read_provenance(given) if isinstance(given, Path) else None
    notes: list[str] = []
    folder = _corpus(corpus, origin, notes)
    learned = _train_corpus(train_corpus, run or (origin.run if origin is not None else None), folder)
    around = corpus_context(folder, split or (origin.split if origin is not None else "test"), learned)
    stamp: dict[str, str] = {}
    if isinstance(given, Path):
        read = read_prediction_file(given, around.references, files)
        predictions = read.predictions
        stamp = {"predictions": given.name, "read as": read.read_as}
        if folder is not None and not read.has_ids:
            notes.append("The predictions have no ids, so nothing tells whether they are about the corpus's studies.")
            around = dataclasses.replace(around, folder=None)
    else:
        predictions = tuple(given)
        stamp = {"predictions": "given in memory"}
    about, told = around.check(predictions)
    notes += told
    if learned is not None:
        about["train corpus"] = learned.name
    source = None
    if needs_model or (wants_model and (run or origin) is not None and folder is not None):
        try:
            source = open_scored_model(
                predictions, run=run, corpus=folder, train=learned, origin=origin, allow_code=allow_code, track=track
            )
        except InputError as error:
            if needs_model or run is not None:
                raise
            notes.append(f"No most similar train image stands beside the model: {error}.")
    return ScoringInputs(
        predictions=predictions,
        around=around,
        table=around.table(predictions) if table else None,
        origin=origin,
        source=source,
        stamp={**stamp, **about, **_written(origin)},
        notes=tuple(notes),
    )


def _train_corpus(named: str | Path | Corpus | None, run: Path | None, scored: Corpus | None) -> Corpus | None:
    """Return the corpus that the model learned from, where it is another one than the scored one."""
    if isinstance(named, Corpus):
        return named
    if named is not None:
        return open_corpus(Path(named))
    folder = None if run is None else _recorded_corpus(run)
    if folder is None or (scored is not None and folder.resolve() == scored.folder.resolve()):
        return None
    return open_corpus(folder)


def _recorded_corpus(run: Path) -> Path | None:
    """Return the corpus folder that a run's recipe names, where it is still there."""
    recipe, journal = run / "recipe.toml", run / "run.json"
    if not recipe.is_file() or not journal.is_file():
        return None
    try:
        named, started = tomllib.loads(read_text(recipe)).get("corpus"), read_json(journal)["starts"][0]["folder"]
    except (tomllib.TOMLDecodeError, KeyError, IndexError, TypeError):
        return None
    folder = Path(started) / str(named)
    return folder if named is not None and (folder / CORPUS_FILE).is_file() else None


def _corpus(named: str | Path | Corpus | None, origin: Provenance | None, notes: list[str]) -> Corpus | None:
    if isinstance(named, Corpus):
        return named
    if named is not None:
        return open_corpus(Path(named))
    if origin is None:
        return None
    if (origin.corpus / CORPUS_FILE).is_file():
        return open_corpus(origin.corpus)
    notes.append(f"The corpus that was written about is not at {origin.corpus} any more: name the --corpus.")
    return None


def _written(origin: Provenance | None) -> dict[str, str]:
    if origin is None:
        return {}
    return {
        "model": origin.model,
        "written": f"{origin.rate:.1f} studies a second on {origin.device}, {origin.precision}, beam {origin.beams}",
    }
