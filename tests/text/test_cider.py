"""CIDEr-D equals pycocoevalcap's, study by study, and has the properties that its definition gives it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpronet.data.corpus import Corpus
from xpronet.text.cider import CiderD
from xpronet.text.cleaning import clean

WORDS = st.lists(st.sampled_from(["no", "edema", "pleural", "effusion", "."]), max_size=12)


@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=5))
def test_every_study_scores_what_pycocoevalcap_gives_it(pairs: list[tuple[list[str], list[str]]]) -> None:
    _compare(pairs)


def test_phantom_reports_score_what_pycocoevalcap_gives_them(phantom: Corpus) -> None:
    reports = [clean(study.report).split() for study in phantom.studies]
    _compare(list(zip(reports[1:] + reports[:1], reports, strict=True)))


def _compare(pairs: list[tuple[list[str], list[str]]]) -> None:
    scorer = pytest.importorskip("pycocoevalcap.cider.cider_scorer").CiderScorer()
    for text, reference in pairs:
        scorer += (" ".join(text), [" ".join(reference)])
    # Without one n-gram in any document, pycocoevalcap finds no document frequencies at all.
    if not any(reference for _, reference in pairs):
        return
    expected = scorer.compute_score()[1]
    cider = CiderD(reference for _, reference in pairs)
    for (text, reference), value in zip(pairs, expected, strict=True):
        assert cider.score(text, cider.weigh(reference)) == pytest.approx(value, abs=1e-9)


@given(WORDS, WORDS)
def test_scores_lie_between_0_and_10(text: list[str], reference: list[str]) -> None:
    cider = CiderD([["no", "edema", "."], ["pleural", "effusion", "."], reference])
    assert 0 <= cider.score(text, cider.weigh(reference)) <= 10 + 1e-9


def test_the_reference_itself_scores_10_and_a_longer_text_less() -> None:
    reference = ["no", "pleural", "effusion", "."]
    cider = CiderD([reference, ["edema"]])
    weighed = cider.weigh(reference)
    assert cider.score(reference, weighed) == pytest.approx(10)
    assert cider.score(reference * 2, weighed) < 10
    assert cider.score([], weighed) == 0


def test_a_shared_rare_word_counts_more_than_a_shared_common_one() -> None:
    cider = CiderD([["common", "rare"], ["common", "other"], ["another"]])
    weighed = cider.weigh(["common", "rare"])
    assert cider.score(["rare"], weighed) > cider.score(["common"], weighed)
