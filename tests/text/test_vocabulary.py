import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpronet.errors import InputError
from xpronet.text.vocabulary import (
    SPECIAL,
    Vocabulary,
    VocabularySettings,
    build_vocabulary,
    read_vocabulary,
    reference_vocabulary,
)

REPORTS = ["The heart is normal.", "The lungs are clear. The heart is large.", "The 3.7 cm mass."] * 2


def build(**choices) -> Vocabulary:
    return build_vocabulary(REPORTS, VocabularySettings(**{"min_count": 2, **choices}))


def test_separate_ids():
    vocabulary = build()
    words = (".", "3.7", "are", "clear", "cm", "heart", "is", "large", "lungs", "mass", "normal", "the")
    assert vocabulary.words == words
    assert (vocabulary.padding, vocabulary.bos, vocabulary.eos, vocabulary.unknown) == (0, 1, 2, 3)
    assert len(vocabulary) == len(SPECIAL) + 12
    ids = vocabulary.encode("The heart is huge.")
    assert ids[0] == 1
    assert ids[-1] == 2
    assert ids[4] == 3
    assert vocabulary.decode(ids) == "the heart is <unk> ."


def test_published_ids():
    vocabulary = build(ids="published", cleaning="published-iu")
    assert (vocabulary.padding, vocabulary.bos, vocabulary.eos) == (0, 0, 0)
    assert vocabulary.words == tuple(sorted(vocabulary.words))
    assert "<unk>" in vocabulary.words
    assert "37" in vocabulary.words
    ids = vocabulary.encode("The heart is huge.")
    assert [ids[0], ids[-1]] == [0, 0]
    assert vocabulary.decode(ids) == "the heart is <unk> ."
    assert vocabulary.decode([0, 0]) == ""


def test_rare_words_are_unknown():
    reports = ["clear", "clear", "clear", "rare", "rare"]
    assert build_vocabulary(reports, VocabularySettings(min_count=3)).words == (".", "clear")
    assert build_vocabulary(reports, VocabularySettings(min_count=2)).words == (".", "clear", "rare")


@given(
    st.lists(st.sampled_from(["heart", "lungs", "clear", "3.7", "cm", "normal", "."]), max_size=30),
    st.sampled_from(["separate", "published"]),
)
def test_known_words_come_back(words, ids):
    # Cleaning drops a leading or second full stop, so only what it leaves can come back.
    vocabulary = build(ids=ids, max_words=100)
    report = " ".join(words)
    cleaned = vocabulary.clean(report)
    encoded = vocabulary.encode(report)
    assert vocabulary.decode(encoded) == cleaned
    assert vocabulary.word_list(encoded) == cleaned.split()
    assert vocabulary.unknown not in encoded
    # Generated ids come without BOS, and maybe with padding behind.
    assert vocabulary.decode(encoded[1:]) == cleaned
    assert vocabulary.decode([*encoded, vocabulary.padding]) == cleaned


@given(st.integers(0, 12), st.sampled_from(["separate", "published"]))
def test_too_long_reports_keep_their_eos_under_separate_ids(num_words, ids):
    vocabulary = build(ids=ids, max_words=6)
    encoded = vocabulary.encode("heart " * num_words)
    # One more for the full stop.
    written = num_words + (num_words > 0)
    assert len(encoded) == min(written + 2, 6)
    assert encoded[0] == vocabulary.bos
    fits = written + 2 <= 6
    assert (encoded[-1] == vocabulary.eos) is (ids == "separate" or fits)


def test_decoding_stops_at_the_first_eos_or_padding():
    vocabulary = build()
    heart = vocabulary.encode("heart")[1]
    assert vocabulary.decode([heart, 2, heart]) == "heart"
    assert vocabulary.decode([heart, 0, heart]) == "heart"
    assert vocabulary.decode([1, heart, heart, 2, 0]) == "heart heart"
    assert vocabulary.decode([]) == ""


def test_case_is_kept_where_asked():
    vocabulary = build_vocabulary(["The CT of L1. the CT"], VocabularySettings(min_count=1, lower_case=False))
    assert vocabulary.words == (".", "CT", "L1", "The", "of", "the")
    assert vocabulary.decode(vocabulary.encode("The CT. of L1")) == "The CT . of L1 ."
    assert vocabulary.word_list(vocabulary.encode("ct")) == ["<unk>", "."]
    assert read_vocabulary(vocabulary.record(), "here").settings == vocabulary.settings


@pytest.mark.parametrize("cleaning", ["published-iu", "published-mimic"])
def test_published_rules_refuse_to_keep_case(cleaning):
    with pytest.raises(InputError, match=rf"lower_case = false: the rule {cleaning} always makes lower case"):
        VocabularySettings(cleaning=cleaning, lower_case=False)


def test_vocabularies_of_earlier_checkpoints_are_in_lower_case():
    record = build().record()
    del record["lower_case"]
    assert read_vocabulary(record, "here").settings == build().settings
    assert build().settings.lower_case


@pytest.mark.parametrize("ids", ["separate", "published"])
def test_record_and_back(ids):
    vocabulary = build(ids=ids, max_words=77)
    back = read_vocabulary(vocabulary.record(), "here")
    assert back.words == vocabulary.words
    assert back.settings == vocabulary.settings
    assert back.encode(REPORTS[0]) == vocabulary.encode(REPORTS[0])


@pytest.mark.parametrize(
    "record",
    [
        None,
        [],
        "words",
        {},
        {"words": 3},
        {"words": ["a", "a"]},
        {"words": ["a", "<pad>"]},
        {"words": ["a"], "ids": "published"},
        {"words": ["a"], "min_count": 0},
        {"words": ["a"], "max_words": 1},
        {"words": ["a"], "wings": 2},
    ],
    ids=str,
)
def test_what_is_no_vocabulary_is_refused(record):
    with pytest.raises(InputError, match="here: not a vocabulary"):
        read_vocabulary(record, "here")


@pytest.mark.parametrize("ids", ["separate", "published"])
def test_a_vocabulary_that_knows_no_word_is_refused(ids):
    with pytest.raises(InputError, match=r"min_count = 9: 100% of the words .* lower it"):
        build(min_count=9, ids=ids)
    # The full stops of many short reports are frequent, and so is a name taken out: neither is a word.
    reports = [f"alpha{number} ___ beta{number}." for number in range(12)]
    with pytest.raises(InputError, match=r"min_count = 2: 100% of the words"):
        build_vocabulary(reports, VocabularySettings(min_count=2, ids=ids))
    with pytest.raises(InputError, match="min_count = 1: 0%"):
        build_vocabulary(["___ .", "?"], VocabularySettings(min_count=1, ids=ids))


def test_a_vocabulary_that_knows_few_words_is_refused():
    reports = [f"the name{number} of mister{number} seen" for number in range(4)]
    assert build_vocabulary(reports, VocabularySettings(min_count=2)).words == (".", "of", "seen", "the")
    reports = [f"the name{number} of mister{number} born{number} in{number}" for number in range(4)]
    with pytest.raises(InputError, match="67% of the words"):
        build_vocabulary(reports, VocabularySettings(min_count=2))
    # What the published evaluation makes of references is not for learning.
    assert "the" in reference_vocabulary(reports, VocabularySettings(min_count=2, ids="published")).words


def test_unknown_words_are_counted_without_punctuation():
    vocabulary = build_vocabulary(["clear lungs. clear."], VocabularySettings(min_count=2))
    assert vocabulary.unknown_share(["clear lungs. clear."]) == pytest.approx(1 / 3)
    assert vocabulary.unknown_share([]) == 0
