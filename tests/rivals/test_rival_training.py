"""Rivals in training and in use: eight studies by heart, the same run after a kill, reports with evidence."""

import dataclasses
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from rival_options import HIERARCHICAL, OPTIONS

from xpronet.data.corpus import Corpus
from xpronet.data.dataset import BatchSettings, StudyDataset
from xpronet.data.loader import load_batches
from xpronet.errors import InputError
from xpronet.experiment.recipe import Recipe
from xpronet.experiment.run import train_run
from xpronet.generation.beam import beam_search
from xpronet.generation.evidence import trace_words
from xpronet.generation.generator import ReportGenerator
from xpronet.images.transforms import ImageSettings
from xpronet.model.build import BUILT_IN
from xpronet.model.checkpoint import Checkpoint, load_checkpoint
from xpronet.model.checkpoint_files import find_checkpoint
from xpronet.model.report_model import Patches
from xpronet.model.search_settings import BeamSettings
from xpronet.text.cleaning import readable
from xpronet.training.losses import LossSettings, losses


def as_rival(recipe: Recipe, name: str, **options: object) -> Recipe:
    model = dataclasses.replace(recipe.model, name=name, visible="none", options=options)
    train = dataclasses.replace(
        recipe.train, freeze_backbone=True, optimiser="plain-adam", learning_rate=2e-3, clip_value=1.0, save_steps=1
    )
    return dataclasses.replace(recipe, model=model, train=train)


@pytest.fixture(scope="session")
def seen(phantom: Corpus, studies, backbone) -> Patches:
    """Eight studies as a network with random weights sees them, each feature at unit variance."""
    dataset = StudyDataset(
        phantom,
        phantom.split("train")[:8],
        vocabulary=studies.vocabulary,
        findings=studies.findings[:8].astype(float),
        images=ImageSettings(size=64, short_side=64),
        max_views=2,
        augment=False,
    )
    [batch] = load_batches(dataset, BatchSettings(size=8), padding=0)
    views = torch.nn.functional.adaptive_avg_pool2d(batch.images.float().flatten(0, 1)[:, None], 8)
    regions = torch.nn.functional.unfold(views, 4, stride=4).transpose(1, 2).reshape(8, -1, 16)
    regions = (regions - regions.mean((0, 1))) / regions.std((0, 1))
    wide = torch.randn(16, backbone.width_out, generator=torch.Generator().manual_seed(1)) / 4
    return Patches(regions @ wide, torch.ones(8, 8, dtype=torch.bool))


@pytest.mark.parametrize("name", BUILT_IN)
def test_eight_studies_are_learned_by_heart(name, make_rival, pad, seen, studies):
    # In evaluation mode: nothing is dropped.
    rival = make_rival(name, width=48)
    model, _ = rival
    words, findings = pad(rival, 8)[:, :20], torch.from_numpy(studies.findings[:8])
    mask = words[:, 1:] != model.padding
    optimiser = torch.optim.Adam([each for name, each in model.named_parameters() if "backbone" not in name], lr=0.01)
    torch.manual_seed(0)
    for _ in range(300):
        outputs = model.read(seen, words[:, :-1], findings)
        right = (outputs.logits.argmax(-1) == words[:, 1:])[mask].float().mean()
        if right > 0.95:
            break
        optimiser.zero_grad()
        losses(outputs, words[:, 1:], mask, findings, LossSettings()).total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimiser.step()
    assert right > 0.95


class KilledError(Exception):
    pass


def killed_at(step: int):
    """Return a tracker that stops the run as a kill does, before a step."""
    left = step

    def track(items: Iterable, description: str, total: int) -> Iterator:
        nonlocal left
        for item in items:
            if description.startswith("epoch"):
                left -= 1
                if left < 0:
                    raise KilledError
            yield item

    return track


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_kill_and_a_resume_give_the_same_bytes_and_a_checkpoint_stands_alone(
    name: str, tiny_recipe: Recipe, phantom: Corpus, tmp_path: Path
):
    recipe = as_rival(tiny_recipe, name, **OPTIONS.get(name, {}))
    said: list[str] = []
    train_run(recipe, tmp_path / "whole", notify=said.append)
    with pytest.raises(KilledError):
        train_run(recipe, tmp_path / "killed", track=killed_at(5))
    train_run(recipe, tmp_path / "killed", resumed=True)
    for file in ("model.safetensors", "vocabulary.json", "findings.json", "config.json"):
        whole, killed = (find_checkpoint(tmp_path / run) / file for run in ("whole", "killed"))
        assert whole.read_bytes() == killed.read_bytes(), file
    kept = tmp_path / "whole" / "derived.json"
    if name not in HIERARCHICAL:
        assert not kept.exists()
    else:
        assert said[0].startswith("Sentences: ")
        assert (find_checkpoint(tmp_path / "whole") / "derived.json").read_text() == kept.read_text()
        record = json.loads((tmp_path / "killed" / "derived.json").read_text())
        (tmp_path / "killed" / "derived.json").write_text(json.dumps(record | {"sentences": {}}))
        more = dataclasses.replace(recipe, train=dataclasses.replace(recipe.train, epochs=3))
        with pytest.raises(InputError, match=r"derived.json: differs from what the train studies give now"):
            train_run(more, tmp_path / "killed", resumed=True)
    find_checkpoint(tmp_path / "whole").rename(tmp_path / "alone")
    check_words(tmp_path / "alone", phantom)


def keep_writing(loaded: Checkpoint) -> None:
    """Make a model slow to end: two epochs teach it that an empty report is the likeliest."""
    network = loaded.network
    with torch.no_grad():
        if network.settings.name in ("coat", "hrgr", "kerp"):
            network.stop.bias[0] = -1e4
        elif network.settings.name == "cmas":
            network.choice.bias[0] = -1e4
        else:
            network.word_output.bias[loaded.vocabulary.eos] = -1e4


def check_words(checkpoint: Path, phantom: Corpus) -> None:
    """See that the words of a report are its text, and each was drawn from the regions."""
    loaded = load_checkpoint(checkpoint)
    keep_writing(loaded)
    generator = ReportGenerator(loaded, device=torch.device("cpu"))
    study = phantom.split("test")[0]
    report = generator.report([phantom.view_path(view) for view in study.views])
    written = [word.text for word in report.words]
    assert readable(" ".join(written)) == report.text
    assert 0 < len(written) <= generator.settings.max_words
    for word in report.words:
        assert word.attention.shape == (2, 2, 2)
        assert word.attention.sum() == pytest.approx(1, abs=1e-4)
    # Words of a template, too, are drawn where the model says that it looked.
    images, present = torch.zeros(1, 2, 64, 64, dtype=torch.uint8), np.zeros(len(loaded.findings), dtype=bool)
    traces = trace_words(loaded, report, images, present, device=torch.device("cpu"))
    assert [trace.text for trace in traces] == written
    assert all((trace.attention == word.attention).all() for trace, word in zip(traces, report.words, strict=True))
    # What is missing is the probability of EOS.
    assert sum(word.log_probability for word in report.words) >= report.log_probability - 1e-3


def test_the_words_of_a_template_count_against_the_limit(make_rival, patches, findings):
    model, derived = make_rival("hrgr")
    with torch.no_grad():
        model.policy.bias[0] = -1e4
        model.stop.bias[0] = -1e4
    vocabulary = derived.vocabulary
    lengths = [len(vocabulary.spell(number)) for number in range(len(vocabulary))]
    with torch.inference_mode():
        found = beam_search(
            model.start_decoding(model.encode(patches, findings), num_beams=3, max_words=20),
            num_studies=4,
            begin=vocabulary.bos,
            end=vocabulary.eos,
            settings=BeamSettings(beams=3, max_words=20),
            lengths=lengths,
        )
    for [report] in found:
        words = vocabulary.word_list(report.words)
        assert len(report.words) < len(words) <= 20
        assert words.count(".") > 1


def test_a_mark_counts_as_no_word():
    class Script:
        """Writes mark, word, mark, word and so on; never ends."""

        def step(self, words, origin):
            scores = torch.full((*words.shape, 5), -torch.inf)
            scores[..., 4] = torch.where(words == 4, -torch.inf, 0.0)
            scores[..., 3] = torch.where(words == 4, 0.0, -torch.inf)
            return scores

        def keep(self, studies):
            raise AssertionError("one study is searched to the end")

    settings = BeamSettings(beams=1, max_words=3)
    [[report]] = beam_search(Script(), num_studies=1, begin=1, end=2, settings=settings, lengths=[1, 1, 1, 1, 0])
    assert report.words == (4, 3, 4, 3, 4, 3)
