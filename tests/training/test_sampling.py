"""Sampled reports have the probabilities that teacher forcing gives them, whatever they are sampled with."""

import dataclasses

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from xpronet.data.dataset import Batch
from xpronet.data.loader import load_batches
from xpronet.experiment.build import PreparedExperiment, prepare
from xpronet.experiment.recipe import Recipe
from xpronet.generation.beam import beam_search
from xpronet.model.report_model import Patches, ReportModel
from xpronet.model.search_settings import BeamSettings
from xpronet.prototypes.bank import PrototypeBank
from xpronet.training import sampling
from xpronet.training.sampling import Policy, Samples, sample_reports

MAX_WORDS = 12


@pytest.fixture(scope="module")
def prepared(tiny_recipe: Recipe, tiny_run) -> PreparedExperiment:  # type: ignore[no-untyped-def]
    return prepare(tiny_recipe, bank=PrototypeBank.load(tiny_run / "prototypes.safetensors"))


@pytest.fixture(scope="module")
def network(prepared: PreparedExperiment) -> ReportModel:
    torch.manual_seed(0)
    network = prepared.checkpoint.network.eval()
    with torch.no_grad():
        # Reports of various lengths: the end is as likely as all other words together.
        network.word_output.bias[prepared.checkpoint.vocabulary.eos] += 3.0
    return network


@pytest.fixture(scope="module")
def batch(prepared: PreparedExperiment) -> Batch:
    settings = dataclasses.replace(prepared.recipe.batches, size=4)
    return next(iter(load_batches(prepared.train_set, settings, padding=prepared.checkpoint.vocabulary.padding)))


@torch.no_grad()
def sample(
    network: ReportModel,
    batch: Batch,
    prepared: PreparedExperiment,
    policy: Policy,
    *,
    greedy: bool = False,
    seed: int = 1,
) -> tuple[Patches, Samples]:
    vocabulary = prepared.checkpoint.vocabulary
    patches = network.encode_images(batch.images, batch.view_mask)
    encoded = network.encode(patches, batch.findings, network.prepare_decoding())
    samples = sample_reports(
        network.start_decoding(encoded, num_beams=3, max_words=MAX_WORDS),
        num_studies=len(batch.ids),
        num_samples=3,
        begin=vocabulary.bos,
        end=vocabulary.eos,
        padding=vocabulary.padding,
        max_words=MAX_WORDS,
        policy=policy,
        generator=torch.Generator().manual_seed(seed),
        greedy=greedy,
    )
    return patches, samples


@pytest.mark.parametrize(
    "policy",
    [
        # Padding is id 0; a network never sees it as a word.
        Policy(forbidden=(0,)),
        Policy(temperature=0.7, forbidden=(0,)),
        Policy(top_k=4, forbidden=(0,)),
        Policy(temperature=1.5, top_k=7, forbidden=(0, 1, 3)),
    ],
    ids=str,
)
def test_teacher_forcing_gives_samples_the_probability_they_were_drawn_with(
    policy: Policy, network: ReportModel, batch: Batch, prepared: PreparedExperiment
) -> None:
    patches, samples = sample(network, batch, prepared, policy)
    with torch.no_grad():
        logits = network.read_samples(patches, samples.words[:, :, :-1], batch.findings)
    again = policy.log_probabilities(logits, samples.words[:, :, 1:])
    again = again.gather(-1, samples.words[:, :, 1:, None]).squeeze(-1).masked_fill(~samples.mask, 0.0)
    torch.testing.assert_close(again, samples.log_probabilities, atol=2e-5, rtol=1e-5)
    assert samples.mask.sum(-1).unique().numel() > 1
    assert (samples.log_probabilities[samples.mask] < 0).all()


def test_our_way_to_read_samples_equals_reading_each_by_itself(
    network: ReportModel, batch: Batch, prepared: PreparedExperiment
) -> None:
    patches, samples = sample(network, batch, prepared, Policy())
    with torch.no_grad():
        ours = network.read_samples(patches, samples.words, batch.findings)
        plain = ReportModel.read_samples(network, patches, samples.words, batch.findings)
    torch.testing.assert_close(ours, plain, atol=2e-5, rtol=1e-5)


def test_a_sample_ends_with_its_eos_and_padding_follows(
    network: ReportModel, batch: Batch, prepared: PreparedExperiment
) -> None:
    vocabulary = prepared.checkpoint.vocabulary
    _, samples = sample(network, batch, prepared, Policy(forbidden=(vocabulary.padding, vocabulary.bos)))
    for report, mask in zip(samples.words.flatten(0, 1).tolist(), samples.mask.flatten(0, 1).tolist(), strict=True):
        written = report[1 : 1 + sum(mask)]
        assert report[0] == vocabulary.bos
        assert vocabulary.eos not in written[:-1]
        assert vocabulary.padding not in written
        assert set(report[1 + sum(mask) :]) <= {vocabulary.padding}
        assert written[-1] == vocabulary.eos or len(written) == MAX_WORDS


def test_the_greedy_report_is_the_search_with_one_beam(
    network: ReportModel, batch: Batch, prepared: PreparedExperiment
) -> None:
    vocabulary = prepared.checkpoint.vocabulary
    _, samples = sample(network, batch, prepared, Policy(), greedy=True)
    with torch.inference_mode():
        encoded = network.encode(network.encode_images(batch.images, batch.view_mask), batch.findings)
        found = beam_search(
            network.start_decoding(encoded, num_beams=1, max_words=MAX_WORDS),
            num_studies=len(batch.ids),
            begin=vocabulary.bos,
            end=vocabulary.eos,
            settings=BeamSettings(beams=1, max_words=MAX_WORDS),
        )
    for row, (report,) in enumerate(found):
        assert vocabulary.word_list(samples.words[row, -1].tolist()) == vocabulary.word_list(report.words)


def test_finished_studies_are_dropped_without_a_trace(
    network: ReportModel, batch: Batch, prepared: PreparedExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, dropped = sample(network, batch, prepared, Policy(), greedy=True)
    monkeypatch.setattr(sampling, "KEPT", 0.0)
    _, kept = sample(network, batch, prepared, Policy(), greedy=True)
    # The greedy ones draw no random numbers, whose number depends on the studies that are left.
    assert dropped.words[:, -1].tolist() == kept.words[:, -1, : dropped.words.shape[-1]].tolist()


def test_the_seed_decides(network: ReportModel, batch: Batch, prepared: PreparedExperiment) -> None:
    first, again, other = (sample(network, batch, prepared, Policy(), seed=seed)[1] for seed in (1, 1, 2))
    assert first.words.equal(again.words)
    assert not first.words.equal(other.words)


@given(
    st.lists(st.floats(-5, 5), min_size=4, max_size=4),
    st.floats(0.2, 5),
    st.integers(0, 5),
    st.sampled_from([(), (0,), (1, 2)]),
)
def test_a_policy_is_a_distribution(
    scores: list[float], temperature: float, top_k: int, never: tuple[int, ...]
) -> None:
    policy = Policy(temperature=temperature, top_k=top_k, forbidden=never)
    chances = policy.log_probabilities(torch.tensor(scores, dtype=torch.float64)).exp()
    assert float(chances.sum()) == pytest.approx(1)
    assert all(chances[word] == 0 for word in never)
    possible = 4 - len(never)
    assert int((chances > 0).sum()) == min(top_k or possible, possible)


def test_a_word_that_rounding_put_behind_the_top_keeps_a_probability() -> None:
    policy = Policy(top_k=1)
    chances = policy.log_probabilities(torch.tensor([1.0, 0.9, 0.0]), torch.tensor(1)).exp()
    assert chances[1] > 0.4
    assert chances[2] == 0


def test_draws_have_the_frequencies_of_their_probabilities() -> None:
    log_probabilities = torch.tensor([0.6, 0.3, 0.1]).log().expand(2000, 1, 3)
    drawn = sampling._draw(log_probabilities, torch.Generator().manual_seed(0), greedy=False)
    shares = torch.bincount(drawn.flatten(), minlength=3) / 2000
    torch.testing.assert_close(shares, torch.tensor([0.6, 0.3, 0.1]), atol=0.03, rtol=0)
