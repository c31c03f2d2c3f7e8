import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpronet.labels.sentences import sentences


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


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        ("- no effusion\n- heart large", ["no effusion", "heart large"]),
        ("No effusion\nHeart large", ["No effusion", "Heart large"]),
        ("No effusion\nor edema.", ["No effusion\nor edema"]),
        ("Tip of the right\nPICC line. Clear.", ["Tip of the right\nPICC line", "Clear"]),
        ("1) No edema 2) Effusion", ["No edema", "Effusion"]),
        ("LUNGS: clear\nHEART: large", ["LUNGS: clear", "HEART: large"]),
        ("Heart enlarged No effusion", ["Heart enlarged", "No effusion"]),
        ("Edema\r\n\r\nEffusion", ["Edema", "Effusion"]),
        ("Pneumothorax:\nnone", ["Pneumothorax:\nnone"]),
        ("Effusion.....none", ["Effusion.....none"]),
        ("Edema vs. pneumonia.", ["Edema vs. pneumonia"]),
        ("Pneumothorax? No. Edema?", ["Pneumothorax? No", "Edema?"]),
    ],
)
def test_items_of_lists(report, expected):
    assert list(sentences(report)) == expected


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        ("INDICATION\nEdema\n\nFINDINGS\nClear.", ["Clear"]),
        ("HISTORY - edema. REPORT - clear.", ["clear"]),
        ("INDICATION Edema. FINDINGS Clear.", ["Clear"]),
        ("CLINICAL QUESTION: edema? LUNGS: clear", ["LUNGS: clear"]),
        ("Lungs: clear. Heart: large", ["Lungs: clear", "Heart: large"]),
        ("Comparison: film of May. There is edema. Clear.", ["There is edema", "Clear"]),
        ("COMPARISON: CT with edema. FINDINGS: Clear.", ["Clear"]),
        ("Chest Comparison: Mass in the lingula.", ["Mass in the lingula"]),
        ("PA and lateral views: Edema.", ["PA and lateral", "Edema"]),
        ("HISTORY: edema.\n\nThe lungs are clear.", ["The lungs are clear"]),
    ],
)
def test_headings(report, expected):
    assert list(sentences(report)) == expected


@given(st.integers(20, 90))
def test_wrapped_lines_change_nothing(width):
    report = (
        "There is no focal consolidation, pleural effusion or pneumothorax in either lung. The heart is enlarged "
        "and the right PICC line ends in the superior vena cava. There is no evidence of a fracture of the left ribs."
    )
    wrapped = textwrap.fill(report, width)
    assert [" ".join(sentence.split()) for sentence in sentences(wrapped)] == list(sentences(report))


@given(st.text())
def test_any_text_can_be_taken_apart(report):
    for sentence in sentences(report):
        assert sentence.strip() == sentence != ""
