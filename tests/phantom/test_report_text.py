import re

import numpy as np
import pytest

from xpronet.labels.findings import ABNORMALITIES, FINDINGS, NO_FINDING, State
from xpronet.labels.rules import RuleLabeler
from xpronet.phantom.finding_statements import ORDERS, POSITIVE, SECTION_OF, SECTIONS
from xpronet.phantom.normal_statements import ALL_NORMAL, NORMAL
from xpronet.phantom.plan import plan_studies
from xpronet.phantom.record import Record, draw_record
from xpronet.phantom.report_text import write_report

Written = list[tuple[Record, str, dict[str, State]]]


@pytest.fixture(scope="module")
def written() -> Written:
    reports: Written = []
    for prevalence in ("balanced", "natural"):
        for number, (present, _) in enumerate(plan_studies(200, prevalence, 11)):  # type: ignore[arg-type]
            record = draw_record(present, np.random.default_rng([11, number]))
            reports.append((record, *write_report(record, np.random.default_rng([12, number]))))
    return reports


def test_reports_have_25_to_55_words_from_a_small_vocabulary(written: Written) -> None:
    lengths = [len(text.split()) for _, text, _ in written]
    assert min(lengths) >= 25
    assert max(lengths) <= 55
    assert len({word for _, text, _ in written for word in re.findall(r"[a-z]+", text.lower())}) <= 350
    assert len({text for _, text, _ in written}) > 0.95 * len(written)


def test_every_statement_has_five_wordings() -> None:
    for finding, wordings in POSITIVE.items():
        assert len(set(wordings)) >= 5, finding
    for statement in NORMAL:
        assert len(set(statement.wordings)) >= 5, statement
    assert len(set(ALL_NORMAL)) >= 5


def test_every_finding_can_be_stated_and_denied() -> None:
    assert {name.split(",")[0] for name in POSITIVE} == set(ABNORMALITIES)
    assert frozenset.union(*(statement.denies for statement in NORMAL)) == set(ABNORMALITIES)
    assert all(sorted(order) == sorted(SECTIONS) for order in ORDERS)
    assert set(SECTION_OF.values()) <= set(SECTIONS)


def test_labels_are_what_is_there(written: Written) -> None:
    for record, _, states in written:
        assert {name for name in ABNORMALITIES if states.get(name) is State.POSITIVE} == set(record)
        assert State.UNCERTAIN not in states.values()
        assert (states.get(NO_FINDING) is State.POSITIVE) == (set(record) <= {"Support Devices"})
    assert sum(State.NEGATIVE in states.values() for _, _, states in written) > 0.5 * len(written)


def test_sides_zones_and_severities_are_said(written: Written) -> None:
    grades = {
        "small": ("small", "mild", "mildly"),
        "moderate": ("moderate", "moderately"),
        "large": ("large", "severe", "severely"),
    }
    for record, text, _ in written:
        words = set(re.findall(r"[a-z]+", text.lower()))
        for instance in (instance for instances in record.values() for instance in instances):
            if instance.side in ("left", "right"):
                assert instance.side in words
            if instance.severity is not None:
                assert words & set(grades[instance.severity])
            if instance.zone is not None:
                assert words & {instance.zone, "apical"}


def test_a_labeler_reads_the_record_back(written: Written) -> None:
    labeler = RuleLabeler()
    read = [labeler.label(text) for _, text, _ in written]
    for finding in FINDINGS:
        truth = [states.get(finding) is State.POSITIVE for _, _, states in written]
        found = [states[finding] in (State.POSITIVE, State.UNCERTAIN) for states in read]
        both = sum(one and other for one, other in zip(truth, found, strict=True))
        assert 2 * both / (sum(truth) + sum(found)) >= 0.99, finding
    denied = [
        (states.get(name), got[name]) for (_, _, states), got in zip(written, read, strict=True) for name in FINDINGS
    ]
    assert np.mean([(one or State.NOT_MENTIONED) is other for one, other in denied]) >= 0.99


def test_the_words_depend_on_the_seed() -> None:
    record = draw_record(frozenset({"Pneumonia", "Fracture"}), np.random.default_rng(1))
    texts = {write_report(record, np.random.default_rng(seed))[0] for seed in range(20)}
    assert len(texts) > 15
    assert write_report(record, np.random.default_rng(3)) == write_report(record, np.random.default_rng(3))
