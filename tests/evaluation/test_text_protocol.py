import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpronet.errors import InputError
from xpronet.evaluation.text_protocol import PROTOCOLS, find_protocol


def test_published_text_is_cleaned_cut_and_loses_rare_words() -> None:
    protocol = PROTOCOLS["published-iu"]
    train = ["The heart is normal. The lungs are clear."] * 3 + ["A lobulated mass."]
    report = "The heart is lobulated. " + "The lungs are clear. " * 20
    (reference,) = protocol.references([report], train)
    assert reference.startswith("the heart is <unk> . the lungs are clear .")
    assert len(reference.split()) == 59
    assert protocol.references(["A mass."]) == ["a mass ."]
    assert protocol.reports([report])[0].split()[3] == "lobulated"


def test_an_unknown_word_in_a_report_stays_one() -> None:
    assert PROTOCOLS["published-iu"].reports(["the <unk> is clear ."]) == ["the <unk> is clear ."]


def test_full_text_keeps_numbers_and_everything_else() -> None:
    assert PROTOCOLS["full-text"].reports(["A 3.7 cm mass. " * 50])[0] == " ".join(["a 3.7 cm mass ."] * 50)


@given(st.text(max_size=80), st.sampled_from(sorted(PROTOCOLS)))
def test_words_are_separated_by_single_spaces(text: str, name: str) -> None:
    (form,) = PROTOCOLS[name].reports([text])
    assert form == " ".join(form.split())


def test_an_unknown_protocol_is_refused() -> None:
    with pytest.raises(InputError, match="choose one of full-text"):
        find_protocol("bleu")


def test_case_is_no_difference_under_any_protocol():
    for protocol in PROTOCOLS.values():
        assert protocol.reports(["The CT of the Heart."]) == protocol.references(["the ct of the heart."])
        assert protocol.stamp(with_train=False)["case"] == "lower"
