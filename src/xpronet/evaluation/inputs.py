"""What scoring needs: predictions, the corpus around them, and the model behind them."""

import dataclasses
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from xpronet.data.corpus import CORPUS_FILE, LABELS_FILE, Corpus, open_corpus
from xpronet.data.feature_cache import INFO_FILE, open_feature_cache
from xpronet.data.study import Study
from xpronet.errors import InputError
from xpronet.evaluation.finding_f1 import FindingReader
from xpronet.evaluation.measure import Yardstick, yardstick
from xpronet.evaluation.prediction_files import Prediction, read_prediction_file
from xpronet.evaluation.text_columns import FileSettings
from xpronet.evaluation.text_protocol import find_protocol
from xpronet.files import read_json, read_text
from xpronet.generation.generator import LabelsFrom, ReportGenerator
from xpronet.generation.predictions import Alteration, Provenance, read_provenance, write_reports
from xpronet.generation.report import Report
from xpronet.labels.findings import State
from xpronet.labels.label_tables import label_matrix, read_labels
from xpronet.model.checkpoint import best_device, fingerprint, load_checkpoint
from xpronet.model.report_model import ReportModel
from xpronet.progress import Tracker, silent


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


@dataclass(frozen=True, kw_only=True)
class ScoredModel:
    """What wrote predictions, and about which studies."""

    generator: ReportGenerator
    """The model with the settings that the predictions were written with."""
    network: ReportModel
    """Its network, in evaluation mode."""
    corpus: Corpus
    """Where the images are."""
    studies: tuple[Study, ...]
    """The predicted studies, in the order of the predictions."""
    train: Corpus
    """The corpus that the model learned from."""
    track: Tracker = silent
    """Tells how far the work is."""

    def reports(self, studies: Sequence[Study], altered: Alteration | None = None) -> tuple[str, ...]:
        """Write a report about each study, from its images or from what `altered` makes of them."""
        found = write_reports(self.generator, self.corpus, studies, altered=altered, track=self.track)
        return tuple(report.text for report in found)

    def explained(self, studies: Sequence[Study]) -> list[Report]:
        """Write a report about each study, with the evidence for every word."""
        return list(write_reports(self.generator, self.corpus, studies, batch=len(studies), with_evidence=True))


def open_scored_model(
    predictions: Sequence[Prediction],
    *,
    run: Path | None = None,
    corpus: Corpus | None = None,
    train: Corpus | None = None,
    origin: Provenance | None = None,
    allow_code: bool = False,
    track: Tracker = silent,
) -> ScoredModel:
    """Load the model that wrote predictions.

    Args:
        predictions: one a study.
        run: run or checkpoint folder, where the user names one.
        corpus: where the images are.
        train: what the model learned from, if that is another corpus.
        origin: what stands beside the predictions; it names the run where the user does not.
        allow_code: whether the checkpoint may name Python objects of installed packages.
        track: tells how far the model's work is.

    Raises:
        InputError: the run or corpus is not known, the run holds other weights than those that wrote the
            predictions, or a study is not in the corpus.
    """
    run = run or (origin.run if origin is not None else None)
    if run is None or corpus is None:
        raise InputError(
            "this needs the model and the images, and nothing beside the predictions tells where they are: "
            "name --run and --corpus"
        )
    by_id = {study.id: study for study in corpus.studies}
    stray = [prediction.id for prediction in predictions if prediction.id not in by_id]
    if stray:
        raise InputError(f"{corpus.folder}: {len(stray)} predicted studies are not in it, first {stray[0]}")
    checkpoint = load_checkpoint(run, allow_code=allow_code)
    if origin is not None and fingerprint(run) != origin.model:
        raise InputError(
            f"{run}: holds other weights than those that wrote the predictions; write new ones with `xpronet generate`"
        )
    settings = checkpoint.search
    if origin is not None:
        settings = settings.override(beams=origin.beams, choose=origin.choose, evidence=origin.evidence)
    cache = None if origin is None else origin.features
    features = open_feature_cache(cache) if cache is not None and (cache / INFO_FILE).is_file() else None
    generator = ReportGenerator(
        checkpoint,
        device=best_device(),
        settings=settings,
        features=features,
        labels_from=_labels_from(predictions, origin),
        precision="fp32" if origin is None else origin.precision,
    )
    studies = tuple(by_id[prediction.id] for prediction in predictions)
    return ScoredModel(
        generator=generator,
        network=checkpoint.network,
        corpus=corpus,
        studies=studies,
        train=train or corpus,
        track=track,
    )


def _labels_from(predictions: Sequence[Prediction], origin: Provenance | None) -> LabelsFrom:
    if origin is not None:
        return origin.labels_from
    said = {prediction.labels_from for prediction in predictions}
    for source in ("reference", "all"):
        if said == {source}:
            return source
    return "predicted"


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
