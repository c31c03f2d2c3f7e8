"""The page at the end of the demo: some test studies, their reports beside the references, and the scores."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xpronet.data.study import Study
from xpronet.evaluation.baselines import BEST_CONSTANT, FINDINGS_CONSTANT
from xpronet.evaluation.finding_f1 import MAIN

NUM_STUDIES = 8


def write_demo_page(page: Path, *, run: Path, corpus: Path, scorecard: Path) -> None:
    """Write a page about a few test studies, abnormal ones first.

    Args:
        page: HTML file to write.
        run: the trained run.
        corpus: the corpus folder.
        scorecard: JSON that `xpronet evaluate` wrote.
    """
    from xpronet.data.corpus import LABELS_FILE, open_corpus
    from xpronet.files import read_json
    from xpronet.generation.generator import ReportGenerator
    from xpronet.generation.predictions import write_reports
    from xpronet.images.read import read_grey
    from xpronet.images.transforms import test_view
    from xpronet.labels.findings import collapse
    from xpronet.labels.label_tables import read_labels
    from xpronet.model.checkpoint import best_device, load_checkpoint
    from xpronet.show.page import PageStudy, write_page

    folder = open_corpus(corpus)
    studies = _chosen(folder.split("test"))
    labels = read_labels(corpus / LABELS_FILE, [study.id for study in studies])
    checkpoint = load_checkpoint(run)
    writer = ReportGenerator(checkpoint, device=best_device())
    shown = [
        PageStudy(
            report=report,
            views=tuple(
                test_view(read_grey(folder.view_path(view)), checkpoint.images)
                for view in study.views[: checkpoint.max_views]
            ),
            positions=tuple(view.position for view in study.views[: checkpoint.max_views]),
            reference=study.report,
            reference_findings=tuple(name for name, present in collapse(labels[study.id]).items() if present),
        )
        for study, report in zip(studies, write_reports(writer, folder, studies, with_evidence=True), strict=True)
    ]
    write_page(
        page,
        shown,
        title="XProNet on drawn chest X-rays",
        summary=_summary(read_json(scorecard)),
        note=f"{len(shown)} of {len(folder.split('test'))} test studies, evenly picked. Hover a word, or reach it with "
        "the keyboard, to see where the model looked and which prototypes answered.",
    )


def _chosen(studies: Sequence[Study]) -> list[Study]:
    """Return a few studies from all over the split: not the best ones."""
    stride = max(1, len(studies) // NUM_STUDIES)
    return list(studies[::stride][:NUM_STUDIES])


def _summary(scorecard: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the rows that say most: findings first, then words, then variety; constants beside the model."""
    model = scorecard["model"]["scores"]
    constants = [row["scores"] for row in scorecard["baselines"] if row["name"] in (BEST_CONSTANT, FINDINGS_CONSTANT)]
    rows = [("Test studies", str(scorecard["studies"]))]
    for name in (MAIN, "BLEU-4", "ROUGE-L", "CIDEr"):
        beside = max(scores[name]["value"] for scores in constants if name in scores)
        rows.append((name, f"{_interval(model[name])}; best constant report {beside:.3f}"))
    counts = scorecard["counts"]
    rows.append(("Distinct reports", f"{counts['distinct reports']:.0f} of {counts['reports']:.0f}"))
    return rows


def _interval(estimate: dict[str, float]) -> str:
    return f"{estimate['value']:.3f} ({estimate['low']:.3f} to {estimate['high']:.3f})"
