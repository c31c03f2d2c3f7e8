"""Reports from exported graphs are those of the network they were made from, with findings and evidence."""

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from xpronet.cli import run as run_command
from xpronet.data.corpus import Corpus
from xpronet.deploy.load import load
from xpronet.generation.generator import ReportGenerator, pad_views
from xpronet.generation.predictions import write_reports
from xpronet.generation.report import Report
from xpronet.images.read import read_grey
from xpronet.images.transforms import test_view as square

pytestmark = [pytest.mark.long, pytest.mark.slow]


@pytest.fixture(scope="module", params=["onnx:onnxruntime", "onnx:openvino", "openvino:openvino"])
def generator(request: pytest.FixtureRequest) -> ReportGenerator:
    to, runtime = request.param.split(":")
    if find_spec(runtime) is None:
        pytest.skip(f"{runtime} is not installed")
    return load(request.getfixturevalue(f"{to}_folder"), beams=3, runtime=runtime)


@pytest.fixture(scope="module")
def reference(tiny_run: Path) -> ReportGenerator:
    return load(tiny_run, beams=3)


def _assert_same(got: Report, expected: Report) -> None:
    assert got.text == expected.text
    assert got.log_probability == pytest.approx(expected.log_probability, abs=1e-3)
    assert [finding.present for finding in got.findings] == [finding.present for finding in expected.findings]
    for ours, theirs in zip(got.findings, expected.findings, strict=True):
        assert ours.probability == pytest.approx(theirs.probability, abs=1e-4)
        assert (ours.regions is None) == (theirs.regions is None)
        if ours.regions is not None:
            np.testing.assert_allclose(ours.regions, theirs.regions, rtol=0, atol=1e-4)
    assert [word.text for word in got.words] == [word.text for word in expected.words]
    for ours, theirs in zip(got.words, expected.words, strict=True):
        assert ours.log_probability == pytest.approx(theirs.log_probability, abs=1e-4)
        np.testing.assert_allclose(ours.attention, theirs.attention, rtol=0, atol=1e-5)
        assert [(use.finding, use.index) for use in ours.prototypes] == [
            (use.finding, use.index) for use in theirs.prototypes
        ]


def test_every_report_of_a_corpus_is_equal(
    generator: ReportGenerator, reference: ReportGenerator, phantom: Corpus
) -> None:
    got, expected = (
        list(write_reports(one, phantom, phantom.studies, batch=7, with_evidence=True))
        for one in (generator, reference)
    )
    assert len({report.text for report in expected}) > 1
    for ours, theirs in zip(got, expected, strict=True):
        _assert_same(ours, theirs)


@pytest.mark.parametrize("num_views", [1, 3])
def test_any_number_of_views_and_beams(
    generator: ReportGenerator, onnx_folder: Path, tiny_run: Path, phantom: Corpus, num_views: int
) -> None:
    study = phantom.studies[0]
    views = [square(read_grey(phantom.view_path(view)), generator.checkpoint.images) for view in study.views]
    pictures = pad_views([(views * 2)[:num_views]])
    for beams in (1, 4):
        generators = (load(folder, beams=beams) for folder in (onnx_folder, tiny_run))
        [ours], [theirs] = (one.generate(["study"], *pictures) for one in generators)
        _assert_same(ours, theirs)


def test_the_command_writes_the_same_file(onnx_folder: Path, gated_run: Path, phantom: Corpus, tmp_path: Path) -> None:
    pictures = [str(phantom.view_path(view)) for view in phantom.studies[0].views]
    records = []
    for name, folder in (("ours", onnx_folder), ("theirs", gated_run)):
        out = tmp_path / name
        assert run_command(["report", str(folder), *pictures, "--json", f"{out}.json", "--html", f"{out}.html"]) == 0
        records.append(json.loads(Path(f"{out}.json").read_text()))
    ours, theirs = records
    for record in records:
        record["words"] = [word["text"] for word in record["words"]]
        record["findings"] = [(finding["name"], round(finding["probability"], 4)) for finding in record["findings"]]
        record["log_probability"] = round(record["log_probability"], 3)
        record["left_out"] = [(each["finding"], each["place"]) for each in record["left_out"]]
        record["sentences"] = [(each["start"], each["end"], each["verdict"]) for each in record["sentences"]]
        record["gate"] = [{name: round(value, 3) for name, value in view.items()} for view in record["gate"]]
    assert ours == theirs
