import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpronet.show.wording import find_words, matched_spans, readable_words, shared_words
from xpronet.text.cleaning import clean, readable

REPORTS = st.text(alphabet="abcß éÉ 0123.,?!%/-'\n_", max_size=80)


def shown(text: str, other: str) -> list[tuple[str, str]]:
    words = find_words(text)
    spans = matched_spans(text, words, shared_words(words, find_words(other)))
    return [(span.match, "".join(piece.text for piece in span.pieces)) for span in spans]


def test_readable_words_capitalise_sentences_and_join_full_stops():
    tokens = ["heart", "size", "is", "normal", ".", "a", "3.7", "cm", "nodule", ".", "no", "effusion"]
    text, words = readable_words(tokens)
    assert text == "Heart size is normal. A 3.7 cm nodule. No effusion"
    assert [text[word.start : word.end].lower() for word in words] == tokens
    assert text[words[4].start : words[4].end] == "."


def test_readable_words_of_nothing_are_nothing():
    assert readable_words([]) == ("", ())


def test_a_report_that_opens_with_a_full_stop_keeps_it():
    text, words = readable_words([".", "no", "effusion", ".", "."])
    assert text == ". No effusion.."
    assert len(words) == 5


@given(REPORTS)
def test_words_with_evidence_read_as_the_report_does(report: str):
    cleaned = clean(report)
    text, words = readable_words(cleaned.split())
    assert text == readable(cleaned)
    assert len(words) == len(cleaned.split())


@given(REPORTS, REPORTS)
def test_marking_loses_no_character_and_no_word(text: str, other: str):
    words = find_words(text)
    spans = matched_spans(text, words, shared_words(words, find_words(other)))
    pieces = [piece for span in spans for piece in span.pieces]
    assert "".join(piece.text for piece in pieces) == text
    assert [piece.word for piece in pieces if piece.word is not None] == list(range(len(words)))


@given(REPORTS)
def test_a_report_shares_every_sentence_with_itself(text: str):
    words = find_words(text)
    matches = shared_words(words, words)
    assert all(match == "sentence" for word, match in zip(words, matches, strict=True) if word.key != ".")


def test_whole_sentences_are_marked_whatever_their_capitals_and_commas():
    assert shown("The heart is normal. No effusion.", "No effusion!\n\nThe heart, is NORMAL.") == [
        ("sentence", "The heart is normal. No effusion.")
    ]


def test_phrases_of_three_words_are_marked_inside_other_sentences():
    assert shown("There is no focal opacity today.", "We see that there is no focal nodule.") == [
        ("phrase", "There is no focal"),
        ("", " opacity today."),
    ]


@pytest.mark.parametrize(
    "other", ["No acute disease.", "Normal. The heart was.", "The heart. Is normal.", "", "Heart normal is the."]
)
def test_fewer_words_or_words_across_a_full_stop_are_no_phrase(other: str):
    assert shown("The heart is normal.", other) == [("", "The heart is normal.")]


def test_a_report_cut_off_in_a_sentence_matches_without_its_full_stop():
    assert shown("No effusion", "No effusion.") == [("sentence", "No effusion")]


def test_words_that_kept_their_case_are_compared_without_it():
    _, words = readable_words(["The", "CT", "shows", "nothing", "."])
    assert shared_words(words, find_words("the ct shows nothing.")) == ("sentence",) * 5
