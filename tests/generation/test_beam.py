import itertools
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from prefix_model import Prefixes
from torch import Tensor

from xpronet.encoders.image_encoder import ImageEncoderSettings
from xpronet.encoders.resnet import ResNet
from xpronet.errors import InputError
from xpronet.generation.beam import Hypothesis, _Search, beam_search
from xpronet.model.decoding import Decoding
from xpronet.model.network import XProNet
from xpronet.model.report_model import Patches
from xpronet.model.search_settings import BeamSettings
from xpronet.model.settings import ModelSettings

BEGIN, END = 0, 1


def exhaustive(
    model: Prefixes, study: int, max_words: int, forbidden: tuple[int, ...] = (), word_reward: float = 0.0
) -> Hypothesis:
    """Score every report there is: closed by an EOS, or as long as allowed."""
    allowed = [word for word in range(model.num_words) if word not in forbidden]
    best, highest = Hypothesis((), -float("inf")), -float("inf")
    for length in range(1, max_words + 1):
        for words in itertools.product(allowed, repeat=length):
            if END in words[:-1] or (words[-1] != END and length < max_words):
                continue
            total = sum(float(model.scores(study, (BEGIN, *words[:place]))[word]) for place, word in enumerate(words))
            written = words[:-1] if words[-1] == END else words
            if total + word_reward * len(written) > highest:
                best, highest = Hypothesis(written, total), total + word_reward * len(written)
    return best


def search(model, num_studies: int, *, forbidden=(), begin=BEGIN, end=END, **choices) -> list[Hypothesis]:
    return best(search_all(model, num_studies, forbidden=forbidden, begin=begin, end=end, **choices))


def search_all(
    model, num_studies: int, *, forbidden=(), begin=BEGIN, end=END, **choices
) -> list[tuple[Hypothesis, ...]]:
    return beam_search(
        model, num_studies=num_studies, begin=begin, end=end, settings=BeamSettings(**choices), forbidden=forbidden
    )


def best(found: list[tuple[Hypothesis, ...]]) -> list[Hypothesis]:
    return [reports[0] for reports in found]


def same(found: list[Hypothesis], expected: list[Hypothesis], tolerance: float = 1e-4) -> None:
    assert [report.words for report in found] == [report.words for report in expected]
    for report, other in zip(found, expected, strict=True):
        assert report.log_probability == pytest.approx(other.log_probability, abs=tolerance)


@contextmanager
def never_stopping_early() -> Iterator[None]:
    """Search on while any beam runs, even one that cannot win any more."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_Search, "running", lambda search: search.scores.amax(1).isfinite().nonzero().squeeze(1))
        yield


@settings(max_examples=40, deadline=None)
@given(
    seeds=st.lists(st.integers(0, 1000), min_size=1, max_size=3),
    num_words=st.integers(2, 4),
    max_words=st.integers(1, 4),
    forbid=st.booleans(),
    word_reward=st.sampled_from([0.0, 0.0, 0.3, 2.0]),
)
def test_wide_enough_a_beam_search_is_exhaustive(seeds, num_words, max_words, forbid, word_reward):
    forbidden = (num_words - 1,) if forbid and num_words > 2 else ()
    model = Prefixes(list(seeds), num_words)
    expected = [exhaustive(model, study, max_words, forbidden, word_reward) for study in range(len(seeds))]
    found = search(
        model,
        len(seeds),
        forbidden=forbidden,
        beams=num_words**max_words,
        max_words=max_words,
        word_reward=word_reward,
    )
    same(found, expected)


@settings(max_examples=40, deadline=None)
@given(
    seeds=st.lists(st.integers(0, 1000), min_size=1, max_size=4),
    beams=st.integers(1, 5),
    max_words=st.integers(1, 8),
    sharpness=st.sampled_from([0.5, 2.0, 6.0]),
    word_reward=st.sampled_from([0.0, 0.5]),
)
def test_early_stop_and_company_change_nothing(seeds, beams, max_words, sharpness, word_reward):
    def found(chosen: list[int]) -> list[Hypothesis]:
        model = Prefixes(list(chosen), 5, sharpness)
        return search(model, len(chosen), beams=beams, max_words=max_words, word_reward=word_reward)

    together = found(seeds)
    with never_stopping_early():
        same(found(seeds), together, 1e-6)
    same([found([seed])[0] for seed in seeds], together, 1e-6)


@settings(max_examples=40, deadline=None)
@given(
    seeds=st.lists(st.integers(0, 1000), min_size=1, max_size=4),
    beams=st.integers(2, 5),
    max_words=st.integers(2, 8),
    sharpness=st.sampled_from([0.5, 2.0]),
)
def test_candidates_are_the_likeliest_finished_reports(seeds, beams, max_words, sharpness):
    def found(**choices) -> list[tuple[Hypothesis, ...]]:
        return search_all(Prefixes(list(seeds), 5, sharpness), len(seeds), beams=beams, max_words=max_words, **choices)

    several = found(choose="agreeing")
    for reports in several:
        scores = [report.log_probability for report in reports]
        assert 1 <= len(reports) <= beams
        assert scores == sorted(scores, reverse=True)
        assert len({report.words for report in reports}) == len(reports)
    # The first is the one that a search for a single report finds, and an early stop loses none.
    same(best(several), best(found()), 1e-6)
    with never_stopping_early():
        assert [len(reports) for reports in several] == [len(reports) for reports in found(choose="agreeing")]


def test_early_stop_saves_steps():
    def steps() -> int:
        model = Prefixes([3], 6, 6.0)
        search(model, 1, beams=3, max_words=30)
        return model.steps

    early = steps()
    with never_stopping_early():
        assert early < steps()


def test_one_beam_is_greedy():
    model = Prefixes([5, 6, 7], 6)
    expected = []
    for study in range(3):
        prefix, total = (BEGIN,), 0.0
        while len(prefix) <= 7 and (len(prefix) == 1 or prefix[-1] != END):
            scores = model.scores(study, prefix)
            prefix, total = (*prefix, int(scores.argmax())), total + float(scores.max())
        expected.append(Hypothesis(tuple(word for word in prefix[1:] if word != END), total))
    same(search(model, 3, beams=1, max_words=7), expected)


def test_all_beams_may_end_at_once():
    class Ends(Prefixes):
        def scores(self, study: int, prefix: tuple[int, ...]) -> Tensor:
            scores = torch.full((self.num_words,), -torch.inf)
            scores[END if len(prefix) == 3 else len(prefix) + 1] = 0.0
            return scores

    model = Ends([0, 0], 5)
    same(search(model, 2, beams=4, max_words=10), [Hypothesis((2, 3), 0.0)] * 2)
    assert model.steps == 3


def test_reports_that_never_end_stop_at_the_longest():
    class Endless(Prefixes):
        def scores(self, study: int, prefix: tuple[int, ...]) -> Tensor:
            return super().scores(study, prefix).index_fill(0, torch.tensor(END), -torch.inf)

    model = Endless([1, 2], 4)
    found = search(model, 2, beams=3, max_words=6)
    assert [len(report.words) for report in found] == [6, 6]
    assert model.steps == 6
    assert all(report.log_probability > -100 for report in found)


def test_forbidden_words_are_never_written():
    def written(forbidden: tuple[int, ...]) -> set[int]:
        found = search(Prefixes(list(range(8)), 6, 3.0), 8, beams=3, max_words=8, forbidden=forbidden)
        return {word for report in found for word in report.words}

    assert {2, 3} <= written(())
    assert written((2, 3)) <= {BEGIN, 4, 5}


def test_forbidding_leaves_the_models_own_scores_alone():
    scores = torch.zeros(1, 2, 4).log_softmax(-1)

    class Fixed(Prefixes):
        def step(self, words: Tensor, origin: Tensor | None) -> Tensor:
            return scores

    search(Fixed([0], 4), 1, beams=2, max_words=3, forbidden=(0,))
    assert scores.isfinite().all()


def test_ties_give_a_whole_report():
    found = search(Prefixes([0], 4, flat=True), 1, beams=3, max_words=3)
    # Ending at once is likelier than anything longer.
    same(found, [Hypothesis((), float(torch.tensor(0.25).log()))])


@pytest.mark.parametrize("wrong", [{"beams": 0}, {"max_words": 0}])
def test_wrong_settings_are_refused_by_name(wrong):
    with pytest.raises(InputError, match=f"generate.{next(iter(wrong))}"):
        BeamSettings(**wrong)


NUM_FINDINGS, NUM_WORDS = 4, 11


def small_network(**choices) -> XProNet:
    torch.manual_seed(1)
    values = {"width": 16, "feed_forward": 24, "heads": 2, "layers": 2, "per_finding": 3, "bank_rows": 12}
    network = XProNet(
        backbone=ResNet(ImageEncoderSettings(depth=18, width=2)),
        settings=ModelSettings(**{**values, "bank_width": 10, "gamma": 5, **choices}),
        num_words=NUM_WORDS,
        padding=0,
        num_findings=NUM_FINDINGS,
    )
    with torch.no_grad():
        # Words that depend on the prefix, and an end that is neither certain nor impossible.
        network.word_embedding.weight.normal_(std=0.6)
        network.word_output.weight.normal_(std=0.8)
        network.matching.bank.normal_() if network.matching is not None else None
    return network.eval()


def studies(num_studies: int = 4) -> tuple[Patches, Tensor]:
    """Return patches of studies of one or two views; one with every finding, one with none, others between."""
    generator = torch.Generator().manual_seed(2)
    mask = torch.ones(num_studies, 8, dtype=torch.bool)
    mask[1::2, 4:] = False
    findings = torch.rand(num_studies, NUM_FINDINGS, generator=generator) > 0.5
    findings[0], findings[1] = True, False
    return Patches(torch.randn(num_studies, 8, 16, generator=generator), mask), findings


def write(network: XProNet, patches: Patches, findings: Tensor, **choices) -> list[Hypothesis]:
    steps = BeamSettings(**choices)
    with torch.inference_mode():
        decoding = Decoding(
            network, network.encode(patches, findings), num_beams=steps.beams, max_steps=steps.max_words
        )
        return best(beam_search(decoding, num_studies=len(findings), begin=1, end=2, settings=steps, forbidden=(0, 1)))


class Recomputed:
    """The same network without any cache: every step reads every prefix again."""

    def __init__(self, network: XProNet, patches: Patches, findings: Tensor) -> None:
        self.network, self.patches, self.findings = network, patches, findings
        self.prefixes: Tensor | None = None

    def step(self, words: Tensor, origin: Tensor | None) -> Tensor:
        newest = words.unsqueeze(-1)
        if origin is None:
            self.prefixes = newest
        else:
            moved = self.prefixes.gather(1, origin.unsqueeze(-1).expand_as(self.prefixes))
            self.prefixes = torch.cat([moved, newest], dim=-1)
        scores = [
            self.network.read(self.patches, self.prefixes[:, beam], self.findings).logits[:, -1].log_softmax(-1)
            for beam in range(words.shape[1])
        ]
        return torch.stack(scores, dim=1)

    def keep(self, kept: Tensor) -> None:
        self.patches = Patches(self.patches.features[kept], self.patches.mask[kept])
        self.findings, self.prefixes = self.findings[kept], self.prefixes[kept]


CHOICES = [
    {},
    {"gamma": 100},
    {"norm": "published", "scale": "linear"},
    {"visible": "all", "fusion": "add", "gamma": 4},
    {"visible": "none"},
]


@pytest.mark.parametrize("choices", CHOICES, ids=str)
@pytest.mark.parametrize("beams", [1, 3])
def test_cache_gives_what_reading_everything_again_gives(choices, beams):
    network = small_network(**choices)
    patches, findings = studies()
    limits = {"beams": beams, "max_words": 12}
    with torch.inference_mode():
        plain = beam_search(
            Recomputed(network, patches, findings),
            num_studies=4,
            begin=1,
            end=2,
            settings=BeamSettings(**limits),
            forbidden=(0, 1),
        )
    found = write(network, patches, findings, **limits)
    same(found, best(plain))
    assert len({report.log_probability for report in found}) == 4
    assert max(len(report.words) for report in found) > 2


@pytest.mark.parametrize("beams", [1, 3])
def test_one_study_at_a_time_gives_the_same(beams):
    network = small_network()
    patches, findings = studies(6)
    together = write(network, patches, findings, beams=beams, max_words=12)
    alone = [
        write(
            network,
            Patches(patches.features[row : row + 1], patches.mask[row : row + 1]),
            findings[row : row + 1],
            beams=beams,
            max_words=12,
        )[0]
        for row in range(6)
    ]
    same(alone, together)


@pytest.mark.parametrize("value", [True, False], ids=["every finding", "no finding"])
@pytest.mark.parametrize("gamma", [1, 15, 1000])
def test_every_finding_or_none_gives_a_report(value, gamma):
    network = small_network(gamma=gamma)
    patches, findings = studies(2)
    lone = Patches(patches.features[:1], patches.mask[:1])
    [report] = write(network, lone, torch.full_like(findings[:1], value), beams=3, max_words=6)
    assert -100 < report.log_probability < 0


def test_caches_hold_exactly_the_longest_report():
    network = small_network()
    patches, findings = studies()
    with torch.no_grad():
        network.word_output.bias[2] = -1000.0
    found = write(network, patches, findings, beams=2, max_words=5)
    assert [len(report.words) for report in found] == [5] * 4
