"""What every report model that comes with the package promises, whatever it computes.

A new one is a line in `MODELS`.
"""

import dataclasses
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from xpronet.encoders.image_encoder import ImageEncoderSettings
from xpronet.encoders.resnet import ResNet
from xpronet.experiment.build import PreparedExperiment, prepare
from xpronet.experiment.recipe import Recipe
from xpronet.experiment.run import train_run
from xpronet.model.build import build_report_model
from xpronet.model.fast_cpu import fast_copy
from xpronet.model.report_model import Patches, ReportModel
from xpronet.model.settings import ModelSettings
from xpronet.training.interrupts import Interrupted
from xpronet.training.losses import word_loss

MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "st": ("st", {}),
    "st, maxout": ("st", {"maxout": True, "word_width": 12}),
    "adaatt": ("adaatt", {}),
    "adaatt, maxout": ("adaatt", {"maxout": True, "attention_width": 12}),
    "att2in": ("att2in", {}),
    "att2in, raw regions": ("att2in", {"raw_regions": True}),
    "topdown": ("topdown", {"word_width": 12, "attention_width": 10}),
}
"""Name and options of each."""
WORDS, CHANNELS, REGIONS, FINDINGS = 21, 64, 4, 14
BOS = 1

each_model = pytest.mark.parametrize("chosen", MODELS)
each_name = pytest.mark.parametrize("chosen", [chosen for chosen, (name, _) in MODELS.items() if chosen == name])
"""Without the variants, where the same code would be trained again."""


@pytest.fixture
def make_model() -> Callable[[str], ReportModel]:
    def make(chosen: str) -> ReportModel:
        name, options = MODELS[chosen]
        torch.manual_seed(7)
        model = build_report_model(
            ModelSettings(name=name, width=16, heads=2, visible="none", options=options),
            backbone=ResNet(ImageEncoderSettings(depth=18, width=8)),
            num_words=WORDS,
            padding=0,
            num_findings=FINDINGS,
        )
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                # Far from uniform: what is wrong must show.
                if not name.startswith("backbone."):
                    parameter.mul_(3)
        return model.eval()

    return make


def draw_patches(num_studies: int = 3, num_views: int = 2) -> Patches:
    features = torch.randn(
        num_studies, num_views * REGIONS, CHANNELS, generator=torch.Generator().manual_seed(5)
    ).relu()
    mask = torch.ones(num_studies, num_views * REGIONS, dtype=torch.bool)
    mask[-1, REGIONS:] = False
    return Patches(features, mask)


def some(patches: Patches, studies: list[int]) -> Patches:
    return Patches(patches.features[studies], patches.mask[studies])


def no_findings(patches: Patches) -> torch.Tensor:
    return torch.zeros(len(patches.mask), FINDINGS, dtype=torch.bool)


def read(model: ReportModel, patches: Patches, words: torch.Tensor) -> torch.Tensor:
    return model.read(patches, words, no_findings(patches)).logits.log_softmax(-1)


@each_model
@pytest.mark.parametrize("fast", [False, True])
def test_word_by_word_equals_all_at_once_whatever_beams_and_studies_do(
    make_model: Callable[[str], ReportModel], chosen: str, fast: bool
) -> None:
    model = fast_copy(make_model(chosen)) if fast else make_model(chosen)
    patches, num_beams, random = draw_patches(), 3, torch.Generator().manual_seed(3)
    studies = [0, 1, 2]
    written = torch.full((3, num_beams, 1), BOS)
    origin = None
    with torch.inference_mode():
        encoded = model.encode(patches, no_findings(patches), model.prepare_decoding())
        decoding = model.start_decoding(encoded, num_beams=num_beams, max_words=9)
        for place in range(8):
            found = decoding.step(written[..., -1], origin)
            for beam in range(num_beams):
                expected = read(model, some(patches, studies), written[:, beam])[:, -1]
                torch.testing.assert_close(found[:, beam], expected, rtol=0, atol=1e-5)
            torch.testing.assert_close(found.exp().sum(-1), torch.ones(len(studies), num_beams), rtol=0, atol=1e-5)
            if place in (2, 5):
                kept = torch.tensor([len(studies) - 1, 0] if place == 2 else [0])
                decoding.keep(kept)
                studies, written = [studies[row] for row in kept], written[kept]
            origin = torch.randint(num_beams, (len(studies), num_beams), generator=random)
            newest = torch.randint(4, WORDS, (len(studies), num_beams, 1), generator=random)
            written = torch.cat([written.gather(1, origin.unsqueeze(-1).expand_as(written)), newest], dim=-1)


@each_model
def test_a_masked_view_equals_an_absent_one(make_model: Callable[[str], ReportModel], chosen: str) -> None:
    model, patches = make_model(chosen), draw_patches()
    alone = Patches(patches.features[2:, :REGIONS], patches.mask[2:, :REGIONS])
    words = torch.tensor([[BOS, 5, 6, 7, 2]])
    with torch.inference_mode():
        masked = read(model, some(patches, [2]), words)
        torch.testing.assert_close(masked, read(model, alone, words), rtol=0, atol=1e-5)
        reading = model.reread(model.encode(some(patches, [2]), no_findings(alone), model.prepare_decoding()), words)
    assert reading is not None
    assert (reading.attention[:, :, REGIONS:] == 0).all()


@each_model
def test_the_report_depends_on_the_image_and_not_on_the_order_of_regions(
    make_model: Callable[[str], ReportModel], chosen: str
) -> None:
    model, patches = make_model(chosen), draw_patches()
    words = torch.tensor([[BOS, 5, 6, 7, 2], [BOS, 8, 8, 3, 9]])
    order = torch.randperm(2 * REGIONS, generator=torch.Generator().manual_seed(1))
    both = some(patches, [0, 1])
    with torch.inference_mode():
        found = read(model, both, words)
        shuffled = read(model, Patches(both.features[:, order], both.mask), words)
        torch.testing.assert_close(found, shuffled, rtol=0, atol=1e-5)
        assert (found - read(model, some(patches, [1, 0]), words)).abs().amax() > 1e-2


@each_model
def test_the_evidence_is_that_of_the_words(make_model: Callable[[str], ReportModel], chosen: str) -> None:
    model, patches = make_model(chosen), draw_patches()
    words = torch.tensor([[BOS, 5, 6, 7, 2], [BOS, 8, 8, 3, 9], [BOS, 4, 5, 6, 20]])
    with torch.inference_mode():
        reading = model.reread(model.encode(patches, no_findings(patches), model.prepare_decoding()), words)
        scores = read(model, patches, words[:, :-1]).gather(-1, words[:, 1:, None]).squeeze(-1)
    assert reading is not None
    torch.testing.assert_close(reading.log_probabilities, scores, rtol=0, atol=1e-5)
    torch.testing.assert_close(reading.attention.sum(-1), torch.ones(3, 4), rtol=0, atol=1e-5)
    assert (reading.attention >= 0).all()
    if chosen.startswith("adaatt"):
        assert reading.language is not None
        assert ((reading.language > 0) & (reading.language < 1)).all()
    else:
        assert reading.language is None


def recipe_of(chosen: str, tiny_recipe: Recipe, **changes: Any) -> Recipe:
    name, options = MODELS[chosen]
    width = {option: 16 for option in options if option.endswith("_width")}
    model = dataclasses.replace(
        tiny_recipe.model, name=name, visible="none", width=changes.pop("width", 16), options={**options, **width}
    )
    train = dataclasses.replace(
        tiny_recipe.train, **{"freeze_backbone": True, "optimiser": "plain-adam", "learning_rate": 2e-3, **changes}
    )
    return dataclasses.replace(tiny_recipe, model=model, train=train)


@each_name
def test_eight_studies_are_learned_by_heart(chosen: str, tiny_recipe: Recipe) -> None:
    recipe = recipe_of(chosen, tiny_recipe, width=64, learning_rate=1e-2)
    options = {**recipe.model.options, "dropout": 0.0}
    recipe = dataclasses.replace(
        recipe,
        model=dataclasses.replace(recipe.model, options=options),
        vocabulary=dataclasses.replace(recipe.vocabulary, max_words=24),
    )
    assert _learned_by_heart(prepare(recipe)) > 0.95


def _learned_by_heart(prepared: PreparedExperiment) -> float:
    """Return the share of the words of eight train studies that are the likeliest after some steps on them."""
    from xpronet.data.loader import load_batches

    network = prepared.checkpoint.network.train()
    batch = next(iter(load_batches(prepared.train_set, prepared.recipe.batches, padding=0)))
    assert len(batch.ids) == 8
    with torch.no_grad():
        network.backbone.eval()
        patches = network.encode_images(batch.images, batch.view_mask)
        # The encoder's weights are drawn, not trained: to it all images are nearly the same.
        real = patches.features[patches.mask]
        patches = Patches((patches.features - real.mean(0)) / real.std(0).clamp(min=1e-3), patches.mask)
    targets, mask = batch.words[:, 1:], batch.word_mask[:, 1:]
    parameters = [each for name, each in network.named_parameters() if not name.startswith("backbone.")]
    optimiser = torch.optim.Adam(parameters, lr=prepared.recipe.train.learning_rate)
    share = 0.0
    for _ in range(200):
        logits = network.read(patches, batch.words[:, :-1], batch.findings).logits
        share = float((logits.argmax(-1) == targets)[mask].float().mean())
        if share > 0.97:
            break
        optimiser.zero_grad()
        word_loss(logits, targets, mask).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
    return share


@each_name
def test_killed_and_resumed_it_has_the_same_weights(chosen: str, tiny_recipe: Recipe, tmp_path: Path) -> None:
    def stop_at_the_second_batch(items, description, total):  # type: ignore[no-untyped-def]
        for number, item in enumerate(items):
            if description.startswith("epoch") and number == 1:
                os.kill(os.getpid(), signal.SIGINT)
            yield item

    recipe = recipe_of(chosen, tiny_recipe, epochs=1)
    train_run(recipe, tmp_path / "whole")
    with pytest.raises(Interrupted, match="step 2"):
        train_run(recipe, tmp_path / "run", track=stop_at_the_second_batch)
    train_run(recipe, tmp_path / "run", resumed=True)
    last = Path("checkpoints/last/model.safetensors")
    whole, again = load_file(tmp_path / "whole" / last), load_file(tmp_path / "run" / last)
    assert all(torch.equal(whole[name], again[name]) for name in whole | again)
