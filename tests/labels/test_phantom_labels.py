"""The rule labeler on reports about which everything is known."""

import numpy as np
import pytest

from xpronet.evaluation.finding_f1 import table_agreement
from xpronet.labels.findings import FINDINGS, State
from xpronet.labels.label_tables import read_labels
from xpronet.phantom.make_corpus import PhantomSettings, make_phantom
from xpronet.phantom.plan import plan_studies
from xpronet.phantom.record import draw_record
from xpronet.phantom.report_text import write_report


@pytest.mark.parametrize("prevalence", ["natural", "balanced"])
def test_every_statement_of_the_grammar_is_read(rules, prevalence):
    truth, predicted = {}, {}
    for number, (present, _) in enumerate(plan_studies(600, prevalence, 3)):
        record = draw_record(present, np.random.default_rng([3, number]))
        report, states = write_report(record, np.random.default_rng([4, number]))
        truth[str(number)] = {name: states.get(name, State.NOT_MENTIONED) for name in FINDINGS}
        predicted[str(number)] = rules.label(report)
    scores = [row.f1 for row in table_agreement(truth, predicted).per_finding]
    assert all(score is not None and score >= 0.99 for score in scores)


def test_a_corpus_as_it_is_made(rules, tmp_path):
    from xpronet.data.corpus import open_corpus

    make_phantom(tmp_path / "phantom", PhantomSettings(studies=10, size=64, prevalence="balanced"))
    corpus = open_corpus(tmp_path / "phantom")
    truth = read_labels(tmp_path / "phantom" / "labels.csv", [study.id for study in corpus.studies])
    assert {study.id: rules.label(study.report) for study in corpus.studies} == truth
