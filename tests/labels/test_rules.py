import itertools
import time
import tomllib
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpronet.labels.findings import ABNORMALITIES, FINDINGS, NO_FINDING, State
from xpronet.labels.rules import RuleLabeler

RULES = tomllib.loads(resources.files("xpronet.labels").joinpath("rules.toml").read_text(encoding="utf-8"))
LABELER = RuleLabeler()

UNRELATED = (
    "The trachea is midline.",
    "The bones are intact.",
    "No free air below the diaphragm.",
    "XXXX.",
    "The aortic arch measures 3.7 cm.",
    "The study may be limited.",
)


def spellings(phrase: str, choose: st.DataObject) -> str:
    words = []
    for slot in phrase.split():
        choices = list(
            itertools.chain.from_iterable(
                RULES["words"][choice.strip("<>")] if choice.startswith("<") else [choice]
                for choice in slot.removesuffix("?").split("|")
            )
        )
        if slot.endswith("?"):
            choices.append("")
        words.append(choose.draw(st.sampled_from(choices)))
    return " ".join(filter(None, words))


@st.composite
def mentions(draw: st.DrawFn) -> tuple[str, str]:
    """A finding and one of the ways to name it."""
    finding = draw(st.sampled_from(ABNORMALITIES))
    phrase = draw(st.sampled_from([phrase for phrase in RULES["findings"][finding]["mentions"] if "..." not in phrase]))
    return finding, spellings(phrase, draw(st.data()))


def stated(report: str) -> dict[str, State]:
    return {name: state for name, state in LABELER.label(report).items() if state is not State.NOT_MENTIONED}


@given(mentions())
def test_a_mention_is_positive_and_denied_it_is_negative(mention):
    finding, words = mention
    assert LABELER.label(f"There is {words}.")[finding] is State.POSITIVE
    for denial in (
        f"There is no {words}.",
        f"No {words}.",
        f"No {words} or hernia.",
        f"Stable chest without evidence of {words}.",
        f"Negative for {words}.",
        f"No evidence for hernia or {words}.",
    ):
        assert LABELER.label(denial)[finding] is State.NEGATIVE, denial


@given(mentions())
def test_a_doubted_mention_is_uncertain(mention):
    finding, words = mention
    for doubt in (f"Possible {words}.", f"This may represent {words}.", f"Cannot exclude {words}."):
        assert LABELER.label(doubt)[finding] is State.UNCERTAIN, doubt


@given(st.lists(mentions(), min_size=1, max_size=3), st.lists(st.sampled_from(UNRELATED), max_size=3), st.data())
def test_an_unrelated_sentence_changes_nothing(found, unrelated, data):
    statements = [f"There is {words}." for _, words in found]
    mixed = data.draw(st.permutations([*statements, *unrelated]))
    assert LABELER.label(" ".join(mixed)) == LABELER.label(" ".join(statements))


@given(
    st.lists(mentions(), min_size=1, max_size=3),
    st.sampled_from(["There is {}.", "No {}.", "Possible {}.", "{} has resolved."]),
    st.sampled_from([str.upper, str.title, str.lower]),
    st.sampled_from(["\n", "\r\n", "  ", " \n "]),
)
def test_case_and_line_breaks_within_a_sentence_change_nothing(found, form, case, space):
    report = " ".join(form.format(words) for _, words in found)
    assert LABELER.label(case(report)) == LABELER.label(report)
    assert LABELER.label(report.replace(" ", space)) == LABELER.label(report)


@given(st.text())
def test_any_text_gets_fourteen_states(report):
    assert tuple(LABELER.label(report)) == FINDINGS


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        ("Heart size is normal.", {"Cardiomegaly": State.NEGATIVE}),
        ("The cardiac silhouette is not enlarged.", {"Cardiomegaly": State.NEGATIVE}),
        ("The heart is mildly enlarged.", {"Cardiomegaly": State.POSITIVE}),
        ("Heart size is at the upper limits of normal.", {"Cardiomegaly": State.NEGATIVE}),
        ("Borderline heart size.", {"Cardiomegaly": State.UNCERTAIN}),
        ("Cardiomegaly without edema.", {"Cardiomegaly": State.POSITIVE, "Edema": State.NEGATIVE}),
        (
            "No edema, but there is a small effusion.",
            {"Edema": State.NEGATIVE, "Pleural Effusion": State.POSITIVE},
        ),
        (
            "No focal consolidation, large effusion or pneumothorax.",
            {
                "Consolidation": State.NEGATIVE,
                "Pleural Effusion": State.NEGATIVE,
                "Pneumothorax": State.NEGATIVE,
            },
        ),
        (
            "No pneumothorax, stable cardiomegaly.",
            {"Pneumothorax": State.NEGATIVE, "Cardiomegaly": State.POSITIVE},
        ),
        ("No change in the right pneumothorax.", {"Pneumothorax": State.POSITIVE}),
        ("The pneumothorax has resolved.", {"Pneumothorax": State.NEGATIVE}),
        (
            "Small effusion, and the pneumothorax has resolved.",
            {"Pleural Effusion": State.POSITIVE, "Pneumothorax": State.NEGATIVE},
        ),
        ("Resolution of pulmonary edema.", {"Edema": State.NEGATIVE}),
        ("Unchanged left effusion.", {"Pleural Effusion": State.POSITIVE}),
        ("Interval removal of right chest tube.", {"Support Devices": State.NEGATIVE}),
        ("Pneumonia cannot be excluded.", {"Pneumonia": State.UNCERTAIN}),
        ("No evidence of pneumonia or edema.", {"Pneumonia": State.NEGATIVE, "Edema": State.NEGATIVE}),
        (
            "Opacity may represent atelectasis versus pneumonia.",
            {"Lung Opacity": State.POSITIVE, "Atelectasis": State.UNCERTAIN, "Pneumonia": State.UNCERTAIN},
        ),
        ("Right pleural effusion. No left effusion.", {"Pleural Effusion": State.POSITIVE}),
        (
            "A noncalcified nodule, seen on the frontal view, not identified on the lateral view.",
            {"Lung Lesion": State.POSITIVE},
        ),
        ("Nodular opacity in the left base.", {"Lung Lesion": State.POSITIVE}),
        ("Calcified granuloma.", {}),
        ("Evidence of previous granulomatous infection.", {}),
        ("Soft tissue edema. Pericardial effusion.", {}),
        ("Fractured sternotomy wires.", {}),
        ("Please note that fractures may not be demonstrated.", {}),
        ("History of pneumonia.", {}),
        ("Evaluate for pneumothorax.", {}),
        ("Small hydropneumothorax.", {"Pneumothorax": State.POSITIVE, "Pleural Effusion": State.POSITIVE}),
        ("Wedging of L1. No effusion.", {"Pleural Effusion": State.NEGATIVE}),
        ("1. Small effusion 2. No edema", {"Pleural Effusion": State.POSITIVE, "Edema": State.NEGATIVE}),
        ("INDICATION: Pneumonia. FINDINGS: No effusion.", {"Pleural Effusion": State.NEGATIVE}),
        ("The lungs are clear.", {"Lung Opacity": State.NEGATIVE}),
        ("PICC line tip in the SVC.", {"Support Devices": State.POSITIVE}),
        ("", {}),
    ],
)
def test_what_radiologists_write(report, expected):
    found = {name: state for name, state in stated(report).items() if name != NO_FINDING}
    assert {name: found.get(name) for name in expected} == expected
    assert set(found) - set(expected) <= {"Lung Opacity", "Enlarged Cardiomediastinum"} if expected else not found


def test_no_finding_stands_beside_devices_and_denials_only():
    assert LABELER.label("No acute disease.")[NO_FINDING] is State.POSITIVE
    assert LABELER.label("PICC in place. No effusion.")[NO_FINDING] is State.POSITIVE
    assert LABELER.label("Possible effusion.")[NO_FINDING] is State.NOT_MENTIONED
    assert LABELER.label("Small effusion.")[NO_FINDING] is State.NOT_MENTIONED


def test_each_label_comes_with_its_evidence():
    report = "Heart size is normal. No pleural effusion or Pneumothorax."
    told = [(one.finding, one.state, one.sentence, one.mention, one.cue) for one in LABELER.explain(report)]
    assert told == [
        ("Cardiomegaly", State.NEGATIVE, "Heart size is normal", "heart normal", ""),
        ("Pleural Effusion", State.NEGATIVE, "No pleural effusion or Pneumothorax", "pleural effusion", "no"),
        ("Pneumothorax", State.NEGATIVE, "No pleural effusion or Pneumothorax", "pneumothorax", "no"),
    ]


@given(st.lists(mentions(), max_size=4))
def test_labels_follow_from_the_evidence(found):
    report = " ".join(f"There is {words}. No {words}." for _, words in found)
    states = LABELER.label(report)
    evidence = LABELER.explain(report)
    for finding in ABNORMALITIES:
        told = {one.state for one in evidence if one.finding == finding}
        assert (states[finding] in told) == bool(told)


def test_many_texts_are_a_stream():
    def endless():
        while True:
            yield "a", "Small effusion."

    study_id, states = next(LABELER.label_many(endless()))
    assert (study_id, states["Pleural Effusion"]) == ("a", State.POSITIVE)


def test_a_text_without_full_stops_is_read_in_time():
    states = LABELER.label("no effusion, small nodule and edema " * 500)
    assert states["Edema"] is State.POSITIVE or states["Edema"] is State.NEGATIVE


@pytest.mark.parametrize("part", [" ", "\t", "\n", "a\n", " -", "?", "HISTORY\n", "pneumothoraxx", "edema or ", "a/b "])
def test_endless_texts_are_read_in_time(part):
    started = time.process_time()
    LABELER.label(f"a{part * 3000}b")
    assert time.process_time() - started < 5  # far less where nothing checks types
