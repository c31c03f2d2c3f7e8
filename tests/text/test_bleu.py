import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpronet.text.bleu import sentence_bleu

WORDS = st.lists(st.sampled_from("abcde"), min_size=1, max_size=12)


@given(WORDS)
def test_a_text_is_worth_most_against_itself(words: list[str]) -> None:
    assert sentence_bleu(words, words) == pytest.approx(1.0)


@given(WORDS, WORDS)
def test_it_lies_between_nothing_and_one(words: list[str], reference: list[str]) -> None:
    assert 0 <= sentence_bleu(words, reference) <= 1 + 1e-12


def test_the_fractions_by_hand() -> None:
    # 3 of 4 words, 1 of 3 pairs and no longer run in common; one added to both sides from pairs on.
    expected = math.exp((math.log(3 / 4) + math.log(2 / 4) + math.log(1 / 3) + math.log(1 / 2)) / 4)
    assert sentence_bleu(["a", "b", "x", "c"], ["a", "b", "c", "d"]) == pytest.approx(expected)


def test_short_texts_pay_for_their_brevity_and_long_ones_do_not() -> None:
    reference = ["no", "effusion", "or", "pneumothorax", "is", "seen"]
    short = sentence_bleu(reference[:3], reference)
    assert short == pytest.approx(math.exp(1 - 6 / 3))
    assert sentence_bleu([*reference, "x"], reference) > sentence_bleu(reference[:5], reference)


def test_nothing_in_common_and_nothing_at_all_are_worth_nothing() -> None:
    assert sentence_bleu(["x"], ["y"]) == sentence_bleu([], ["y"]) == sentence_bleu(["x"], []) == 0
