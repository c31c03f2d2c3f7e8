"""Measure what a missing view costs: reports about test studies with both views, the frontal alone, the lateral alone.

    python benchmarks/views.py RUN --corpus CORPUS [--studies 480]

Prints one JSON object: for each choice of views the macro-F1 of the 13 abnormalities, of the findings read from the
reports and of the findings head, and what either loses against both views. Ends with status 1 where the reports about
one view lose more than 0.08.
"""

import argparse
import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from xpronet.data.corpus import Corpus, open_corpus
from xpronet.data.study import Study, View
from xpronet.device import best_device
from xpronet.generation.generator import ReportGenerator
from xpronet.generation.predictions import write_reports
from xpronet.generation.report import Report
from xpronet.labels.f1 import abnormality_f1
from xpronet.labels.findings import FINDINGS, collapse
from xpronet.labels.labelers import make_labeler
from xpronet.model.checkpoint import load_checkpoint

ALLOWED = 0.08
"""Macro-F1 of the reports that a missing view may cost."""
LATERAL = ("LATERAL", "LL", "RL")
CHOICES: dict[str, Callable[[View], bool]] = {
    "both": lambda _: True,
    "frontal": lambda view: view.position not in LATERAL,
    "lateral": lambda view: view.position in LATERAL,
}
"""Which views are shown, by name."""


def main() -> None:
    """Write reports with each choice of views and print what they score."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--split", default="test")
    parser.add_argument("--studies", type=int, help="the first so many studies only")
    chosen = parser.parse_args()
    corpus = open_corpus(chosen.corpus)
    studies = [study for study in corpus.split(chosen.split) if has_both(study)][: chosen.studies]
    if not studies:
        parser.error(f"{chosen.corpus}: no {chosen.split} study has a frontal and a lateral view")
    generator = ReportGenerator(load_checkpoint(chosen.run), device=best_device())
    scores = {name: scored(generator, corpus, studies, shown) for name, shown in CHOICES.items()}
    losses = {
        name: {what: round(scores["both"][what] - score[what], 3) for what in score}
        for name, score in scores.items()
        if name != "both"
    }
    print(json.dumps({"studies": len(studies), "macro_f1": scores, "lost": losses}, indent=1))
    sys.exit(any(lost["reports"] > ALLOWED for lost in losses.values()))


def has_both(study: Study) -> bool:
    """Return whether a study has a frontal and a lateral view."""
    return all(any(shown(view) for view in study.views) for shown in CHOICES.values())


def scored(
    generator: ReportGenerator, corpus: Corpus, studies: list[Study], shown: Callable[[View], bool]
) -> dict[str, float]:
    """Return the macro-F1 of the reports about the studies, shown with some of their views, and of the findings."""
    seen = [dataclasses.replace(study, views=tuple(filter(shown, study.views))) for study in studies]
    reports = list(write_reports(generator, corpus, seen))
    labeler = make_labeler("rules")
    truth = table([collapse(states) for _, states in labeler.label_many((each.id, each.report) for each in studies)])
    said = table([collapse(states) for _, states in labeler.label_many((each.id, each.text) for each in reports)])
    return {"reports": f1(truth, said), "findings_head": f1(truth, table([predicted(each) for each in reports]))}


def predicted(report: Report) -> dict[str, int]:
    """Return the findings that the findings head gave a study."""
    return {finding.name: int(finding.present) for finding in report.findings}


def table(rows: list[dict[str, int]]) -> np.ndarray:
    """Return findings as rows of booleans."""
    return np.array([[row.get(name, False) for name in FINDINGS] for row in rows])


def f1(truth: np.ndarray, said: np.ndarray) -> float:
    """Return the macro-F1 of the abnormalities; 0 where there is none."""
    return round(abnormality_f1(truth, said) or 0.0, 3)


if __name__ == "__main__":
    main()
