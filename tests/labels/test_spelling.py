import tomllib
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpronet.labels.conventions import CHEXPERT
from xpronet.labels.rulebook import read_rulebook
from xpronet.labels.word_forms import Words

SPELLING = read_rulebook(CHEXPERT).spelling
DATA = tomllib.loads(resources.files("xpronet.labels").joinpath("spelling.toml").read_text(encoding="utf-8"))
LONG_WORDS = st.sampled_from([word for word in DATA["mended"] if len(word) >= 8])


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        ("ptx", "pneumothorax"),
        ("w/o", "without"),
        ("c/w", "consistent with"),
        ("fx/ptx", "fracture / pneumothorax"),
        ("oedema", "edema"),
        ("haemopneumothorax", "hemopneumothorax"),
        ("visualised", "visualized"),
        ("isn't", "is not"),
        ("can't", "cannot"),
        ("pnuemothorax", "pneumothorax"),
        ("atelectesis", "atelectasis"),
        ("penumothroax", "pneumothorax"),
        ("noeffusion", "no effusion"),
        ("seeen", "seen"),
        ("evaluated", "evaluated"),
        ("thoracotomy", "thoracotomy"),
        ("hypoinflated", "hypoinflated"),
        ("perfusion", "perfusion"),
        ("infusion", "infusion"),
        ("injection", "injection"),
        ("three", "three"),
        ("xxxx", "xxxx"),
        ("", ""),
    ],
)
def test_other_spellings(token, expected):
    assert SPELLING.mended(token) == expected


@given(LONG_WORDS, st.data())
def test_two_letters_swapped_are_mended_or_left_never_made_another_word(word, data):
    place = data.draw(st.integers(1, len(word) - 3))
    wrong = word[:place] + word[place + 1] + word[place] + word[place + 2 :]
    assert SPELLING.mended(wrong) in (word, wrong)


@given(st.text(max_size=20))
def test_any_token_is_read(token):
    assert isinstance(SPELLING.mended(token.lower()), str)


@given(st.text())
def test_each_word_has_its_place(sentence):
    words = Words(SPELLING)
    places = words.spans(sentence)
    assert len(places) == len(words.of(sentence))
    assert all(0 <= start < end <= len(sentence) for start, end in places)


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("Bi-basilar L1 opacity/scar, 3.7 cm (XXXX)", "bi basilar left 1 opacity / scar , 3.7 cm ( xxxx )"),
        ("Edema (-), effusion (+)", "edema none , effusion yes"),
        ("?PNA vs. atx?", "query pneumonia versus atelectasis ?"),
        ("Edema - none -- left", "edema – none – left"),
        ("Effusion -ve | fx = no", "effusion negative : fracture : no"),
    ],
)
def test_words_of_a_sentence(sentence, expected):
    assert Words(SPELLING).of(sentence) == expected.split()
