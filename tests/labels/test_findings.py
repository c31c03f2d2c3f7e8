import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpronet.labels.findings import ABNORMALITIES, FINDINGS, IGNORED, NO_FINDING, SCHEMAS, State, collapse

states = st.dictionaries(st.sampled_from(FINDINGS), st.sampled_from(State))


def test_every_schema_has_the_fourteen_findings_once():
    for names in SCHEMAS.values():
        assert sorted(names) == sorted(FINDINGS)


def test_published_orders_differ_and_both_end_with_no_finding():
    assert SCHEMAS["published-iu-xray"] != SCHEMAS["published-mimic-cxr"]
    assert SCHEMAS["published-iu-xray"][-1] == SCHEMAS["published-mimic-cxr"][-1] == NO_FINDING
    assert SCHEMAS["mimic-cxr-jpg"].index(NO_FINDING) == 8
    assert SCHEMAS["chexpert"][0] == NO_FINDING


def test_published_collapse():
    found = collapse({"Edema": State.UNCERTAIN, "Fracture": State.NEGATIVE, "Cardiomegaly": State.POSITIVE})
    assert [name for name, value in found.items() if value] == ["Cardiomegaly", "Edema"]
    assert collapse({})[NO_FINDING] == 1
    assert collapse({"Edema": State.NEGATIVE})[NO_FINDING] == 1
    beside = collapse({"Support Devices": State.POSITIVE, NO_FINDING: State.POSITIVE})
    assert beside["Support Devices"] == beside[NO_FINDING] == 1


def test_other_policies_for_uncertain():
    unsure = {"Edema": State.UNCERTAIN}
    assert collapse(unsure, "negative")["Edema"] == 0
    assert collapse(unsure, "negative")[NO_FINDING] == 1
    assert collapse(unsure, "ignore")["Edema"] == IGNORED
    assert collapse(unsure, "ignore")[NO_FINDING] == IGNORED
    assert collapse(unsure | {"Fracture": State.POSITIVE}, "ignore")[NO_FINDING] == 0


@given(states, st.sampled_from(["positive", "negative", "ignore"]))
def test_collapse_names_all_findings_and_something_is_always_known(table, uncertain):
    values = collapse(table, uncertain)
    assert tuple(values) == FINDINGS
    assert set(values.values()) <= {0, 1, IGNORED}
    assert any(value != 0 for value in values.values())


@given(states)
def test_policies_differ_in_uncertain_findings_only(table):
    for finding in ABNORMALITIES:
        values = {collapse(table, policy)[finding] for policy in ("positive", "negative", "ignore")}
        assert (len(values) == 3) == (table.get(finding) is State.UNCERTAIN)


def test_a_policy_nobody_knows_is_refused():
    with pytest.raises(Exception):  # noqa: B017, PT011  beartype's own error
        collapse({}, "maybe")  # type: ignore[arg-type]
