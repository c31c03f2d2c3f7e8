import itertools
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xpronet.text.cleaning import CLEANINGS, clean, clean_published_iu, clean_published_mimic, readable


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        ("The heart is normal.", "the heart is normal ."),
        ("No period at the end", "no period at the end ."),
        ("Clear lungs... No effusion!! Stable?", "clear lungs . no effusion . stable ."),
        ("A 3.7 cm mass at L1. A cyst.", "a 3.7 cm mass at l1 . a cyst ."),
        ("Nodule is 3.7. The heart is normal.", "nodule is 3.7 . the heart is normal ."),
        ("Told at 10:30. The heart", "told at 10:30 . the heart ."),
        ("1.0 x 1.2 cm, 2.3x1.2x4 cm", "1.0 x 1.2 cm 2.3 x 1.2 x 4 cm ."),
        ("1.5-2.5 cm, 1-2.5 cm, 2-3 mm, 3-month, 5-10-year", "1.5-2.5 cm 1-2.5 cm 2-3 mm 3-month 5-10-year ."),
        ("about .5 cm (.7)", "about 0.5 cm 0.7 ."),
        ("1,000 mL and 50% of T12-L1", "1,000 ml and 50 % of t12-l1 ."),
        ("It's well-known; and/or +2", "it's well-known . and / or + 2 ."),
        ("1. Clear lungs. 2. No effusion. 3) Stable.", "clear lungs . no effusion . stable ."),
        ("IMPRESSION: 1. Clear.", "impression clear ."),
        ("Grade: 2. Stable.", "grade 2 . stable ."),
        ("Fracture of T12. 2. Clear.", "fracture of t12 . clear ."),
        ("Stable.1. Clear.", "stable . clear ."),
        ("wrapped at a\nfixed width", "wrapped at a fixed width ."),
        ("one paragraph\n\nanother", "one paragraph . another ."),
        ("heart normal\r\n2. lungs clear", "heart normal . lungs clear ."),
        ("seen by Dr. ___ and _____", "seen by dr . ___ and ___ ."),
        ('"quoted" [bracketed] {braced} <tagged>', "quoted bracketed braced tagged ."),
        ("Größe normal", "größe normal ."),
        ("", ""),
        (" .,;! ", ""),
    ],
)
def test_clean_keeps_what_carries_meaning(report, expected):
    assert clean(report) == expected


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        ("The Heart is normal. 2. L1 of 3X4 CM.", "The Heart is normal . L1 of 3 x 4 CM ."),
        ("CT of T12-L1 at 10:30 PM", "CT of T12-L1 at 10:30 PM ."),
        ("seen by Dr. _____, XXXX-year-old", "seen by Dr . ___ XXXX-year-old ."),
        ("", ""),
    ],
)
def test_clean_keeps_case_where_asked(report, expected):
    assert clean(report, lower_case=False) == expected


PIECES = st.sampled_from(
    [
        "The",
        "heart",
        "3.7",
        "1,000",
        "10:30",
        "L1",
        "T12-L1",
        "it's",
        "x",
        "2x3.5",
        ".5",
        "1.5-2.5",
        "50%",
        "___",
        "1.",
        "2)",
        *[".", "..", ",", "!", ";", "\n", "\n\n", "\r\n", "(", ")", "/", "-", "_", "a.m.", ":", "²", "é", "'", "+"],
    ]
)
REPORTS = st.one_of(
    st.text(max_size=60), st.lists(PIECES, max_size=15).map(" ".join), st.lists(PIECES, max_size=15).map("".join)
)


@settings(max_examples=400, deadline=None)
@given(REPORTS)
def test_cleaning_again_changes_nothing(report):
    assert clean(clean(report)) == clean(report)


@settings(max_examples=200, deadline=None)
@given(REPORTS)
def test_clean_text_is_words_between_single_spaces_closed_by_a_stop(report):
    cleaned = clean(report)
    if cleaned:
        words = cleaned.split(" ")
        assert all(words)
        assert words[0] != "."
        assert words[-1] == "."
        assert (".", ".") not in itertools.pairwise(words)
        assert cleaned == cleaned.lower()
        # Commas and colons live on inside numbers only.
        assert not re.search(r"[\s;!?\"()]|(?<!\d)[,:]|[,:](?!\d)", cleaned.replace(" ", ""))


@given(st.lists(st.sampled_from(["3.7", "12.5", "0.5", "1,000", "10:30", "2"]), min_size=1, max_size=5))
def test_numbers_survive_whatever_ends_the_sentence(numbers):
    report = "Mass of " + ". Then ".join(numbers) + "."
    assert [word for word in clean(report).split() if word[0].isdigit()] == numbers


SENTENCES = st.lists(
    st.tuples(
        st.sampled_from(["the", "no", "mild", "xxxx"]),
        st.lists(st.sampled_from(["heart", "3.7", "cm", "l1", "it's", "10:30", "t12-l1"]), max_size=4),
    ).map(lambda parts: " ".join([parts[0], *parts[1]])),
    max_size=4,
)


@given(SENTENCES)
def test_readable_text_cleans_to_itself(sentences):
    cleaned = "".join(f"{sentence} . " for sentence in sentences).strip()
    text = readable(cleaned)
    assert clean(text) == cleaned
    assert " ." not in text


@pytest.mark.parametrize(
    ("cleaned", "text"),
    [
        ("the heart is normal . no effusion .", "The heart is normal. No effusion."),
        (". the heart is normal . . . no effusion . .", "The heart is normal. No effusion."),
        ("cut off in the mid", "Cut off in the mid."),
        ("3.7 cm mass .", "3.7 cm mass."),
        ("twice . .", "Twice."),
        (".", ""),
        ("", ""),
    ],
)
def test_readable(cleaned, text):
    assert readable(cleaned) == text


@pytest.mark.parametrize(
    ("report", "iu"),
    [
        ("The heart is 3.7 cm. Stable.", "the heart is 37 cm . stable ."),
        ("Fracture of L1. A cyst.", "fracture of la cyst ."),
        ("1. Clear. 2. Stable. 3. Normal", "clear . stable . normal ."),
        ('Size: 1.0 x 1.2; "old"', "size 10 x 12 old ."),
        ("Clear.. Stable.... Normal", "clear . stable . normal ."),
        ("Well-known and/or", "well-known andor ."),
    ],
)
def test_published_rule_damages_what_it_damages(report, iu):
    assert clean_published_iu(report) == iu


def test_published_rule_for_mimic_joins_lines_and_blanks():
    assert clean_published_mimic("The  heart\nof ____ is\n\nnormal.. 2. Stable") == "the heart of  is normal . stable ."


def test_rules_have_the_names_that_recipes_use():
    by_name = {"xpronet": clean, "published-iu": clean_published_iu, "published-mimic": clean_published_mimic}
    assert by_name == CLEANINGS


def test_real_reports_lose_no_number(shared):
    annotation = json.loads((shared / "data/iu_xray/annotation.json").read_text())
    number = re.compile(r"(?<![\w.,:-])\d+\.\d+(?![\w.,:x-]|\d)")
    seen = 0
    for study in annotation["train"]:
        words = clean(study["report"]).split()
        assert clean(" ".join(words)).split() == words
        for found in number.findall(study["report"]):
            seen += 1
            assert found in words
    assert seen > 20


@given(st.text(alphabet="abXY 0123.,?!%/-'\n_", max_size=60))
def test_case_is_all_that_lower_case_changes(report: str):
    assert clean(report, lower_case=False).lower() == clean(report)
