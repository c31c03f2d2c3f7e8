"""What an encoder is worth, and how it is told."""

from pathlib import Path

import numpy as np
import pytest

from xpronet.errors import InputError
from xpronet.labels.findings import FINDINGS
from xpronet.pretrain.measure import FilmSource, cross_fitted, fit_operating
from xpronet.pretrain.scorecard import render


def _logits(studies: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    targets = (random.random((studies, len(FINDINGS))) < 0.3).astype(np.float32)
    return 4 * targets + random.normal(size=targets.shape) + 3, targets


def test_calibration_makes_probabilities_frequencies() -> None:
    logits, targets = _logits(600, 0)
    operating = fit_operating(logits, targets)
    fresh, truth = _logits(600, 1)
    assert abs(operating.probabilities(fresh).mean() - truth.mean()) < 0.02
    assert ((operating.probabilities(fresh) >= operating.thresholds) == truth).mean() > 0.95


def test_no_study_is_scored_with_what_was_fitted_on_it() -> None:
    logits, targets = _logits(50, 2)
    said, _ = cross_fitted(logits, targets, seed=0)
    flipped = targets.copy()
    flipped[7] = 1 - flipped[7]
    again, _ = cross_fitted(logits, flipped, seed=0)
    np.testing.assert_array_equal(said[7], again[7])
    assert not np.array_equal(said, again)


def test_sources_are_read_strictly() -> None:
    assert FilmSource.parse("nih:some/folder") == FilmSource(kind="nih", path=Path("some/folder"))
    for text in ("mimic:folder", "nih", "nih:"):
        with pytest.raises(InputError, match="give nih:FOLDER, covid:FOLDER or labels:FILE"):
            FilmSource.parse(text)


def test_the_scorecard_shows_counts_scores_and_what_is_unknown() -> None:
    rows = [
        {"finding": "Edema", "positives": 12, "negatives": 30, "auroc": 0.8125, "f1": 0.5},
        {"finding": "Fracture", "positives": 0, "negatives": 0, "auroc": None, "f1": 0.0},
        {"finding": "Pneumonia", "positives": 0, "negatives": 42, "auroc": None, "f1": 0.0},
    ]
    one = {
        "name": "validation",
        "labels": "of the impression",
        "studies": 42,
        "films": 80,
        "findings": rows,
        "mean_auroc": 0.8125,
        "mean_auroc_interval": (0.7, 0.9),
        "macro_f1": 0.5,
        "calibration_error": 0.01,
        "mean_probability": 0.1,
        "prevalence": 0.12,
    }
    card = {
        "title": "Image encoder",
        "command": ["xpronet", "pretrain", "tiny.toml"],
        "machine": {"gpu": None, "threads": 1, "cores": 2, "cpu": "some CPU"},
        "versions": {"xpronet": "1", "torch": "2"},
        "training": {
            "seconds": 125.0,
            "steps": 14,
            "best_epoch": 2,
            "epochs": [{"epoch": 2, "loss": 0.5, "auroc": 0.8125, "seconds": 60.0}],
        },
        "measured": [one],
    }
    page = render(card)
    assert "| Edema | 0.812 (12), 0.50 |" in page
    assert "| Fracture | unknown |" in page
    assert "| Pneumonia | – (0) |" in page
    assert "**0.812** [0.700, 0.900]" in page
    assert "Trained in 2 minutes (14 steps) on 1 of 2 cores, some CPU" in page
    assert "| 2 (kept) | 0.500 | 0.812 | 1.0 |" in page
