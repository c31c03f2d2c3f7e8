import json
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xpronet.errors import InputError
from xpronet.evaluation.constant_baseline import ConstantScorer, find_constant, split_sentences
from xpronet.evaluation.language import language_statistics
from xpronet.evaluation.text_protocol import PROTOCOLS

texts = st.lists(st.sampled_from(["a", "b", "c", "d", "."]), min_size=1, max_size=12).map(" ".join)


@settings(max_examples=40, deadline=None)
@given(st.lists(texts, min_size=1, max_size=5), texts)
def test_counted_bleu_is_scored_bleu(references: list[str], text: str) -> None:
    scored = language_statistics(references, [text] * len(references)).totals()
    counted = ConstantScorer(references).bleu([tuple(text.split())])[0]
    assert counted == pytest.approx([scored[f"BLEU-{order}"] for order in range(1, 5)], abs=1e-12)


def test_the_search_finds_the_text_that_all_share() -> None:
    shared = "the lungs are clear . the heart is normal . no effusion is seen today ."
    train = [
        "the lungs are clear . a rib is broken .",
        "no effusion is seen today . the heart is normal .",
        "pacemaker in place .",
    ]
    text, bleu = find_constant(train, [shared] * 4)
    assert sorted(split_sentences(text)) == sorted(split_sentences(shared))
    assert bleu > 0.8
    short, _ = find_constant(train, [shared] * 4, max_words=6)
    assert len(short.split()) <= 6


def test_sentences_are_closed_and_never_empty() -> None:
    assert split_sentences(". a b . . c") == [("a", "b", "."), ("c", ".")]


def test_nothing_to_search_in() -> None:
    with pytest.raises(InputError, match="train sentences"):
        find_constant([". ."], ["a b ."])
    with pytest.raises(InputError, match="at least one reference"):
        find_constant(["a ."], [])


def test_the_trap_on_real_references(shared: Path) -> None:
    golden = json.loads((shared / "golden" / "official_metrics.json").read_text())
    corpus = json.loads((shared / "data" / "iu_xray" / "annotation.json").read_text())
    protocol = PROTOCOLS["published-iu"]
    train_reports = [study["report"] for study in corpus["train"]]
    train = protocol.reports(train_reports)
    started = time.monotonic()
    text, bleu = find_constant(train, golden["refs"], max_words=protocol.max_words)
    assert time.monotonic() - started < 60
    assert bleu >= 0.19
    scored = language_statistics(golden["refs"], [text] * len(golden["refs"])).totals()
    assert scored["BLEU-4"] == pytest.approx(bleu, abs=1e-12)
    # Chosen without a look at the test references it is worth nearly the same.
    val = protocol.references([study["report"] for study in corpus["val"]], train_reports)
    honest, _ = find_constant(train, val, max_words=protocol.max_words)
    assert ConstantScorer(golden["refs"]).bleu([tuple(honest.split())])[0, 3] > 0.185
    assert np.isclose(
        ConstantScorer(golden["refs"]).bleu([tuple(golden["headline_constant"].split())])[0, 3], 0.19684947
    )
