"""The gradient of the expected reward, the anchors, and a stage that learns and resumes."""

import dataclasses
import functools
import itertools
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor, nn

from xpronet.data.dataset import Batch
from xpronet.encoders.image_encoder import ImageEncoderSettings
from xpronet.errors import InputError
from xpronet.experiment.first_stage import FIRST_STAGE
from xpronet.experiment.recipe import Recipe
from xpronet.experiment.run import train_run
from xpronet.labels.findings import FINDINGS
from xpronet.labels.rules import RuleLabeler
from xpronet.model.checkpoint import load_checkpoint
from xpronet.model.report_model import Outputs, Patches, ReportModel
from xpronet.model.settings import ModelSettings
from xpronet.text.cleaning import clean
from xpronet.text.vocabulary import Vocabulary, VocabularySettings
from xpronet.training.interrupts import Interrupted
from xpronet.training.losses import LossSettings
from xpronet.training.reward import PARTS, Reward, RewardSettings, count_documents
from xpronet.training.reward_step import RewardObjective, TextSettings, next_word_divergence
from xpronet.training.run_folder import read_journal

MAX_WORDS = 3
VOCABULARY = Vocabulary([".", "cardiomegaly", "no"], VocabularySettings())
REFERENCES = {"a": "Cardiomegaly.", "b": "No cardiomegaly."}


class Blind(nn.Module):
    """An image encoder that sees nothing."""

    width_out = 1
    settings = ImageEncoderSettings()

    def forward(self, images: UInt8[Tensor, "views height width"]) -> Float[Tensor, "views 1 1 1"]:
        return torch.zeros(len(images), 1, 1, 1)


class Bigrams(ReportModel):
    """Each word depends on the one before it alone, by a table of logits."""

    def __init__(self) -> None:
        super().__init__(
            backbone=Blind(), settings=ModelSettings(), num_words=len(VOCABULARY), padding=0, num_findings=len(FINDINGS)
        )
        torch.manual_seed(0)
        self.table = nn.Parameter(torch.randn(len(VOCABULARY), len(VOCABULARY)))

    def read(self, patches: Patches, words: Int[Tensor, "B T"], findings: Bool[Tensor, "B K"]) -> Outputs:
        return Outputs(
            logits=self.table[words],
            image_responses=None,
            text_responses=None,
            region_mask=patches.mask,
            finding_logits=None,
        )

    def encode(self, patches: Patches, findings: Bool[Tensor, "B K"], bank: Any = None) -> "Bigrams":
        return self

    def start_decoding(self, encoded: Any, *, num_beams: int, max_words: int) -> "Bigrams":
        return self

    def step(self, words: Int[Tensor, "B N"], origin: Any = None) -> Float[Tensor, "B N vocabulary"]:
        return self.table[words].log_softmax(-1)

    def keep(self, studies: Int[Tensor, "kept"]) -> None:
        pass


def objective_of(
    settings: RewardSettings, *, first_stage: ReportModel | None = None, freeze_encoder: bool = True
) -> RewardObjective:
    reward = Reward(
        settings,
        REFERENCES,
        cider=count_documents([*REFERENCES.values(), "No."], clean, settings),
        clean=clean,
        labeler=RuleLabeler(),
    )
    return RewardObjective(
        Bigrams(),
        reward,
        text=TextSettings(vocabulary=VOCABULARY, findings=FINDINGS, max_words=MAX_WORDS),
        loss_settings=LossSettings(),
        freeze_encoder=freeze_encoder,
        first_stage=first_stage,
    )


def batch_of(*ids: str) -> Batch:
    rows = [VOCABULARY.encode(REFERENCES[study]) for study in ids]
    words = nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True)
    return Batch(
        ids=ids,
        images=torch.zeros(len(ids), 1, 1, 1, dtype=torch.uint8),
        view_mask=torch.ones(len(ids), 1, dtype=torch.bool),
        words=words,
        word_mask=words != VOCABULARY.padding,
        findings=torch.zeros(len(ids), len(FINDINGS), dtype=torch.bool),
    )


def expected_gradient(objective: RewardObjective, batch: Batch) -> Float[Tensor, "V V"]:
    """Return the gradient of minus the expected reward over all reports that there are, a word of the references."""
    network, reward = objective.network, objective._reward
    expected = torch.zeros(())
    for length in range(1, MAX_WORDS + 1):
        for report in itertools.product(range(len(VOCABULARY)), repeat=length):
            closed = report[-1] == VOCABULARY.eos
            if VOCABULARY.eos in report[:-1] or not (closed or length == MAX_WORDS):
                continue
            before = torch.tensor([VOCABULARY.bos, *report[:-1]])
            scores = objective.policy.log_probabilities(network.table[before])
            chance = scores[torch.arange(length), torch.tensor(report)].sum().exp()
            text = VOCABULARY.text(report)
            expected = expected + chance * sum(
                reward.total(reward.parts(study, text, ended=closed)) for study in batch.ids
            )
    words = int(batch.word_mask[:, 1:].sum())
    return torch.autograd.grad(-expected / words, network.table)[0]


@pytest.mark.parametrize(
    "values",
    [{"baseline": "mean"}, {"baseline": "greedy"}, {"temperature": 1.7}, {"top_k": 3}],
    ids=lambda values: "-".join(map(str, values.values())),
)
def test_the_estimated_gradient_is_that_of_the_expected_reward(values: dict[str, Any]) -> None:
    # Thousands of samples in a few batches, of few different reports: each is scored once.
    objective = objective_of(RewardSettings(samples=400, anchor="none", **values))
    objective._reward.parts = functools.cache(objective._reward.parts)  # type: ignore[method-assign]
    batch = batch_of("a", "b")
    gradients = []
    for seed in range(12):
        objective.zero_grad()
        objective(batch, seed).total.backward()
        gradients.append(objective.network.table.grad.clone())
    estimates = torch.stack(gradients)
    exact = expected_gradient(objective, batch)
    error = estimates.std(0) / len(estimates) ** 0.5
    assert ((estimates.mean(0) - exact).abs() <= 4.5 * error + 1e-6).all()
    # The estimate is worth something: it is far closer to the gradient than nothing is.
    assert (estimates.mean(0) - exact).norm() < 0.15 * exact.norm()


def test_the_same_seed_gives_the_same_terms_and_every_part_is_named() -> None:
    objective = objective_of(RewardSettings(samples=3, places=0.5))
    first, again, other = (objective(batch_of("a", "b"), seed).by_name() for seed in (1, 1, 2))
    assert list(first)[:8] == ["reward", *PARTS, "policy"]
    assert "words" in first
    assert list(first)[-1] == "total"
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert first["policy"] != other["policy"]


def test_the_divergence_from_the_first_stage_grows_from_zero() -> None:
    objective = objective_of(RewardSettings(samples=4, anchor="kl", anchor_weight=0.5), first_stage=Bigrams())
    before = objective(batch_of("a"), 0)
    assert float(before.terms["kl"].detach()) == pytest.approx(0, abs=1e-6)
    with torch.no_grad():
        objective.network.table += torch.randn(objective.network.table.shape)
    after = objective(batch_of("a"), 0)
    assert after.terms["kl"] > 0.01
    torch.testing.assert_close(after.total, after.terms["policy"] + 0.5 * after.terms["kl"])
    assert not any(parameter.requires_grad for parameter in objective._first_stage.parameters())


def test_a_divergence_is_the_sum_over_words() -> None:
    ours, theirs = torch.tensor([0.5, 0.5, 0.0]), torch.tensor([0.25, 0.25, 0.5])
    divergence = next_word_divergence(ours.log(), theirs.log())
    assert float(divergence) == pytest.approx(0.6931, abs=1e-4)
    assert float(next_word_divergence(theirs.log(), theirs.log())) == 0


def test_another_anchor_than_the_first_loss_needs_a_frozen_encoder() -> None:
    objective_of(RewardSettings(samples=2), freeze_encoder=False)
    with pytest.raises(InputError, match=r"reward.anchor = 'none'.*train.freeze_backbone = true"):
        objective_of(RewardSettings(samples=2, anchor="none"), freeze_encoder=False)


@pytest.fixture(scope="module")
def stage(tiny_recipe: Recipe) -> Recipe:
    """A stage with reward of the tiny recipe."""
    return dataclasses.replace(
        tiny_recipe,
        reward=RewardSettings(samples=4, anchor_weight=0.01),
        gate=dataclasses.replace(tiny_recipe.gate, fit=False),
        generate=dataclasses.replace(tiny_recipe.generate, beams=1, max_words=20),
        train=dataclasses.replace(
            tiny_recipe.train, epochs=2, freeze_backbone=True, learning_rate=0.01, weight_decay=0.0, best_by="reward"
        ),
    )


@pytest.fixture(scope="module")
def rewarded(stage: Recipe, tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("rewarded") / "run"
    train_run(stage, run, first_stage=tiny_run)
    return run


def test_the_mean_reward_rises_and_the_journal_has_its_parts(rewarded: Path) -> None:
    first, last = read_journal(rewarded, "epoch")
    for name in ("reward", *PARTS):
        assert {name} <= first["train"].keys() & first["val"].keys()
    assert last["train"]["reward"] > first["train"]["reward"] + 0.1
    # Four validation studies: what training gains there is not sure, but it loses nothing worth a word.
    assert last["val"]["reward"] >= first["val"]["reward"] - 0.05


def test_image_encoder_and_findings_head_stay_those_of_the_first_stage(rewarded: Path, tiny_run: Path) -> None:
    before, after = (load_checkpoint(run).network.state_dict() for run in (tiny_run, rewarded))
    for name, tensor in before.items():
        frozen = name.startswith(("backbone.", "findings_head."))
        assert tensor.equal(after[name]) or not frozen, name
    assert not before["word_output.weight"].equal(after["word_output.weight"])


def test_a_stage_resumes_to_the_bit_without_its_first_run(
    stage: Recipe, rewarded: Path, tiny_run: Path, tmp_path: Path
) -> None:
    def stop_at_the_second_batch(items, description, total):  # type: ignore[no-untyped-def]
        for number, item in enumerate(items):
            if description.startswith("epoch") and number == 1:
                os.kill(os.getpid(), signal.SIGINT)
            yield item

    first = Path(shutil.copytree(tiny_run, tmp_path / "first", symlinks=True))
    with pytest.raises(Interrupted, match="step 2"):
        train_run(stage, tmp_path / "run", first_stage=first, track=stop_at_the_second_batch)
    shutil.rmtree(first)
    train_run(stage, tmp_path / "run", resumed=True)
    weights = "checkpoints/last/model.safetensors"
    assert (tmp_path / "run" / weights).read_bytes() == (rewarded / weights).read_bytes()
    assert [event["train"] for event in read_journal(tmp_path / "run", "epoch")] == [
        event["train"] for event in read_journal(rewarded, "epoch")
    ]


def test_a_stage_is_not_resumed_from_another_model(stage: Recipe, rewarded: Path) -> None:
    assert (rewarded / FIRST_STAGE).is_dir()
    with pytest.raises(InputError, match=r"not the model that .* started from; leave out --from"):
        train_run(stage, rewarded, first_stage=rewarded, resumed=True)


def test_a_stage_needs_a_model_that_fits_its_recipe(stage: Recipe, tiny_run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"reward.samples = 4: .* give its run with --from RUN"):
        train_run(stage, tmp_path / "run")
    wider = dataclasses.replace(stage, model=dataclasses.replace(stage.model, width=32))
    with pytest.raises(InputError, match=r"model.width is 16 in this model and 32 in the recipe"):
        train_run(wider, tmp_path / "run", first_stage=tiny_run)
    without = dataclasses.replace(stage, reward=RewardSettings())
    with pytest.raises(InputError, match=r"train.best_by = 'reward': the recipe has no \[reward\]"):
        train_run(without, tmp_path / "run", first_stage=tiny_run)
    assert not (tmp_path / "run").exists()


def test_a_later_stage_without_reward_goes_on_with_the_first_loss(
    tiny_recipe: Recipe, tiny_run: Path, tmp_path: Path
) -> None:
    longer = dataclasses.replace(tiny_recipe, train=dataclasses.replace(tiny_recipe.train, epochs=1, seed=2))
    train_run(longer, tmp_path / "run", first_stage=tiny_run)
    before = read_journal(tiny_run, "epoch")[0]
    (after,) = read_journal(tmp_path / "run", "epoch")
    assert after["train"]["words"] < before["train"]["words"]
