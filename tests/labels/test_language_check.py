import pytest

from xpronet.labels.findings import State
from xpronet.labels.language_check import ENGLISH, FOREIGN, has_foreign_words, seems_english
from xpronet.labels.rules import RuleLabeler

LABELER = RuleLabeler()


@pytest.mark.parametrize(
    "report",
    [
        "No acute disease.",
        "",
        "Sjögren's disease with left effusion.",
        "De novo effusion on the left.",
        "i. No pneumonia ii. Edema",
        "Opacity en face, per prior exam.",
        "XXXX.",
    ],
)
def test_english_reports(report):
    assert LABELER.reads(report)


@pytest.mark.parametrize(
    "report",
    [
        "Kein Pneumothorax.",
        "Pas de fracture.",
        "Opacité basale gauche.",
        "Нет выпота.",
        "无气胸。",
        "Edema en la base.",
    ],
)
def test_other_languages_say_nothing_of_any_finding(report):
    assert not LABELER.reads(report)
    assert set(LABELER.label(report).values()) == {State.NOT_MENTIONED}


def test_no_word_is_english_and_foreign():
    assert not ENGLISH & FOREIGN


def test_english_words_outweigh_foreign_ones():
    assert has_foreign_words(["kein"])
    assert not has_foreign_words(["no", "effusion"])
    assert not seems_english([["kein", "effusion"]])
    assert seems_english([["kein", "effusion", "of", "the"]])
