import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpronet.errors import InputError
from xpronet.labels.phrases import LONGEST_GAP, PhraseBook


def book(*phrases: str) -> PhraseBook[str]:
    made: PhraseBook[str] = PhraseBook({"opacity": ["opacity", "opacities"]}, barriers=["but"])
    for phrase in phrases:
        made.add(phrase, phrase)
    return made


def found(made: PhraseBook[str], text: str) -> list[tuple[str, int, int]]:
    return [(match.meaning, match.first, match.last) for match in made.find(text.split())]


def test_alternatives_lists_and_words_that_may_be_absent():
    made = book("left|right lung? <opacity>")
    assert found(made, "a left opacity and right lung opacities") == [
        ("left|right lung? <opacity>", 1, 2),
        ("left|right lung? <opacity>", 4, 6),
    ]
    assert found(made, "lung opacity") == []


def test_of_phrases_on_the_same_words_the_longer_counts():
    made = book("opacity", "nodular opacity", "nodular ... lung")
    assert found(made, "nodular opacity") == [("nodular opacity", 0, 1)]
    assert found(made, "opacity") == [("opacity", 0, 0)]
    assert set(found(made, "nodular opacity in lung")) == {("nodular opacity", 0, 1), ("nodular ... lung", 0, 3)}


def test_a_gap_is_short_and_stops_at_a_barrier():
    made = book("heart ... large")
    assert found(made, "heart large") == [("heart ... large", 0, 1)]
    far = " ".join(["very"] * LONGEST_GAP)
    assert found(made, f"heart {far} large") == [("heart ... large", 0, LONGEST_GAP + 1)]
    assert found(made, f"heart very {far} large") == []
    assert found(made, "heart small but large") == []


def test_words_in_a_gap_do_not_belong_to_the_phrase():
    (match,) = book("heart ... large").find(["heart", "is", "large"])
    assert match.taken == 0b101


def test_two_meanings_of_one_phrase_are_both_found():
    made: PhraseBook[str] = PhraseBook({}, [])
    made.add("hydropneumothorax", "air")
    made.add("hydropneumothorax", "fluid")
    assert {match.meaning for match in made.find(["hydropneumothorax"])} == {"air", "fluid"}


@pytest.mark.parametrize("phrase", ["... heart", "heart ...", "heart <size>", "", "heart?"])
def test_phrases_that_cannot_be(phrase):
    with pytest.raises(InputError):
        book(phrase)


@given(st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=12))
def test_matches_are_those_of_a_plain_search(text):
    made = book("a b", "b c d", "b")
    plain = {
        (phrase, first, first + len(phrase.split()) - 1)
        for phrase in ("a b", "b c d", "b")
        for first in range(len(text))
        if text[first : first + len(phrase.split())] == phrase.split()
    }
    inside = {
        one
        for one in plain
        for other in plain
        if one != other and other[1] <= one[1] and one[2] <= other[2] and one[1:] != other[1:]
    }
    assert {(match.meaning, match.first, match.last) for match in made.find(text)} == plain - inside
