"""The page of the experiments on IU X-Ray, written from scorecards."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).parents[2] / "experiments" / "iu_xray_page.py"


def estimate(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.01, "high": value + 0.02}


def card(bleu: float) -> dict[str, Any]:
    constant = {"name": "constant", "scores": {"BLEU-4": estimate(0.195)}, "abnormal": {}}
    return {
        "studies": 590,
        "abnormal_studies": 143,
        "model": {"scores": {"BLEU-4": estimate(bleu)}, "abnormal": {"BLEU-4": estimate(0.1)}},
        "baselines": [constant],
        "counts": {"distinct reports": 64},
        "summary": ["Is it better? No."],
        "warnings": [],
        "head": {
            "findings": [{"finding": "Edema", "present": 12, "auroc": 0.8, "f1": None}],
            "auroc": estimate(0.8),
            "macro_f1": estimate(0.2),
        },
    }


def write_page(folder: Path, *cards: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    for seed, each in enumerate(cards):
        path = folder / "words" / f"seed-{seed}" / "published-iu.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(each))
    command = [sys.executable, str(SCRIPT), str(folder), "--out", str(folder / "page.md")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_one_seed_has_intervals_and_says_that_it_is_one(tmp_path: Path) -> None:
    assert write_page(tmp_path, card(0.103)).returncode == 0
    page = (tmp_path / "page.md").read_text()
    assert "| **cross-entropy (the paper)** | 0 | 0.103 (0.093 to 0.123) | 0.100 (0.090 to 0.120) | 64 |" in page
    assert "| constant |  | 0.195 (0.185 to 0.215) |" in page
    assert "No conclusion is drawn from one seed." in page
    assert "* cross-entropy (the paper), seed 0: Is it better? No." in page
    assert "| Edema | 12 | 0.800, – |" in page
    assert "| **mean AUROC, macro-F1 of 13** | | 0.800 (0.790 to 0.820), 0.200 (0.190 to 0.220) |" in page


def test_several_seeds_have_mean_and_range(tmp_path: Path) -> None:
    assert write_page(tmp_path, card(0.1), card(0.2), card(0.15)).returncode == 0
    assert "0.150 [0.100, 0.200]" in (tmp_path / "page.md").read_text()


def test_nothing_to_show_is_told(tmp_path: Path) -> None:
    done = write_page(tmp_path)
    assert done.returncode == 1
    assert "no scorecard of words/seed-* or reward/seed-*; run experiments/iu_xray.sh first" in done.stderr
