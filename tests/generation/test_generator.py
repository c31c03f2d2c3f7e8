"""Reports come with findings and evidence, whatever the batch and the number of views."""

import itertools
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

from xpronet.data.corpus import Corpus
from xpronet.errors import InputError
from xpronet.generation.beam import disagreements
from xpronet.generation.generator import ReportGenerator, pad_views
from xpronet.generation.predictions import predictions, write_reports
from xpronet.generation.report import Report
from xpronet.images.read import read_grey
from xpronet.images.transforms import test_view as square
from xpronet.labels.findings import FINDINGS, NO_FINDING
from xpronet.labels.rules import RuleLabeler
from xpronet.model.checkpoint import Checkpoint, load_checkpoint
from xpronet.model.search_settings import BeamSettings

CPU = torch.device("cpu")


@pytest.fixture
def checkpoint(tiny_run: Path) -> Checkpoint:
    return load_checkpoint(tiny_run)


@pytest.fixture
def generator(checkpoint: Checkpoint) -> ReportGenerator:
    return ReportGenerator(checkpoint, device=CPU, settings=checkpoint.search)


def _views(corpus: Corpus, checkpoint: Checkpoint, number: int) -> list[np.ndarray]:
    study = corpus.studies[number]
    return [square(read_grey(corpus.view_path(view)), checkpoint.images) for view in study.views]


def _write(generator: ReportGenerator, studies: list[list[np.ndarray]], *, evidence: bool = False) -> list[Report]:
    return generator.generate([str(n) for n in range(len(studies))], *pad_views(studies), with_evidence=evidence)


def test_a_report_does_not_depend_on_its_neighbours(
    generator: ReportGenerator, checkpoint: Checkpoint, phantom: Corpus
) -> None:
    studies = [_views(phantom, checkpoint, number) for number in range(4)]
    # One study with a single view: its neighbours' second view must not leak into it.
    studies[2] = studies[2][:1]
    together = _write(generator, studies)
    for number, report in enumerate(together):
        [alone] = _write(generator, [studies[number]])
        assert alone.text == report.text
        assert alone.log_probability == pytest.approx(report.log_probability, abs=1e-4)


@pytest.mark.parametrize("num_views", [1, 2, 3, 5])
def test_any_number_of_views_is_read(
    generator: ReportGenerator, checkpoint: Checkpoint, phantom: Corpus, num_views: int
) -> None:
    views = list(itertools.islice(itertools.cycle(_views(phantom, checkpoint, 0)), num_views))
    [report] = _write(generator, [views], evidence=True)
    assert report.words
    assert {word.attention.shape for word in report.words} == {(num_views, 2, 2)}


def test_evidence_adds_up(generator: ReportGenerator, checkpoint: Checkpoint, phantom: Corpus) -> None:
    reports = _write(generator, [_views(phantom, checkpoint, number) for number in range(3)], evidence=True)
    for report in reports:
        present = {finding.name for finding in report.findings if finding.present}
        for word in report.words:
            assert word.attention.sum() == pytest.approx(1, abs=1e-4)
            assert word.log_probability < 0
            assert {use.finding for use in word.prototypes} <= present
            assert sum(use.weight for use in word.prototypes) <= 1 + 1e-5
        # The EOS is the one word of a finished report that evidence does not list.
        assert sum(word.log_probability for word in report.words) >= report.log_probability - 1e-3


def test_findings_follow_from_thresholds(generator: ReportGenerator, checkpoint: Checkpoint, phantom: Corpus) -> None:
    [report] = _write(generator, [_views(phantom, checkpoint, 0)])
    assert [finding.name for finding in report.findings] == list(FINDINGS)
    for finding in report.findings[:-1]:
        assert finding.present == (finding.probability >= finding.threshold)
    assert report.findings[-1].name == NO_FINDING
    assert report.findings[-1].present == (not any(finding.present for finding in report.findings[:-1]))


def test_reference_labels_are_used_only_when_asked_for(checkpoint: Checkpoint, phantom: Corpus) -> None:
    studies = phantom.split("test")
    settings = checkpoint.search
    oracle = ReportGenerator(checkpoint, device=CPU, settings=settings, labels_from="reference")
    from xpronet.labels.label_tables import label_matrix, read_labels

    ids = [study.id for study in studies]
    labels = label_matrix(read_labels(phantom.folder / "labels.csv", ids), ids)
    for report, row in zip(write_reports(oracle, phantom, studies, batch=3), labels, strict=True):
        assert [finding.present for finding in report.findings] == list(row.astype(bool))
        assert report.labels_from == "reference"
    with pytest.raises(InputError, match="needs a corpus"):
        _write(oracle, [_views(phantom, checkpoint, 0)])


def test_predictions_keep_the_order_and_the_reference(generator: ReportGenerator, phantom: Corpus) -> None:
    studies = phantom.split("test")
    lines = list(predictions(generator, phantom, studies, batch=3))
    assert [line["id"] for line in lines] == [study.id for study in studies]
    assert [line["reference"] for line in lines] == [study.report for study in studies]
    assert all(line["labels_from"] == "predicted" and len(line["findings"]) == 14 for line in lines)


def test_no_mark_is_ever_written(generator: ReportGenerator, phantom: Corpus) -> None:
    for line in predictions(generator, phantom, phantom.split("test")):
        assert "<" not in line["report"]


def test_the_agreeing_report_says_what_the_findings_say(checkpoint: Checkpoint, phantom: Corpus) -> None:
    labeler = RuleLabeler()
    studies = [_views(phantom, checkpoint, number) for number in range(8)]

    def apart(choose: Literal["likeliest", "agreeing"]) -> list[int]:
        # An untrained network's reports say little: any candidate may be nearer to what its head says.
        settings = BeamSettings(beams=6, max_words=checkpoint.search.max_words, choose=choose)
        written = _write(ReportGenerator(checkpoint, device=CPU, settings=settings), studies)
        return [
            disagreements(labeler.label(report.text), {finding.name: finding.present for finding in report.findings})
            for report in written
        ]

    likeliest, agreeing = apart("likeliest"), apart("agreeing")
    assert all(one <= other for one, other in zip(agreeing, likeliest, strict=True))


def test_regions_add_up_to_what_a_finding_is_given(
    generator: ReportGenerator, checkpoint: Checkpoint, phantom: Corpus
) -> None:
    studies = [_views(phantom, checkpoint, 0), _views(phantom, checkpoint, 1)[:1]]
    head = checkpoint.network.findings_head
    assert head is not None
    scale, shift = checkpoint.network.calibration
    for views, report in zip(studies, _write(generator, studies, evidence=True), strict=True):
        for column, finding in enumerate(report.findings):
            assert finding.regions is not None
            assert finding.regions.shape == (len(views), 2, 2)
            logit = float(finding.regions.sum()) + float(head.linear.bias[column].detach())
            expected = torch.sigmoid(scale[column] * logit + shift[column])
            assert finding.probability == pytest.approx(float(expected), abs=1e-5)
        assert report.record()["findings"][0]["regions"] == report.findings[0].regions.round(5).tolist()
    [plain, _] = _write(generator, studies)
    assert plain.findings[0].regions is None
    assert "regions" not in plain.record()["findings"][0]
