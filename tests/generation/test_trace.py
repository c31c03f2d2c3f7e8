"""What a word's trace says is what the report's evidence says, and more."""

from pathlib import Path

import numpy as np
import pytest
import torch

from xpronet.data.corpus import Corpus
from xpronet.errors import InputError
from xpronet.generation.evidence import CHOSEN, WordTrace, trace_words
from xpronet.generation.generator import ReportGenerator, pad_views
from xpronet.generation.report import Report
from xpronet.images.read import read_grey
from xpronet.images.transforms import test_view as square
from xpronet.model.checkpoint import Checkpoint, load_checkpoint

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def checkpoint(tiny_run: Path) -> Checkpoint:
    return load_checkpoint(tiny_run)


@pytest.fixture(scope="module")
def images(checkpoint: Checkpoint, phantom: Corpus) -> torch.Tensor:
    views = phantom.studies[0].views
    return pad_views([[square(read_grey(phantom.view_path(view)), checkpoint.images) for view in views]])[0]


@pytest.fixture(scope="module")
def report(checkpoint: Checkpoint, images: torch.Tensor) -> Report:
    generator = ReportGenerator(checkpoint, device=CPU, settings=checkpoint.search)
    [report] = generator.generate(["x"], images, torch.ones(1, images.shape[1], dtype=torch.bool), with_evidence=True)
    return report


def _trace(checkpoint: Checkpoint, report: Report, images: torch.Tensor, **chosen: int) -> tuple[WordTrace, ...]:
    present = np.array([finding.present for finding in report.findings])
    return trace_words(checkpoint, report, images, present, device=CPU, **chosen)


def test_traces_agree_with_the_evidence(checkpoint: Checkpoint, report: Report, images: torch.Tensor) -> None:
    traces = _trace(checkpoint, report, images)
    assert [trace.text for trace in traces] == [word.text for word in report.words]
    per_finding = checkpoint.network.settings.per_finding
    for trace, word in zip(traces, report.words, strict=True):
        np.testing.assert_allclose(trace.attention, word.attention, atol=1e-6)
        assert trace.probability == pytest.approx(np.exp(word.log_probability))
        rows = [checkpoint.findings.index(use.finding) * per_finding + use.index for use in word.prototypes]
        assert list(trace.chosen_by_word()) == rows
        view, row, column = trace.region
        assert trace.attention[view, row, column] == trace.attention.max()


def test_regions_are_answered_by_visible_prototypes(
    checkpoint: Checkpoint, report: Report, images: torch.Tensor
) -> None:
    present = {finding.name for finding in report.findings if finding.present}
    per_finding = checkpoint.network.settings.per_finding
    for trace in _trace(checkpoint, report, images):
        assert trace.visible == per_finding * len(present)
        assert trace.region_shares is not None
        assert trace.region_shares.sum() == pytest.approx(1, abs=1e-4)
        assert 0 < len(trace.chosen_by_region()) <= CHOSEN
        assert {checkpoint.findings[row // per_finding] for row in trace.chosen_by_region()} <= present


def test_heads_and_layers_average_to_the_whole(checkpoint: Checkpoint, report: Report, images: torch.Tensor) -> None:
    whole = _trace(checkpoint, report, images)
    first, second = (_trace(checkpoint, report, images, layer=1, head=head) for head in (1, 2))
    for both, one, two in zip(whole, first, second, strict=True):
        assert one.attention.sum() == pytest.approx(1, abs=1e-5)
        np.testing.assert_allclose(both.attention, (one.attention + two.attention) / 2, atol=1e-6)
    assert any(not np.allclose(one.attention, two.attention) for one, two in zip(first, second, strict=True))
    with pytest.raises(InputError, match="heads 1 to 2"):
        _trace(checkpoint, report, images, head=3)
    with pytest.raises(InputError, match="layers 1 to 1"):
        _trace(checkpoint, report, images, layer=0)


def test_overlap_counts_what_both_chose_and_what_chance_would() -> None:
    shares = np.zeros(40)
    shares[:10] = np.linspace(0.2, 0.1, 10)
    trace = WordTrace(
        text="lungs",
        probability=0.5,
        attention=np.full((1, 2, 2), 0.25),
        word_shares=shares,
        region_shares=np.roll(shares, 1),
        visible=40,
    )
    assert trace.overlap() == 9  # as in the paper's figure
    assert trace.overlap_by_chance() == 2.5
    assert trace.chosen_by_word() == tuple(range(10))
