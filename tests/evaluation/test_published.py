"""The ledger of published numbers: what it holds, and what it says may be compared."""

import pytest

from xpronet.evaluation.published import PublishedNumbers, read_published

MEASURED = {"corpus": "IU X-Ray", "split": "test, 590 of 590 studies", "protocol": "published-iu"}


def one(row: str, corpus: str = "IU X-Ray", *, source: str = "") -> PublishedNumbers:
    found = [
        each
        for each in read_published()
        if (each.row, each.corpus, each.in_table) == (row, corpus, True) and source in each.source
    ]
    assert len(found) == 1
    return found[0]


def test_every_model_of_the_paper_is_there() -> None:
    cited = {(each.row, each.corpus) for each in read_published() if each.in_table}
    iu = {"st", "adaatt", "att2in", "sentsat_kg", "hrgr", "coat", "cmas", "kerp", "r2gencmn", "xpronet"}
    mimic = {"ratchet", "st", "adaatt", "att2in", "topdown", "r2gencmn", "xpronet"}
    assert cited == {(row, "IU X-Ray") for row in iu} | {(row, "MIMIC-CXR") for row in mimic}
    assert one("topdown", "MIMIC-CXR").scores["BLEU-4"] == 0.092


def test_scores_are_plausible() -> None:
    for each in read_published():
        bleu = [each.scores[name] for name in ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4") if name in each.scores]
        assert bleu == sorted(bleu, reverse=True)
        assert all(0 < value < 1 for value in each.scores.values())
        assert set(each.corrected) <= set(each.scores)
        assert bool(each.corrected) == bool(each.correction)


def test_wrong_cells_have_their_correction() -> None:
    wrong = {
        (each.in_table, each.model, name): (each.scores[name], value)
        for each in read_published()
        for name, value in each.corrected.items()
    }
    assert wrong == {
        (True, "SentSAT+KG", "ROUGE-L"): (0.304, 0.367),
        (True, "ATT2IN", "CIDEr"): (0.220, 0.297),
        (False, "SentSAT+KG", "BLEU-4"): (0.417, 0.147),
        (False, "HRGR", "ROUGE-L"): (0.369, 0.322),
    }


@pytest.mark.parametrize(
    ("row", "reasons"),
    [
        ("r2gencmn", ()),
        ("xpronet", ("was given findings read from the references",)),
        ("st", ("split: HRGR's random 7:1:2, never published", "references cut: not stated")),
        (
            "sentsat_kg",
            ("split: own, 60:20:20", "text of the references: impression and findings", "references cut: not stated"),
        ),
    ],
)
def test_what_is_not_comparable_says_why(row: str, reasons: tuple[str, ...]) -> None:
    assert one(row).differs_from(MEASURED) == reasons


def test_another_protocol_or_corpus_is_not_comparable() -> None:
    full = {**MEASURED, "protocol": "full-text"}
    assert one("r2gencmn").differs_from(full) == ("references cut: 60 ids, rare words of references become <unk>",)
    fewer = {**MEASURED, "split": "test, 100 of 100 studies"}
    assert one("r2gencmn").differs_from(fewer) == ("split: R2Gen's: 2,069, 296 and 590 studies of two views",)
    assert "tested on MIMIC-CXR" in one("st", "MIMIC-CXR").differs_from(MEASURED)
