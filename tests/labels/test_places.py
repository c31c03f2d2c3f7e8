"""Where reports say that their findings are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpronet.labels.findings import ABNORMALITIES
from xpronet.labels.places import PLACES, PlaceReader, Stated, misplaced
from xpronet.labels.rules import RuleLabeler
from xpronet.phantom.make_corpus import PhantomSettings, draw_phantom

READER = PlaceReader(RuleLabeler())

PLACES_SAID = st.frozensets(st.sampled_from(sorted({place for each in PLACES.values() for place in each})))
STATED = st.dictionaries(st.sampled_from(ABNORMALITIES), PLACES_SAID)


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        ("There is a small left pleural effusion.", {"Pleural Effusion": {"left"}}),
        ("Bilateral pleural effusions. No pneumothorax.", {"Pleural Effusion": {"left", "right"}}),
        ("Right-sided pneumothorax. Heart size is normal.", {"Pneumothorax": {"right"}}),
        (
            "Atelectasis in the right lower lobe. Bands of atelectasis in the left mid lung.",
            {"Atelectasis": {"right", "lower", "left", "mid"}},
        ),
        ("There is cardiomegaly.", {"Cardiomegaly": set()}),
        ("No left pleural effusion.", {}),
    ],
)
def test_a_stated_finding_has_the_places_of_its_sentences(report: str, expected: Stated) -> None:
    assert READER.places(report) == expected


def test_phantom_reports_name_the_sides_that_were_drawn() -> None:
    settings = PhantomSettings(studies=10, size=64)
    for number, finding in enumerate(("Pneumothorax", "Pleural Effusion", "Fracture", "Consolidation")):
        phantom = draw_phantom(frozenset({finding}), number, settings)
        drawn = {side for instance in phantom.record[finding] for side in instance.sides}
        said = READER.places(phantom.report)[finding]
        assert said & {"left", "right"} == drawn
        zones = {instance.zone for instance in phantom.record[finding]} - {None}
        assert zones <= said


@given(STATED, STATED)
def test_misplaced_findings_are_counted_once_and_need_both_reports(said: Stated, reference: Stated) -> None:
    both = {finding for finding in said.keys() & reference.keys() if reference[finding]}
    assert 0 <= misplaced(said, reference) <= len(both)
    assert misplaced(reference, reference) == 0


def test_the_wrong_side_costs_more_than_a_missing_zone() -> None:
    reference = READER.places("Consolidation in the left upper lung.")
    costs = [
        misplaced(READER.places(text), reference)
        for text in (
            "Consolidation in the left upper lung.",
            "Consolidation in the left lung.",
            "Consolidation in the right upper lung.",
            "Consolidation in the right lower lung.",
        )
    ]
    assert costs == sorted(costs)
    assert costs[0] == 0
    assert costs[-1] == 1
