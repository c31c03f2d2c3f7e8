"""The rule labeler beside the published labels of real reports, which are CheXbert's of their impressions."""

import time

import pytest

from xpronet.evaluation.finding_f1 import Agreement, table_agreement
from xpronet.labels.findings import ABNORMALITIES, FINDINGS, NO_FINDING
from xpronet.labels.rules import RuleLabeler


def compared(real_reports, rules: RuleLabeler, split: str, findings: tuple[str, ...]) -> Agreement:
    ids = real_reports.splits[split]
    predicted = {study_id: rules.label(real_reports.impressions[study_id]) for study_id in ids}
    return table_agreement({study_id: real_reports.labels[study_id] for study_id in ids}, predicted, findings)


@pytest.mark.parametrize("split", ["train", "val"])
def test_micro_f1_over_thirteen_findings_and_no_finding(real_reports, rules, split):
    micro = compared(real_reports, rules, split, ABNORMALITIES).micro.f1
    assert micro is not None
    assert micro >= {"train": 0.9545, "val": 0.9465}[split]
    rows = compared(real_reports, rules, split, FINDINGS).per_finding
    none = next(row.f1 for row in rows if row.finding == NO_FINDING)
    assert none is not None
    assert none >= {"train": 0.9915, "val": 0.9825}[split]


def test_macro_f1_over_findings_that_are_not_rare(real_reports, rules):
    rows = [row for row in compared(real_reports, rules, "train", ABNORMALITIES).per_finding if row.present >= 15]
    scores = [row.f1 for row in rows if row.f1 is not None]
    assert len(scores) == len(rows) == 12
    assert sum(scores) / len(scores) >= 0.92


def test_speed(real_reports, rules):
    reports = list(real_reports.impressions.values())[:1000]
    started = time.process_time()
    for report in reports:
        rules.label(report)
    assert len(reports) / (time.process_time() - started) > 1000  # beartype is on here; benchmarks/labeler.py is exact
