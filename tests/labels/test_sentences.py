import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpronet.labels.sentences import sentences, words


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        ("Wedging of L1. No effusion.", ["Wedging of L1", "No effusion"]),
        ("A 3.7 cm mass. Clear.", ["A 3.7 cm mass", "Clear"]),
        ("Measures 3.7. No effusion", ["Measures 3.7", "No effusion"]),
        ("1. Edema. 2. Effusion.", ["1", "Edema", "2", "Effusion"]),
        ("1.There is edema.", ["1", "There is edema"]),
        ("disease.2. Effusion", ["disease", "2", "Effusion"]),
        ("XXXX opacity. XXXX.", ["XXXX opacity", "XXXX"]),
        ("Is it edema? No!", ["Is it edema? No"]),
        ("abnormality.. . End", ["abnormality", "End"]),
        ("One\nsentence\r\n over  lines.", ["One\nsentence\r\n over  lines"]),
        ("", []),
        (" . \n", []),
    ],
)
def test_where_sentences_end(report, expected):
    assert list(sentences(report)) == expected


def test_what_was_asked_or_known_before_is_left_out():
    report = (
        "EXAM: chest. HISTORY: pneumonia, s/p tube. Comparison: effusion on CT.\n"
        "FINDINGS: Heart is large. IMPRESSION: Cardiomegaly."
    )
    assert list(sentences(report)) == ["Heart is large", "Cardiomegaly"]
    assert list(sentences("Chest: Edema. History: none")) == ["Chest: Edema"]
    assert list(sentences("Patient with a history of edema.")) == ["Patient with a history of edema"]


def test_words():
    assert words("Bi-basilar L1 opacity/scar, 3.7 cm (XXXX); today's") == (
        ["bi", "basilar", "l", "1", "opacity", "/", "scar", ",", "3.7", "cm", "(", "xxxx", ")", ";", "today", "s"]
    )


@given(st.text())
def test_any_text_can_be_taken_apart(report):
    for sentence in sentences(report):
        assert sentence.strip() == sentence != ""
        assert all(word == word.lower() for word in words(sentence))
