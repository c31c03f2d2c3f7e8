"""The published tokeniser; its reports lie beside the checkout, the digests of its results here."""

import hashlib
import json

import pytest

from xpronet.text.cleaning import clean_published_iu, clean_published_mimic
from xpronet.text.vocabulary import Vocabulary, VocabularySettings, build_vocabulary

CLEANED_SHA256 = "14882b7bda2e0031447311b87700ba971fe57a52a7ce417c7d0a8485a0996eb8"
"""Of all 2,955 cleaned reports: train, val, test, joined by newlines."""

VOCABULARY_SHA256 = "0eaa237aa135f9e3404d18cb750d97def3077673b3fdf63857a4e1c700be59e1"
"""Of the 760 words in the order of their ids, joined by newlines."""


@pytest.fixture(scope="module")
def reports(shared) -> dict[str, list[str]]:
    annotation = json.loads((shared / "data/iu_xray/annotation.json").read_text())
    return {split: [study["report"] for study in annotation[split]] for split in ("train", "val", "test")}


@pytest.fixture(scope="module")
def golden(shared) -> dict:
    return json.loads((shared / "golden/official_tokenizer.json").read_text())


@pytest.fixture(scope="module")
def vocabulary(reports) -> Vocabulary:
    return build_vocabulary(reports["train"], VocabularySettings(cleaning="published-iu", ids="published"))


def test_all_cleaned_reports(reports):
    cleaned = "\n".join(clean_published_iu(report) for split in reports.values() for report in split)
    assert hashlib.sha256(cleaned.encode()).hexdigest() == CLEANED_SHA256


def test_vocabulary_and_its_order(vocabulary, golden):
    assert list(vocabulary.words) == golden["vocab"]
    assert hashlib.sha256("\n".join(vocabulary.words).encode()).hexdigest() == VOCABULARY_SHA256
    assert len(vocabulary) == 761


def test_sixty_awkward_reports(vocabulary, golden):
    samples = golden["samples"]
    assert len(samples) == 60
    for sample in samples:
        assert vocabulary.clean(sample["report"]) == sample["cleaned"]
        assert vocabulary.encode(sample["report"]) == sample["ids"]
        assert vocabulary.decode(sample["ids"]) == sample["decoded"]


def test_twenty_reports_under_the_mimic_rule(golden):
    assert len(golden["mimic_rule"]) == 20
    for sample in golden["mimic_rule"]:
        assert clean_published_mimic(sample["report"]) == sample["cleaned"]
