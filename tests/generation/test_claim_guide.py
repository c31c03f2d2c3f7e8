"""Search by evidence: what partial reports claim is read, paid for once, and steers the search where it is asked to."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from prefix_model import Prefixes

from xpronet.generation.beam import beam_search
from xpronet.generation.claim_guide import ClaimGuide, ClaimReader, _cost
from xpronet.labels.findings import FINDINGS, State
from xpronet.labels.rules import RuleLabeler
from xpronet.model.search_settings import BeamSettings
from xpronet.text.vocabulary import Phrase, Vocabulary, VocabularySettings

WORDS = (".", "a", "cardiomegaly", "edema", "fracture", "is", "no", "seen")
VOCABULARY = Vocabulary(WORDS, VocabularySettings())
LABELER = RuleLabeler()
EDEMA, FRACTURE = FINDINGS.index("Edema"), FINDINGS.index("Fracture")


def reader() -> ClaimReader:
    return ClaimReader(VOCABULARY, FINDINGS, LABELER)


def ids(text: str) -> list[int]:
    return VOCABULARY.ids_of(text.split())


def write(
    seed: int, weight: float, probabilities: torch.Tensor, beams: int = 4, *, guided: bool = True, words: int = 9
):
    model = Prefixes([seed, seed + 1], len(VOCABULARY), sharpness=2.0)
    guide = ClaimGuide(reader(), probabilities, torch.full((len(FINDINGS),), 0.5), weight=weight)
    return beam_search(
        model,
        num_studies=2,
        begin=VOCABULARY.bos,
        end=VOCABULARY.eos,
        settings=BeamSettings(beams=beams, max_words=words),
        forbidden=(VOCABULARY.padding, VOCABULARY.bos, VOCABULARY.unknown),
        guide=guide if guided else None,
    )


def full_cost(words: tuple[int, ...], probabilities: torch.Tensor) -> float:
    """The cost by its definition: each sentence is read by itself, and what nothing mentions is denied at the end."""
    odds = torch.logit(probabilities.double()).tolist()
    paid: set[tuple[int, bool]] = set()
    for sentence in VOCABULARY.decode(words).split(" . "):
        for column, name in enumerate(FINDINGS[:-1]):
            state = LABELER.label(sentence)[name]
            if state is not State.NOT_MENTIONED:
                paid.add((column, state is not State.NEGATIVE))
    mentioned = {column for column, _ in paid}
    paid |= {(column, False) for column in range(13) if column not in mentioned}
    return sum(max(0.0, -odds[column] if affirmed else odds[column]) for column, affirmed in paid)


def test_claims_are_bits_of_findings_and_words_that_deny_are_known():
    assert reader().read(ids("edema is seen")) == 1 << 2 * EDEMA
    assert reader().read(ids("no edema . fracture is seen")) == (2 << 2 * EDEMA) | (1 << 2 * FRACTURE)
    assert reader().read(ids("a is seen")) == 0
    assert reader().denials == {*ids("no")}
    assert reader().stop == ids(".")[0]


def test_a_template_closes_a_sentence_and_a_mark_does_not():
    vocabulary = VOCABULARY.with_phrases([Phrase("<one>", "no edema ."), Phrase("<mark>", "")])
    template = vocabulary.first_phrase
    reads = ClaimReader(vocabulary, FINDINGS, LABELER)
    assert reads.templates == {template}
    guide = ClaimGuide(reads, torch.full((1, 14), 0.9), torch.full((14,), 0.5), weight=1.0)
    totals = torch.full((1, len(vocabulary)), -100.0)
    totals[0, template] = 0.0
    _, costs = guide.choose([0], totals, beams=1, vocabulary=len(vocabulary), end=vocabulary.eos, last=False)
    assert costs.item() == pytest.approx(math.log(9))


def test_equal_beginnings_are_one_sentence_and_deny_from_their_denial_on():
    first = reader().first
    no = first.then(ids("no")[0])
    assert first.then(ids("no")[0]) is no
    assert [first.denying, no.denying, no.then(ids("edema")[0]).denying] == [False, True, True]


@given(
    st.lists(st.tuples(st.integers(0, 12), st.booleans()), max_size=6),
    st.lists(st.floats(-5, 5), min_size=14, max_size=14),
)
def test_cost_is_what_claims_against_the_head_add_up_to(said, odds):
    claims = sum({1 << (2 * column + denied) for column, denied in said})
    expected = sum(max(0.0, odds[column] if denied else -odds[column]) for column, denied in set(said))
    assert abs(_cost(claims, odds) - expected) < 1e-9


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 4))
def test_without_weight_and_with_beams_not_kept_apart_it_is_the_plain_search(seed, beams):
    probabilities = torch.rand(2, len(FINDINGS), generator=torch.Generator().manual_seed(seed))
    guide = ClaimGuide(reader(), probabilities, torch.full((len(FINDINGS),), 0.5), weight=0.0, apart=beams)
    plain = write(seed, 0.0, probabilities, beams, guided=False)
    model = Prefixes([seed, seed + 1], len(VOCABULARY), sharpness=2.0)
    guided = beam_search(
        model,
        num_studies=2,
        begin=VOCABULARY.bos,
        end=VOCABULARY.eos,
        settings=BeamSettings(beams=beams, max_words=9),
        forbidden=(VOCABULARY.padding, VOCABULARY.bos, VOCABULARY.unknown),
        guide=guide,
    )
    assert guided == plain
    assert [len(report.word_log_probabilities) == len(report.words) for [report] in plain] == [True, True]


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 1000), st.floats(0.1, 3.0))
def test_a_wide_search_finds_the_report_with_the_best_score(seed, weight):
    probabilities = torch.rand(2, len(FINDINGS), generator=torch.Generator().manual_seed(seed)) * 0.9 + 0.05
    found = write(seed, weight, probabilities, beams=90, words=2)
    every = write(seed, 0.0, probabilities, beams=90, words=2, guided=False)
    for row, ([report], [likeliest]) in enumerate(zip(found, every, strict=True)):
        score = report.log_probability - weight * full_cost(report.words, probabilities[row])
        other = likeliest.log_probability - weight * full_cost(likeliest.words, probabilities[row])
        assert score >= other - 1e-4


def test_the_head_turns_a_likely_denial_into_what_it_sees():
    class Denies:
        """Prefers "no edema ." by far."""

        def __init__(self) -> None:
            self.rows: list[list[tuple[int, ...]]] = []

        def step(self, words, origin):
            parents = [[()] * words.shape[1]] if origin is None else [[self.rows[0][b] for b in origin[0].tolist()]]
            self.rows = [[(*p, w) for p, w in zip(parents[0], words[0].tolist(), strict=True)]]
            scores = torch.full((1, words.shape[1], len(VOCABULARY)), -30.0)
            texts = {(): {"no": 0.98, "edema": 0.02}, ("no",): {"edema": 1.0}, ("no", "edema"): {".": 1.0}}
            texts |= {("edema",): {"is": 1.0}, ("edema", "is"): {"seen": 1.0}, ("edema", "is", "seen"): {".": 1.0}}
            for beam, row in enumerate(self.rows[0]):
                said = tuple(VOCABULARY.decode(row).split())
                for word, probability in texts.get(said, {}).items():
                    scores[0, beam, ids(word)[0]] = torch.tensor(probability).log()
                if said[-1:] == (".",):
                    scores[0, beam, VOCABULARY.eos] = 0.0
            return scores

        def keep(self, studies):
            raise AssertionError("one study is never dropped before the end")

    sees = torch.full((1, len(FINDINGS)), 0.01)
    sees[0, EDEMA] = 0.95
    limits = {"num_studies": 1, "begin": VOCABULARY.bos, "end": VOCABULARY.eos, "settings": BeamSettings(beams=2)}
    [[plain]] = beam_search(Denies(), **limits)
    guide = ClaimGuide(reader(), sees, torch.full((len(FINDINGS),), 0.5), weight=2.0)
    [[guided]] = beam_search(Denies(), **limits, guide=guide)
    assert VOCABULARY.decode(plain.words) == "no edema ."
    assert VOCABULARY.decode(guided.words) == "edema is seen ."
