"""The page at the end of the demo: some test studies, their reports beside the references, and the scores."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xpronet.data.corpus import LABELS_FILE, Corpus
from xpronet.data.study import Study
from xpronet.evaluation.baselines import BEST_CONSTANT, FINDINGS_CONSTANT
from xpronet.evaluation.finding_f1 import MAIN
from xpronet.evaluation.scorecard import Scorecard
from xpronet.generation.generator import ReportGenerator
from xpronet.generation.predictions import write_reports
from xpronet.images.read import read_grey
from xpronet.images.transforms import test_view
from xpronet.labels.findings import collapse
from xpronet.labels.label_tables import read_labels
from xpronet.show.page import PageStudy, write_page

NUM_STUDIES = 8


def write_demo_page(page: Path, *, generator: ReportGenerator, corpus: Corpus, scorecard: Scorecard) -> None:
    """Write a page about a few test studies, evenly spaced over the split.

    Args:
        page: HTML file to write.
        generator: the trained model.
        corpus: its corpus.
        scorecard: the scores of all test studies.
    """
    test = corpus.split("test")
    studies = _sample(test)
    labels = read_labels(corpus.folder / LABELS_FILE, [study.id for study in studies])
    checkpoint = generator.checkpoint
    shown = [
        PageStudy(
            report=report,
            views=tuple(
                test_view(read_grey(corpus.view_path(view)), checkpoint.images)
                for view in study.views[: checkpoint.max_views]
            ),
            positions=tuple(view.position for view in study.views[: checkpoint.max_views]),
            reference=study.report,
            reference_findings=tuple(name for name, present in collapse(labels[study.id]).items() if present),
        )
        for study, report in zip(studies, write_reports(generator, corpus, studies, with_evidence=True), strict=True)
    ]
    write_page(
        page,
        shown,
        title="XProNet on drawn chest X-rays",
        summary=_summary(scorecard.to_dict()),
        note=f"{len(shown)} of {len(test)} test studies, evenly spaced. Hover over a word, or reach it with the "
        "keyboard, to see where the model attended and which prototypes responded.",
    )


def _sample(studies: Sequence[Study]) -> list[Study]:
    """Return a few studies, evenly spaced over the split, not the best ones."""
    stride = max(1, len(studies) // NUM_STUDIES)
    return list(studies[::stride][:NUM_STUDIES])


def _summary(scorecard: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the main scores: findings, words, variety; the best constant baseline beside the model."""
    model = scorecard["model"]["scores"]
    constants = [row["scores"] for row in scorecard["baselines"] if row["name"] in (BEST_CONSTANT, FINDINGS_CONSTANT)]
    rows = [("Test studies", str(scorecard["studies"]))]
    for name in (MAIN, "BLEU-4", "ROUGE-L", "CIDEr"):
        constant = max(scores[name]["value"] for scores in constants if name in scores)
        rows.append((name, f"{_interval(model[name])}; best constant report {constant:.3f}"))
    counts = scorecard["counts"]
    rows.append(("Distinct reports", f"{counts['distinct reports']:.0f} of {counts['reports']:.0f}"))
    return rows


def _interval(estimate: dict[str, float]) -> str:
    return f"{estimate['value']:.3f} ({estimate['low']:.3f} to {estimate['high']:.3f})"
