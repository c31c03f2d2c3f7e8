"""Maps are compared with the very regions that were drawn."""

import dataclasses
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from xpronet.cli import run
from xpronet.data.corpus import Corpus
from xpronet.data.study import Study
from xpronet.evaluation.grounding import belonging, ground, mentioned, overlap, study_masks
from xpronet.evaluation.prediction_files import Prediction
from xpronet.evaluation.scored_model import ScoredModel, open_scored_model
from xpronet.generation.report import FindingScore, Report, WordEvidence
from xpronet.labels.findings import FINDINGS, State
from xpronet.labels.rules import RuleLabeler
from xpronet.model.checkpoint import load_checkpoint
from xpronet.model.report_model import FindingsHead, Patches
from xpronet.phantom.regions import read_regions, region_path
from xpronet.text.cleaning import clean


def test_regions_that_a_finding_fills_or_lies_in_belong_to_it() -> None:
    mask = np.zeros((2, 8, 8), bool)
    mask[0, 0, 0] = True  # a dot: a sixteenth of its region, all of the finding in that view
    mask[1, 0:4, 0:5] = True  # a region, and a quarter of the next
    found = belonging(mask, 2, 2)
    assert found.tolist() == [[[True, False], [False, False]], [[True, True], [False, False]]]
    mask[1] = True
    mask[1, 4:, 4:] = False
    mask[1, 4, 4] = True  # a sixteenth of the region, a 49th of the finding
    assert belonging(mask, 2, 2)[1].tolist() == [[True, True], [True, False]]


def test_overlap_counts_pixels_of_bright_regions() -> None:
    mask = np.zeros((1, 4, 4), bool)
    mask[0, :2, :2] = True
    shown = np.array([[[1.0, 0.6], [0.4, -3.0]]])
    assert overlap(shown, mask) == 4 / 8
    assert overlap(np.array([[[1.0, 0.4], [0.4, 0.4]]]), mask) == 1.0
    assert overlap(np.array([[[0.4, 1.0], [0.4, 0.4]]]), mask) == 0.0


def test_words_of_a_finding_are_found_where_they_stand() -> None:
    text = "the heart is normal . there is a small left-sided pleural effusion , no pneumothorax . rib fracture"
    tokens = text.split()
    found = mentioned(tokens, RuleLabeler())
    assert set(found) == {"Pleural Effusion", "Fracture"}
    assert {tokens[place] for place, _ in found["Pleural Effusion"]} >= {"effusion"}
    assert {opening for _, opening in found["Pleural Effusion"]} == {tokens.index("there")}
    assert {opening for _, opening in found["Fracture"]} == {tokens.index("rib")}


@pytest.mark.parametrize("pool", ["mean", "mean+max"])
def test_what_regions_add_is_the_whole_logit(pool: str) -> None:
    torch.manual_seed(1)
    head = FindingsHead(channels=5, num_findings=3, pool=pool)
    mask = torch.tensor([[True] * 8, [True] * 4 + [False] * 4])
    patches = Patches(torch.randn(2, 8, 5), mask)
    shares = head.region_shares(patches)
    assert torch.allclose(shares.sum(1) + head.linear.bias, head(patches), atol=1e-5)
    assert shares[1, 4:].abs().max() == 0


@pytest.fixture
def source(tiny_run: Path, phantom: Corpus) -> ScoredModel:
    studies = phantom.studies
    return open_scored_model(
        [Prediction(id=study.id, report=study.report, reference=study.report) for study in studies],
        run=tiny_run,
        corpus=phantom,
    )


class Copyist(ScoredModel):
    """A model that writes the readers' reports, and says that every word and finding looked at the first region."""

    def explained(self, studies: Sequence[Study]) -> list[Report]:
        attention = np.zeros((2, 2, 2))
        attention[0, 0, 0] = 1.0
        return [
            Report(
                id=study.id,
                text=study.report,
                findings=tuple(
                    FindingScore(name=name, probability=0.5, threshold=0.5, present=True, regions=attention)
                    for name in FINDINGS
                ),
                labels_from="all",
                log_probability=0.0,
                words=tuple(
                    WordEvidence(text=word, log_probability=0.0, attention=attention, prototypes=())
                    for word in clean(study.report).split()
                ),
            )
            for study in studies
        ]


def test_peaks_are_held_against_the_masks(source: ScoredModel) -> None:
    copyist = Copyist(**{field.name: getattr(source, field.name) for field in dataclasses.fields(source)})
    found = ground(copyist)
    assert set(found.how) == {"words", "sentence opening", "findings head"}
    assert len(found.findings) == 13
    for each in found.findings:
        hits = [
            belonging(study_masks(source, study)[:, FINDINGS.index(each.finding)], 2, 2)[0, 0, 0]
            for study in source.studies
            if RuleLabeler().label(study.report)[each.finding] is State.POSITIVE
            and region_path(source.corpus.folder, study.id, "PA").is_file()
            and study_masks(source, study)[:, FINDINGS.index(each.finding)].any()
        ]
        assert each.mentions == len(hits)
        assert each.methods["words"].pointing.value == pytest.approx(np.mean(hits))
        assert each.methods["findings head"].pointing.value == each.methods["words"].pointing.value
        assert each.methods["words"].pointing.value <= each.fixed_place
        assert 0 < each.area < each.by_chance
    assert found.macro["words"] == pytest.approx(
        np.mean([each.methods["words"].pointing.value for each in found.findings])
    )
    few = ground(copyist, limit=3)
    assert few.studies <= 3


def test_the_command_needs_a_model_and_regions(
    tiny_run: Path, phantom: Corpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "predictions.jsonl"
    folder = tmp_path / "corpus"
    shutil.copytree(phantom.folder, folder, ignore=shutil.ignore_patterns("regions"))
    path.write_text(json.dumps({"id": phantom.split("test")[0].id, "report": "a"}))
    command = ["evaluate", str(path), "--grounding", "--corpus", str(folder)]
    assert run(command) == 2
    assert "name --run and --corpus" in capsys.readouterr().err
    assert run([*command, "--run", str(tiny_run), "--skip-retrieval"]) == 2
    assert "no regions of findings" in capsys.readouterr().err


def test_masks_go_through_what_pictures_go_through(source: ScoredModel, tiny_run: Path, phantom: Corpus) -> None:
    study = next(study for study in phantom.studies if region_path(phantom.folder, study.id, "PA").is_file())
    masks = study_masks(source, study)
    size = load_checkpoint(tiny_run).images.size
    assert masks.shape == (len(study.views), len(FINDINGS), size, size)
    # The tiny recipe sees the drawn image as it is: so do its masks.
    drawn = read_regions(region_path(phantom.folder, study.id, study.views[0].position or ""))
    assert (masks[0] == drawn).all()
