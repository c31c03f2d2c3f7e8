"""Reports as sentences: text to ids to text is the identity, and what is cut is cut behind a sentence."""

from hypothesis import given
from hypothesis import strategies as st

from xpronet.rivals.sentences import MOST_SENTENCES, MOST_WORDS, SentenceEncoder, sentences_of
from xpronet.text.vocabulary import Phrase, Vocabulary, VocabularySettings, read_vocabulary

WORDS = ("heart", "is", "lungs", "clear", "no", "effusion", "normal")
TEMPLATES = ("lungs clear .", "heart is normal .", "no effusion .")
TEMPLATE_WORDS = Vocabulary(
    [".", *WORDS],
    VocabularySettings(min_count=1, max_words=400),
    [Phrase(f"<template {number}>", text) for number, text in enumerate(TEMPLATES)],
)
MARK_WORDS = Vocabulary(
    [".", *WORDS], VocabularySettings(min_count=1, max_words=400), [Phrase("<normal>", ""), Phrase("<abnormal>", "")]
)

sentence = st.one_of(
    st.sampled_from(TEMPLATES),
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=MOST_WORDS).map(" ".join).map("{} .".format),
)
report = st.lists(sentence, max_size=MOST_SENTENCES).map(" ".join)


def template(text: str) -> int | None:
    return TEMPLATES.index(text) if text in TEMPLATES else None


@given(report)
def test_text_to_templates_to_text_is_the_identity(text):
    ids = SentenceEncoder(vocabulary=TEMPLATE_WORDS, choose=template)(text)
    assert TEMPLATE_WORDS.decode(ids) == text
    used = [number - TEMPLATE_WORDS.first_phrase for number in ids if number >= TEMPLATE_WORDS.first_phrase]
    own = [" ".join(words) for words in sentences_of(text)]
    assert used == [TEMPLATES.index(each) for each in own if each in TEMPLATES]


@given(report)
def test_marks_are_written_as_nothing(text):
    ids = SentenceEncoder(vocabulary=MARK_WORDS, choose=lambda each: int("effusion" in each))(text)
    assert MARK_WORDS.decode(ids) == text
    assert sum(number >= MARK_WORDS.first_phrase for number in ids) == len(list(sentences_of(text)))


@given(st.lists(sentence, max_size=15), st.integers(2, 40))
def test_a_long_report_is_cut_behind_a_sentence(pieces, limit):
    vocabulary = Vocabulary(
        TEMPLATE_WORDS.words, VocabularySettings(min_count=1, max_words=limit), TEMPLATE_WORDS.phrases
    )
    ids = SentenceEncoder(vocabulary=vocabulary, choose=template)(" ".join(pieces))
    words = vocabulary.word_list(ids)
    assert ids[0] == vocabulary.bos
    assert ids[-1] == vocabulary.eos
    assert len(words) + 2 <= limit
    assert not words or words[-1] == "."
    assert words.count(".") <= MOST_SENTENCES


def test_a_long_sentence_comes_in_pieces():
    pieces = list(sentences_of(" ".join(["no"] * (MOST_WORDS + 5))))
    assert [len(piece) for piece in pieces] == [MOST_WORDS + 1, 6]
    assert list(sentences_of("")) == []


def test_phrases_are_kept_in_the_record_of_a_vocabulary():
    again = read_vocabulary(TEMPLATE_WORDS.record(), "vocabulary.json")
    assert again.record() == TEMPLATE_WORDS.record()
    assert [again.spell(number) for number in range(len(again))][-3:] == [tuple(text.split()) for text in TEMPLATES]
    assert "phrases" not in Vocabulary(WORDS, VocabularySettings()).record()
