"""What a model learned from and what it is worth, in the few lines that stand beside every report it writes."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xpronet.errors import InputError
from xpronet.evaluation.finding_f1 import MAIN
from xpronet.files import read_json
from xpronet.training.training_data import DRAWN, TRAINING_DATA_FILE, TrainingData, read_training_data

SCORECARD_FILE = "scorecard.json"
SHOWN = ("BLEU-4", "ROUGE-L", MAIN)
"""Scores that stand beside a report: of its wording, and of its findings."""
NOT_STATED = "what it learned from is not stated"
NOT_MEASURED = "what it is worth was not measured"


@dataclass(frozen=True, kw_only=True)
class Score:
    """One score with its interval."""

    name: str
    """As a scorecard names it."""
    value: float
    """Over all studies."""
    low: float
    """Lower end of its 95 % interval."""
    high: float
    """Upper end."""

    @property
    def text(self) -> str:
        """Return it with its interval."""
        return f"{self.name} {self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


@dataclass(frozen=True, kw_only=True)
class ModelOrigin:
    """What a model learned from and what it is worth."""

    data: TrainingData | None = None
    """What it learned from; None where its folder does not say."""
    scores: tuple[Score, ...] = ()
    """What it is worth; empty where nothing was measured."""
    scored_on: str = ""
    """What was scored, such as "480 studies, test of phantom"."""

    @property
    def drawn(self) -> bool:
        """Whether it learned from drawn X-rays only."""
        return self.data is not None and self.data.drawn

    def lines(self) -> tuple[str, ...]:
        """Return it for people, a line each; the first says what must not be overlooked."""
        learned = NOT_STATED if self.data is None else f"learned from {self.data.line()}"
        worth = NOT_MEASURED
        if self.scores:
            worth = f"{', '.join(score.text for score in self.scores)}; {self.scored_on}, 95 % intervals"
        return (*((DRAWN,) if self.drawn else ()), f"Model: {learned}", f"Scores: {worth}")

    def record(self) -> dict[str, Any]:
        """Return it as JSON values."""
        data = self.data
        return {
            "corpus": None if data is None else data.corpus,
            "licence": None if data is None else data.licence,
            "studies": {} if data is None else {split: count for split, count in data.studies.items() if count},
            "drawn": self.drawn,
            "scores": [vars(score) for score in self.scores],
            "scored_on": self.scored_on,
            "lines": list(self.lines()),
        }


def read_model_origin(folder: Path, *, fingerprint: str) -> ModelOrigin:
    """Read what a model learned from and what it is worth.

    Args:
        folder: a run, a handed-over model, or a checkpoint inside a run.
        fingerprint: of its weights; the scorecard of other weights is left out.

    Raises:
        InputError: a file of the folder is damaged.
    """
    resolved = _run_of(folder)
    card = _read_scorecard(resolved / SCORECARD_FILE)
    if card is None or card["stamp"].get("model", fingerprint) != fingerprint:
        return ModelOrigin(data=read_training_data(resolved))
    scores, stamp = card["model"]["scores"], card["stamp"]
    about = " of ".join(part for part in (_split(stamp), stamp.get("corpus", "")) if part)
    return ModelOrigin(
        data=read_training_data(resolved),
        scores=tuple(
            Score(name=name, **{key: float(scores[name][key]) for key in ("value", "low", "high")})
            for name in SHOWN
            if name in scores
        ),
        scored_on=f"{card['studies']:,} studies{f' ({about})' if about else ''}",
    )


def origin_files(folder: Path) -> tuple[Path, ...]:
    """Return the files that `read_model_origin` reads, as far as they are there."""
    paths = (_run_of(folder) / name for name in (TRAINING_DATA_FILE, SCORECARD_FILE))
    return tuple(path for path in paths if path.is_file())


def _run_of(folder: Path) -> Path:
    """Return the run that a checkpoint lies in, and of anything else the folder itself."""
    resolved = folder.resolve()
    return resolved.parents[1] if resolved.parent.name == "checkpoints" else resolved


def _split(stamp: Mapping[str, Any]) -> str:
    return str(stamp.get("split", "")).partition(",")[0]


def _read_scorecard(path: Path) -> Mapping[str, Any] | None:
    if not path.is_file():
        return None
    card = read_json(path)
    try:
        scores = card["model"]["scores"]
        if isinstance(card["stamp"], dict) and isinstance(card["studies"], int):
            all(float(scores[name][key]) for name in SHOWN if name in scores for key in ("value", "low", "high"))
            return dict(card)
    except (KeyError, TypeError, ValueError):
        pass
    raise InputError(f"{path}: not a scorecard of `xpronet evaluate`; make it again, or remove it")
