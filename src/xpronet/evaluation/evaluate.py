"""Score predictions of any model, whatever form they come in."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from xpronet.data.corpus import Corpus, open_corpus
from xpronet.errors import InputError
from xpronet.evaluation.comparison import Comparison, compare_predictions
from xpronet.evaluation.finding_f1 import FindingReader
from xpronet.evaluation.grounding import ground
from xpronet.evaluation.image_dependence import probe
from xpronet.evaluation.inputs import ScoringInputs, gather_inputs
from xpronet.evaluation.metrics import Metric, make_metric
from xpronet.evaluation.prediction_files import Prediction, read_prediction_file
from xpronet.evaluation.retrieval import most_similar_reports
from xpronet.evaluation.scorecard import Scorecard
from xpronet.evaluation.scoring import score
from xpronet.evaluation.settings import EvaluationSettings
from xpronet.evaluation.text_columns import FileSettings
from xpronet.generation.report import Report
from xpronet.labels.labelers import make_labeler
from xpronet.progress import Tracker, silent

PredictionSource: TypeAlias = str | Path | Sequence[Prediction] | Sequence[Report] | Sequence[str]
"""A file of predictions, predictions, generated reports, or plain texts (which need references in the same order)."""


def evaluate(
    predictions: PredictionSource,
    references: Sequence[str] | None = None,
    *,
    corpus: str | Path | Corpus | None = None,
    train_corpus: str | Path | Corpus | None = None,
    split: str | None = None,
    run: str | Path | None = None,
    files: FileSettings | None = None,
    settings: EvaluationSettings | None = None,
    track: Tracker = silent,
) -> Scorecard:
    """Score generated reports against their references, beside baselines that need no image.

    Args:
        predictions: a file as `xpronet generate` writes it, or reports or plain texts.
        references: the radiologists' texts, one for each of `predictions` and in the same order; needed for plain texts
            unless they are about every study of a corpus's split, in its order.
        corpus: corpus (folder) with the references, and with the train and validation reports for the constants.
        train_corpus: corpus (folder) that the model learned from, where it is another; by default what the run says.
        split: the split of the corpus that was predicted; by default what stands beside the file, else test.
        run: the run that generated the predictions, where nothing beside the file tells.
        files: how the file is read, where its names do not tell.
        settings: how they are scored.
        track: shows how far the model's work is.

    Returns:
        The scorecard: `to_markdown()`, `to_dict()`; a notebook shows it as tables.

    Raises:
        InputError: the predictions, references, corpus or run do not fit each other.
    """
    settings = settings or EvaluationSettings()
    given = as_predictions(predictions, references, corpus=corpus, split=split)
    inputs = _inputs(given, corpus, train_corpus, split, run, files, settings, track)
    return _score(inputs, settings, _reader(settings), _metrics(settings))


def _inputs(
    predictions: Path | tuple[Prediction, ...],
    corpus: str | Path | Corpus | None,
    train_corpus: str | Path | Corpus | None,
    split: str | None,
    run: str | Path | None,
    files: FileSettings | None,
    settings: EvaluationSettings,
    track: Tracker,
) -> ScoringInputs:
    return gather_inputs(
        predictions,
        corpus=corpus,
        train_corpus=train_corpus,
        split=split,
        run=None if run is None else Path(run),
        files=files,
        table=settings.truth == "corpus",
        needs_model=settings.probe or settings.grounding,
        wants_model=not settings.skip_retrieval,
        allow_code=settings.allow_code,
        track=track,
    )


def _reader(settings: EvaluationSettings) -> FindingReader:
    labeler = make_labeler(settings.labeler, weights=settings.weights, bert=settings.bert)
    return FindingReader(labeler, settings.uncertain)


def _metrics(settings: EvaluationSettings) -> list[Metric]:
    return [make_metric(name) for name in settings.metric]


def _score(
    inputs: ScoringInputs, settings: EvaluationSettings, reader: FindingReader, metrics: Sequence[Metric]
) -> Scorecard:
    """Return the scorecard of predictions, asking the model behind them what the settings want to know."""
    source, predictions = inputs.source, inputs.predictions
    notes = [*inputs.notes, *inputs.check_table(reader, force=settings.force)]
    retrieved = probed = grounded = None
    if source is not None and not settings.skip_retrieval and inputs.around.train_reports is not None:
        retrieved = most_similar_reports(source, seed=settings.seed)
    if source is not None and settings.probe:
        written = [prediction.report for prediction in predictions]
        against = inputs.yardstick(settings.protocol, reader)
        limit = settings.probe_studies
        probed = probe(source.reports, source.studies, against, written, seed=settings.seed, limit=limit)
    if source is not None and settings.grounding:
        grounded = ground(source, seed=settings.seed, limit=settings.probe_studies)
    return score(
        predictions,
        train_reports=inputs.around.train_reports,
        val=inputs.around.val_reports,
        protocol=settings.protocol,
        seed=settings.seed,
        truth=inputs.table,
        retrieved=retrieved,
        grounding=grounded,
        probe=probed,
        speed=None if inputs.origin is None else inputs.origin.rate,
        stamp=inputs.stamp,
        notes=notes,
        with_meteor=not settings.skip_meteor,
        metrics=metrics,
        reader=reader,
    )


def evaluate_against(
    predictions: Path,
    other: Path,
    *,
    corpus: str | Path | Corpus | None = None,
    train_corpus: str | Path | Corpus | None = None,
    split: str | None = None,
    run: str | Path | None = None,
    files: FileSettings | None = None,
    settings: EvaluationSettings | None = None,
    track: Tracker = silent,
) -> tuple[Scorecard, Comparison]:
    """Score one file of predictions, and test whether it is better than another about the same studies.

    Args:
        predictions: the first file.
        other: the second file.
        corpus: as `evaluate` takes it.
        train_corpus: as `evaluate` takes it.
        split: as `evaluate` takes it.
        run: as `evaluate` takes it.
        files: as `evaluate` takes it, for both.
        settings: how both are scored.
        track: shows how far the model's work is.

    Raises:
        InputError: the files are not about the same studies, or do not fit the corpus or run.
    """
    settings = settings or EvaluationSettings()
    reader, metrics = _reader(settings), _metrics(settings)
    inputs = _inputs(predictions, corpus, train_corpus, split, run, files, settings, track)
    card = _score(inputs, settings, reader, metrics)
    comparison = compare_predictions(
        inputs.predictions,
        read_prediction_file(other, inputs.around.references, files).predictions,
        names=(predictions.name, other.name),
        train_reports=inputs.around.train_reports,
        protocol=settings.protocol,
        seed=settings.seed,
        truth=inputs.table,
        with_meteor=not settings.skip_meteor,
        metrics=metrics,
        reader=reader,
    )
    return card, comparison


def as_predictions(
    predictions: PredictionSource,
    references: Sequence[str] | None,
    *,
    corpus: str | Path | Corpus | None = None,
    split: str | None = None,
) -> Path | tuple[Prediction, ...]:
    """Return a file's path, or predictions made of reports or texts and their references.

    Raises:
        InputError: there are no references, or not one for each text.
    """
    if isinstance(predictions, str | Path):
        if references is not None:
            raise InputError(f"{predictions}: a file of predictions has its own references; leave them out")
        return Path(predictions)
    if all(isinstance(one, Prediction) for one in predictions) and predictions and references is None:
        return tuple(one for one in predictions if isinstance(one, Prediction))
    texts = [one.text if isinstance(one, Report) else one for one in predictions]
    wrong = next((one for one in texts if not isinstance(one, str)), None)
    if wrong is not None:
        raise InputError(f"a prediction is a {type(wrong).__name__}; give texts, reports or predictions")
    ids = [one.id if isinstance(one, Report) else f"study-{number}" for number, one in enumerate(predictions, 1)]
    if references is None:
        ids, references = _references_of(predictions, ids, corpus, split or "test")
    if len(references) != len(texts):
        raise InputError(f"{len(texts)} predictions and {len(references)} references; give one for each")
    return tuple(
        Prediction(id=name, report=str(text), reference=reference)
        for name, text, reference in zip(ids, texts, references, strict=True)
    )


def _references_of(
    predictions: Sequence[object], ids: list[str], corpus: str | Path | Corpus | None, split: str
) -> tuple[list[str], list[str]]:
    """Return ids and references of a corpus's split: by id for reports, in its order for plain texts."""
    if corpus is None:
        raise InputError("texts without references cannot be scored; give references, or a corpus that has them")
    folder = corpus if isinstance(corpus, Corpus) else open_corpus(Path(corpus))
    studies = folder.split(split)
    if any(isinstance(one, Report) for one in predictions):
        by_id = {study.id: study.report for study in studies}
        missing = [name for name in ids if name not in by_id]
        if missing:
            raise InputError(f"{folder.folder}: no study {missing[0]!r} in split {split}; name the right split")
        return ids, [by_id[name] for name in ids]
    return [study.id for study in studies], [study.report for study in studies]
