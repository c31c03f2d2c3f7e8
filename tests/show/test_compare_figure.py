"""Words shared with the reference: which are marked, and that no part of a report is lost."""

from pathlib import Path

import numpy as np
import pytest

from xpronet.show.compare import ComparedStudy, ModelReport, draw_comparison, mark_text, plain_text

REFERENCE = "The heart is enlarged. No effusion is seen."


def test_a_word_counts_as_often_as_the_reference_has_it() -> None:
    marked = mark_text("No effusion. No pneumothorax is seen.", REFERENCE, "words")
    assert plain_text(marked) == "[No effusion]. No pneumothorax [is seen]."
    assert (marked.shared, marked.words) == (4, 6)
    assert "".join(text for text, _ in marked.pieces) == "No effusion. No pneumothorax is seen."


def test_phrases_are_three_words_or_whole_sentences() -> None:
    marked = mark_text("No effusion. The heart is large. No effusion is seen.", REFERENCE, "phrases")
    assert plain_text(marked) == "No effusion. [The heart is] large. [No effusion is seen.]"
    assert marked.shared == 7


def test_findings_are_marked_as_alike_or_contradicted() -> None:
    text = "The heart is enlarged. There is a small pleural effusion. No pneumothorax."
    marked = mark_text(text, REFERENCE, "findings")
    assert "".join(piece for piece, _ in marked.pieces) == text
    assert plain_text(marked) == ("The [heart] is [enlarged]. There is a small {pleural effusion}. No pneumothorax.")
    assert marked.note == "1 of 2 findings alike, 1 contradicted"


@pytest.mark.parametrize("text", ["", "Nothing alike here.", "the heart is enlarged. no effusion is seen."])
def test_nothing_is_lost(text: str) -> None:
    marked = mark_text(text, REFERENCE, "words")
    assert "".join(piece for piece, _ in marked.pieces) == text
    assert marked.shared == (8 if "enlarged" in text else 0)


def test_the_figure_holds_every_report_and_warns_of_oracles(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    views = (np.full((32, 32), 90, np.uint8),) * 2
    reports = (
        ModelReport(model="ours", text="No effusion.", oracle=False),
        ModelReport(model="theirs", text="", oracle=True),
    )
    study = ComparedStudy(id="study $1$", views=views, reference=REFERENCE, reports=reports)
    for name in ("a.svg", "b.svg", "a.pdf", "b.pdf"):
        draw_comparison([study, study], tmp_path / name, width=3.5 if name.endswith("pdf") else 12.0)
    for suffix in ("svg", "pdf"):
        assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")
    svg = (tmp_path / "a.svg").read_text()
    for expected in (
        "study $1$",
        "enlarged",
        "ours",
        "1 of 2 findings alike, 0 contradicted",
        "theirs",
        "(empty)",
        "ORACLE LABELS",
    ):
        assert expected in svg, expected
    assert svg.count("<image") == 4
