"""Where in a text each claim stands."""

import textwrap
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from xpronet.labels.conventions import NEGBIO
from xpronet.labels.findings import NO_FINDING, State
from xpronet.labels.rules import RuleLabeler, find_claims

PHRASES = st.sampled_from(
    [
        "No PTX.",
        "Small left effusion, no oedema.",
        "The heart is\nmildly enlarged.",
        "? pneumonia",
        "Edema (-)",
        "INDICATION: Pneumonia.",
        "FINDINGS: Rib fx c/w trauma.",
        "Hydropneumothorax.",
        "Emphysema.",
        "- no effusion\n- PICC line",
        "Pneumothorax: none.",
        "Nothing at all",
        "pnuemothorax w/o effusion.",
    ]
)


def told(report: str) -> list[tuple[str, State, list[str], list[str]]]:
    return [
        (
            claim.finding,
            claim.state,
            [span.of(report) for span in claim.mention],
            [span.of(report) for span in claim.cue],
        )
        for sentence in find_claims(report)
        for claim in sentence.claims
    ]


def test_claims_with_the_words_that_make_them():
    report = "Heart size is  normal.\nNo pleural effusion, and PTX has\nnot resolved. ?PNA"
    assert told(report) == [
        ("Cardiomegaly", State.NEGATIVE, ["Heart", "normal"], []),
        ("Pleural Effusion", State.NEGATIVE, ["pleural effusion"], ["No"]),
        ("Pneumothorax", State.POSITIVE, ["PTX"], []),
        ("Pneumonia", State.UNCERTAIN, ["PNA"], ["?"]),
    ]


def test_only_the_cue_that_was_used_is_marked():
    # A word that equals the cue elsewhere in the sentence is no part of the claim.
    report = "No effusion; no change in the nodule, no pneumothorax."
    found = {claim.finding: claim for sentence in find_claims(report) for claim in sentence.claims}
    assert [span.start for span in found["Pleural Effusion"].cue] == [report.index("No")]
    assert [span.start for span in found["Pneumothorax"].cue] == [report.rindex("no ")]
    assert found["Lung Lesion"].cue == ()


def test_each_sentence_has_its_span_and_questions_are_left_out():
    report = "INDICATION: Edema? FINDINGS: Clear lungs. Trachea midline."
    spans = [sentence.span.of(report) for sentence in find_claims(report)]
    assert spans == ["Clear lungs", "Trachea midline"]
    assert [len(sentence.claims) for sentence in find_claims(report)] == [1, 0]


def test_what_is_not_normal_but_no_finding_is_claimed_of_no_finding():
    assert told("Large hiatal hernia.") == [(NO_FINDING, State.POSITIVE, ["hernia"], [])]
    assert told("Kein Pneumothorax.") == []


def test_the_convention_decides():
    report = "Atelectasis or pneumonia."
    states = {claim.state for sentence in find_claims(report, NEGBIO) for claim in sentence.claims}
    assert states == {State.POSITIVE}


@given(st.lists(PHRASES, max_size=5), st.sampled_from([" ", "\n", "\r\n\r\n"]))
@example(["Edema (-)", "? pneumonia"], "\n")
def test_spans_are_inside_their_sentence_in_order_and_labels_follow(parts, between):
    report = between.join(parts)
    states = RuleLabeler().label(report)
    said: dict[str, set[State]] = {}
    behind = 0
    for sentence in find_claims(report):
        assert behind <= sentence.span.start < sentence.span.end <= len(report)
        behind = sentence.span.end
        for claim in sentence.claims:
            said.setdefault(claim.finding, set()).add(claim.state)
            assert claim.mention
            for spans in (claim.mention, claim.cue):
                places = [place for span in spans for place in (span.start, span.end)]
                assert places == sorted(places)
                assert all(sentence.span.start <= place <= sentence.span.end for place in places)
                assert all(span.of(report).strip() == span.of(report) != "" for span in spans)
    for finding, of_finding in said.items():
        if finding != NO_FINDING:
            assert states[finding] in of_finding
    assert all(states[name] is State.NOT_MENTIONED for name in states if name not in said and name != NO_FINDING)


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        (
            ["no", "effusion", ".", "no", "change", "in", "the", "nodule", "."],
            [
                ("Pleural Effusion", State.NEGATIVE, (1,), (0,)),
                ("Lung Lesion", State.POSITIVE, (7,), ()),
            ],
        ),
        (["heart", "size", "is", "normal"], [("Cardiomegaly", State.NEGATIVE, (0, 3), ())]),
        (["air-space", "disease", "cannot", "be", "excluded"], [("Lung Opacity", State.UNCERTAIN, (0, 1), (2, 3, 4))]),
        (["", "."], []),
    ],
)
def test_claims_of_tokens(tokens, expected):
    found = [(one.finding, one.state, one.mention, one.cue) for one in RuleLabeler().token_claims(tokens)]
    assert found == expected
    assert list(RuleLabeler().locate(tokens)) == [claim[:3] for claim in expected]


def test_the_example_of_the_documentation(capsys):
    page = (Path(__file__).parents[2] / "docs" / "explanation" / "labels.md").read_text(encoding="utf-8")
    lines = page[page.index("    from xpronet.labels.rules import find_claims") :].splitlines()
    block = [line for number, line in enumerate(lines) if all(not one or one[0] == " " for one in lines[: number + 1])]
    exec(compile(textwrap.dedent("\n".join(block)), "labels.md", "exec"), {})
    assert capsys.readouterr().out.splitlines() == [
        "Pleural Effusion NEGATIVE ['effusion']",
        "Pneumothorax POSITIVE ['PTX']",
        "Pneumonia UNCERTAIN ['PNA']",
    ]
