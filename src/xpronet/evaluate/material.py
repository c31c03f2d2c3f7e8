"""Predictions with all that can be found out about them: the corpus around them, and the model behind them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from xpronet.data.corpus import CORPUS_FILE, Corpus, read_corpus
from xpronet.errors import InputError
from xpronet.evaluate.clinical import FindingReader
from xpronet.evaluate.measure import Yardstick, yardstick
from xpronet.evaluate.predictions import Prediction, read_predictions
from xpronet.evaluate.protocol import find_protocol
from xpronet.evaluate.source import Source, open_source
from xpronet.evaluate.surroundings import Surroundings, surroundings
from xpronet.generate.origin import Origin, read_origin
from xpronet.labels.findings import State
from xpronet.labels.rules import RuleLabeler
from xpronet.progress import Tracker, silent


@dataclass(frozen=True, kw_only=True)
class Material:
    """What a scorecard is made from."""

    predictions: tuple[Prediction, ...]
    """One a study."""
    around: Surroundings
    """The texts of the corpus."""
    table: Mapping[str, Mapping[str, State]] | None
    """The true findings, where they shall not be read from the references."""
    origin: Origin | None
    """What stands beside the predictions."""
    source: Source | None
    """The model behind them, where it is at hand."""
    stamp: Mapping[str, str]
    """What was predicted, and by what."""
    notes: tuple[str, ...]
    """What a reader must not miss, a sentence each."""

    def yardstick(self, protocol: str) -> Yardstick:
        """Return what the references measure against under a protocol."""
        return yardstick(
            self.predictions,
            protocol=find_protocol(protocol),
            reader=FindingReader(RuleLabeler().label),
            train_reports=self.around.train_reports,
            table=self.table,
        )


def gather(
    path: Path,
    *,
    corpus: Path | None = None,
    split: str | None = None,
    run: Path | None = None,
    table: bool = False,
    needs_model: bool = False,
    wants_model: bool = True,
    track: Tracker = silent,
) -> Material:
    """Read predictions, and what the file beside them or the user says of corpus and run.

    Args:
        path: predictions, as JSON lines or CSV.
        corpus: corpus folder; by default the one that the predictions were written about, where it is still there.
        split: the split that was predicted; by default the one that was written about, else test.
        run: the run that wrote them; by default the one that the file beside them names.
        table: take the true findings from the corpus's labels.csv.
        needs_model: the model must be had.
        wants_model: load the model where it is known; what then stands in the way becomes a note.
        track: tells how far the model's work is.

    Raises:
        InputError: a file is missing or damaged, or does not fit the others.
    """
    origin = read_origin(path)
    notes: list[str] = []
    folder = _corpus(corpus, origin, notes)
    around = Surroundings()
    if folder is not None:
        around = surroundings(folder, split or (origin.split if origin is not None else "test"))
    predictions = read_predictions(path, around.references)
    stamp, told = around.check(predictions)
    notes += told
    source = None
    if needs_model or (wants_model and (run or origin) is not None and folder is not None):
        try:
            source = open_source(predictions, run=run, corpus=folder, origin=origin, track=track)
        except InputError as error:
            if needs_model or run is not None:
                raise
            notes.append(f"No most similar train picture stands beside the model: {error}.")
    return Material(
        predictions=predictions,
        around=around,
        table=around.table(predictions) if table else None,
        origin=origin,
        source=source,
        stamp={"predictions": path.name, **stamp, **_written(origin)},
        notes=tuple(notes),
    )


def _corpus(named: Path | None, origin: Origin | None, notes: list[str]) -> Corpus | None:
    if named is not None:
        return read_corpus(named)
    if origin is None:
        return None
    if (origin.corpus / CORPUS_FILE).is_file():
        return read_corpus(origin.corpus)
    notes.append(f"The corpus that was written about is not at {origin.corpus} any more: name the --corpus.")
    return None


def _written(origin: Origin | None) -> dict[str, str]:
    if origin is None:
        return {}
    return {
        "model": origin.model,
        "written": f"{origin.rate:.1f} studies a second on {origin.device}, {origin.precision}, beam {origin.beams}",
    }
