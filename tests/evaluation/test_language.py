"""The language scores against the packages that the field uses."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pycocoevalcap.bleu.bleu_scorer import BleuScorer
from pycocoevalcap.cider.cider_scorer import CiderScorer
from pycocoevalcap.rouge.rouge import Rouge

from xpronet.evaluation.language import language_statistics, rouge_l
from xpronet.evaluation.ngrams import ReferenceNgrams

words = st.sampled_from(["a", "b", "c", "d", "."])
report = st.lists(words, max_size=14).map(" ".join)
reference = st.lists(words, min_size=1, max_size=14).map(" ".join)
pairs = st.lists(st.tuples(reference, report), min_size=1, max_size=6)


@settings(max_examples=150, deadline=None)
@given(pairs)
@example([("a", ""), ("b b b b b", "b b b b b"), ("a b", "e f g h")])
@example([("a", "")])
def test_every_study_scores_as_in_pycocoevalcap(pairs: list[tuple[str, str]]) -> None:
    references, reports = zip(*pairs, strict=True)
    bleu, cider = BleuScorer(n=4), CiderScorer(n=4, sigma=6.0)
    for one, other in pairs:
        bleu += (other, [one])
        cider += (other, [one])
    ngrams = ReferenceNgrams(references)
    counted = [[*study["correct"], *study["guess"], study["testlen"]] for study in bleu.ctest]
    assert ngrams.bleu(reports)[:, :-1].tolist() == counted
    assert ngrams.cider(reports) == pytest.approx(cider.compute_score()[1], abs=1e-12)
    rouge = [Rouge().calc_score([other], [one]) for one, other in pairs]
    assert [rouge_l(one, other) for one, other in pairs] == pytest.approx(rouge, abs=1e-12)
    scores = language_statistics(references, reports).totals()
    expected, _ = bleu.compute_score(option="closest", verbose=0)
    assert [scores[f"BLEU-{order}"] for order in range(1, 5)] == pytest.approx(expected, abs=1e-12)


def test_one_count_of_the_references_serves_many_sets() -> None:
    references = ["the heart is large .", "no effusion ."]
    ngrams = ReferenceNgrams(references)
    for reports in (["the heart .", ""], ["unseen words only", "no effusion ."], references):
        alone, together = (
            language_statistics(references, reports),
            language_statistics(references, reports, ngrams=ngrams),
        )
        assert np.array_equal(alone.values, together.values)


def test_the_examples_of_the_page_on_definitions() -> None:
    assert rouge_l("small left pleural effusion", "pleural effusion") == pytest.approx(0.629, abs=5e-4)
    unlike = (
        language_statistics(["heart ."], ["Heart."]).totals(),
        language_statistics(["heart ."], ["heart ."]).totals(),
    )
    assert [scores["BLEU-1"] for scores in unlike] == pytest.approx([0.0, 1.0], abs=1e-6)
    assert 0 < language_statistics(["a b c d e"], ["a b x d e"]).totals()["BLEU-4"] < 1e-3
