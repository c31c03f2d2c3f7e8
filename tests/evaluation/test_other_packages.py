"""BLEU as other packages define it, where they are installed."""

import pytest

from xpronet.evaluation.language import language_statistics

REFERENCES = [
    "the heart is normal in size . the lungs are clear . no pleural effusion .",
    "there is a small left pleural effusion . no pneumothorax is seen .",
    "stable cardiomegaly . the lungs are clear without focal consolidation .",
]
REPORTS = [
    "the heart is normal in size . no pleural effusion or pneumothorax .",
    "there is a small right pleural effusion . no pneumothorax is seen .",
    "the lungs are clear without focal consolidation . stable cardiomegaly .",
]


def test_corpus_bleu_of_sacrebleu_without_smoothing_is_ours() -> None:
    sacrebleu = pytest.importorskip("sacrebleu")
    theirs = sacrebleu.corpus_bleu(REPORTS, [REFERENCES], tokenize="none", smooth_method="none", force=True)
    ours = language_statistics(REFERENCES, REPORTS).totals()
    assert ours["BLEU-4"] == pytest.approx(theirs.score / 100, abs=1e-6)


def test_corpus_bleu_of_nltk_is_ours() -> None:
    bleu_score = pytest.importorskip("nltk.translate.bleu_score")
    ours = language_statistics(REFERENCES, REPORTS).totals()
    for order in (1, 2, 4):
        theirs = bleu_score.corpus_bleu(
            [[reference.split()] for reference in REFERENCES],
            [report.split() for report in REPORTS],
            weights=[1 / order] * order,
        )
        assert ours[f"BLEU-{order}"] == pytest.approx(theirs, abs=1e-6)


def test_corpus_bleu_of_radeval_is_ours() -> None:
    bleu = pytest.importorskip("radeval.metrics.bleu.bleu")
    ours = language_statistics(REFERENCES, REPORTS).totals()
    for order in (1, 2, 3, 4):
        theirs, _ = bleu.Bleu(n=order)(REFERENCES, REPORTS)
        assert ours[f"BLEU-{order}"] == pytest.approx(theirs, abs=1e-9)
