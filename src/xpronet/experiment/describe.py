"""What a file or folder of ours is, in a few lines."""

from datetime import datetime
from pathlib import Path

from xpronet.data.corpus import CORPUS_FILE, open_corpus
from xpronet.data.feature_cache import INFO_FILE, describe_feature_cache, open_feature_cache
from xpronet.deploy.exported_folder import read_exported
from xpronet.errors import InputError
from xpronet.evaluation.finding_f1 import MAIN
from xpronet.evaluation.model_origin import SCORECARD_FILE
from xpronet.experiment.model_card import read_facts, read_scorecard
from xpronet.model.checkpoint_files import CONFIG_FILE, check_checkpoint, find_checkpoint, fingerprint, is_exported
from xpronet.training.run_folder import RUN_FILE, read_starts, read_state
from xpronet.training.training_data import DRAWN, TRAINING_DATA_FILE, read_training_data


def describe(path: Path) -> list[str]:
    """Return what a run, model, exported folder, corpus or feature cache is, a fact a line.

    Raises:
        InputError: it is none of them, or it is damaged.
    """
    if not path.is_dir():
        raise InputError(f"{path}: no such folder; name a run, model, corpus or feature cache")
    if (path / CORPUS_FILE).is_file():
        return _corpus(path)
    if (path / INFO_FILE).is_file():
        return [f"Feature cache {describe_feature_cache(open_feature_cache(path))}"]
    if is_exported(path):
        return _exported(path)
    is_checkpoint = (path / CONFIG_FILE).is_file()
    if not is_checkpoint and not (path / "checkpoints").is_dir():
        raise InputError(f"{path}: neither a run, a model, a corpus nor a feature cache; name one of these")
    kind = "Run" if not is_checkpoint else "Model" if (path / TRAINING_DATA_FILE).is_file() else "Checkpoint"
    return [f"{kind} {path}", *([] if is_checkpoint else _training(path)), *_model(path)]


def _corpus(path: Path) -> list[str]:
    corpus = open_corpus(path, with_sections=False)
    views = sum(len(study.views) for study in corpus.studies)
    counts = ", ".join(f"{count:,} {split}" for split, count in corpus.counts.items() if count)
    command = str(corpus.made.get("command", ""))
    return [
        f"Corpus {path}: {corpus.name}{', drawn X-rays' if corpus.drawn else ''}",
        f"{len(corpus.studies):,} studies ({counts}), {views:,} images",
        f"Licence: {corpus.licence or 'not stated'}",
        *([f"Made by: xpronet {command.removeprefix('xpronet ')}"] if command else []),
    ]


def _exported(path: Path) -> list[str]:
    exported = read_exported(path)
    return [
        f"Exported model {path}: {exported.format} graphs of checkpoint {exported.model}",
        f"{len(exported.vocabulary):,} words, at most {exported.max_views} views, "
        f"beam search with {exported.search.beams} hypotheses",
    ]


def _training(run: Path) -> list[str]:
    if not (run / RUN_FILE).is_file():
        return []
    state, starts = read_state(run), read_starts(run)
    began = datetime.fromisoformat(starts[0]["time"]).date().isoformat() if starts else "not stated"
    best = "" if state.best_score is None else f"; best score {state.best_score:.4f} after epoch {state.best_epoch}"
    return [f"Training: {state.status}, epoch {state.epoch} of {state.epochs}, begun {began}{best}"]


def _model(path: Path) -> list[str]:
    folder = find_checkpoint(path)
    check_checkpoint(folder)
    facts, data, card = read_facts(folder), read_training_data(path), read_scorecard(path / SCORECARD_FILE)
    lines = [
        f"Report model {facts.architecture}, {facts.parameters:,} parameters; image encoder {facts.image_encoder}; "
        f"weights {fingerprint(folder)}",
        f"{facts.words:,} words, at most {facts.max_views} views of {facts.side} x {facts.side}, beam search with "
        f"{facts.beams} hypotheses; gate: {'yes' if facts.has_gate else 'no'}, calibrated claims: "
        f"{'yes' if facts.has_claims else 'no'}",
        f"Learned from: {data.line() if data is not None else 'not stated'}",
    ]
    if data is not None and data.drawn:
        lines.append(DRAWN)
    if card is None:
        lines.append("Scores: not measured")
    else:
        scores = card["model"]["scores"]
        told = ", ".join(
            f"{name} {scores[name]['value']:.3f} ({scores[name]['low']:.3f} to {scores[name]['high']:.3f})"
            for name in ("BLEU-4", MAIN)
            if name in scores
        )
        lines.append(f"Scores on {card['studies']:,} studies: {told}")
    return lines
