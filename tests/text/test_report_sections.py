"""Sections of free-text reports: the ways in which they are filed."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpronet.text.sections import chosen_text, is_blank, read_sections

HEAD = f"{' ' * 33}FINAL REPORT\n"


def test_headed_report() -> None:
    read = read_sections(
        HEAD + " EXAMINATION:  CHEST (PA AND LAT)\n \n INDICATION:  Cough, assess\n for pneumonia.\n \n FINDINGS: \n \n"
        " Lungs are\n clear.\n \n Heart normal.\n \n IMPRESSION:  \n \n No acute process.\n"
    )
    assert read.sections == {
        "examination": "CHEST (PA AND LAT)",
        "indication": "Cough, assess for pneumonia.",
        "findings": "Lungs are clear.\n\nHeart normal.",
        "impression": "No acute process.",
    }
    assert not read.unheaded


@pytest.mark.parametrize(
    ("body", "findings"),
    [
        (" HISTORY:  Line.\n \n COMPARISON:  ___.\n \n The lungs are clear.\n", "The lungs are clear."),
        (" COMPARISON:\n \n None.\n \n Clear.\n \n Normal.\n \n IMPRESSION:  As above.\n", "Clear.\n\nNormal."),
        (" PORTABLE CHEST, ___\n \n The lungs are clear.\n \n IMPRESSION:  Fine.\n", "The lungs are clear."),
        (" PA AND LATERAL VIEWS OF THE CHEST:  Clear.\n \n IMPRESSION:  Fine.\n", "Clear."),
        (" CT HEAD:  Done.\n \n The lungs are clear.\n", "The lungs are clear."),
        (" COMPARISON:  None.\n \n FINDINGS:\n \n IMPRESSION:  Fine.\n", None),
        (" HISTORY:  Fever.\n \n IMPRESSION:  Fine.\n", None),
        (" AP CHEST, 10:52 A.M., ___\n \n IMPRESSION:  Fine.\n", None),
    ],
)
def test_findings_without_a_heading(body: str, findings: str | None) -> None:
    read = read_sections(HEAD + body)
    assert read.sections.get("findings") == findings
    assert read.unheaded == (findings is not None)


def test_headings_in_any_form() -> None:
    read = read_sections("Findings: One.\nIMPRESSION\n Two.\n RECOMMENDATION(S):\n Three.")
    assert read.sections["findings"] == "One."
    assert read.sections["impression"] == "Two."
    assert read.sections["recommendation"] == "Three."
    assert read_sections("FINDINGS/IMPRESSION: Both.").sections == {"findings": "Both."}
    assert read_sections("FINDINGS: a.\n\nFINDINGS: b.").sections == {"findings": "a.\n\nb."}


def test_what_is_no_heading() -> None:
    text = "FINDINGS: At 10:30 the tube\n is 3 cm: fine.\n LUNGS: Clear.\n Right lung: clear.\n Time 3:15."
    assert read_sections(text).sections == {
        "findings": "At 10:30 the tube is 3 cm: fine. LUNGS: Clear. Right lung: clear. Time 3:15."
    }


@pytest.mark.parametrize(
    ("heading", "section"),
    [
        ("RECOMMENDATION(S)", "recommendation"),
        ("Recommendations", "recommendation"),
        ("RECCOMENDATION(S)", "recommendation"),
        ("NOTIFICATION(S)", "notification"),
        ("COMPARISON FILM", "comparison"),
        ("COMPARISON FILMS", "comparison"),
        ("COMPARSION STUDY", "comparison"),
        ("PRIOR EXAMS", "comparison"),
        ("REFERENCE EXAM", "comparison"),
        ("COMPARED WITH PRIOR STUDIES", "comparison"),
        ("IMPRSSION", "impression"),
        ("Impresion", "impression"),
        ("FINAL IMPRESSION", "impression"),
        ("CONCLUSION(S)", "impression"),
        ("FINDNGS", "findings"),
        ("FINIDNGS", "findings"),
        ("COMMENT", "findings"),
        ("INDICATON", "indication"),
        ("REASON FOR THIS EXAMINATION", "indication"),
        ("CLINICAL HISTROY", "history"),
        ("HISTORY/INDICATION", "history"),
        ("TEHCNIQUE", "technique"),
    ],
)
def test_headings_by_other_names_and_misspelt(heading: str, section: str) -> None:
    read = read_sections(f"{HEAD} EXAM: Chest.\n \n {heading}: Some words.\n")
    assert read.sections == {"examination": "Chest.", section: "Some words."}
    assert not read.unheaded


@pytest.mark.parametrize("word", ["LUNGS", "CONTUSION", "OCCLUSION", "CONSOLIDATION", "EFFUSION", "POSITION", "BONES"])
def test_other_words_are_no_misspelt_headings(word: str) -> None:
    text = f"FINDINGS: Old film.\n {word}: None."
    assert read_sections(text).sections == {"findings": f"Old film. {word}: None."}


def test_recommendations_are_no_impression() -> None:
    for text in (
        " IMPRESSION: \n \n No acute process.\n \n RECOMMENDATION(S):  CT of the chest.\n",
        " IMPRESSION:\n No acute process.\n RECOMMENDATION(S)\n CT of the chest.\n",
        " IMPRESSION: No acute process. RECOMMENDATION(S): CT of the chest.",
    ):
        read = read_sections(HEAD + text)
        assert read.sections == {"impression": "No acute process.", "recommendation": "CT of the chest."}


def test_a_comparison_film_leaves_the_comment_as_findings() -> None:
    read = read_sections(
        f"{HEAD} TYPE OF EXAMINATION: Chest.\n \n COMPARISON FILM: ___.\n \n COMMENT: Two views. Large effusion.\n"
    )
    assert read.sections["findings"] == "Two views. Large effusion."
    assert read.sections["comparison"] == "___."
    # Below FINDINGS and IMPRESSION a comment is a part of them, and a sentence that goes on is no heading.
    read = read_sections("IMPRESSION: One.\n COMMENT: Two, as\n compared to the prior study: none.")
    assert read.sections == {"impression": "One. COMMENT: Two, as compared to the prior study: none."}


@pytest.mark.parametrize(
    "text", ["nan", "NaN", "None", "none.", "NULL", "n/a", "N/A", "<NA>", "#N/A", "NaT", "", "-", "___."]
)
def test_empty_cells_say_nothing(text: str) -> None:
    assert is_blank(text)
    assert chosen_text({"findings": text, "impression": "Clear."}, "findings", "other") == ("Clear.", None)


@pytest.mark.parametrize("text", ["Normal.", "No change.", "None seen.", "NAD", "Null hypothesis", "0"])
def test_short_reports_say_something(text: str) -> None:
    assert not is_blank(text)


def test_addenda_and_wet_reads_are_kept_apart() -> None:
    line = " " + "_" * 78 + "\n"
    read = read_sections(
        f"WET READ: ___ 10:03 PM\n  Findings: lines.\n{line}{HEAD}  ADDENDUM  Dr. ___ was called.\n"
        f"{line}{HEAD} FINDINGS: Clear.\n"
    )
    assert read.sections["findings"] == "Clear."
    assert "lines." in read.sections["wet read"]
    assert "Dr. ___ was called." in read.sections["addendum"]
    read = read_sections(f"{HEAD} FINDINGS: Clear.\n \n ADDENDUM:  Findings were called in.\n")
    assert read.sections == {"findings": "Clear.", "addendum": "Findings were called in."}


@given(st.text(alphabet=st.sampled_from("ABab:. _\n\tFINDINGS1-/"), max_size=400))
def test_any_text_is_read_and_nothing_is_made_up(text: str) -> None:
    read = read_sections(text)
    assert all(section.strip() == section and section for section in read.sections.values())
    words = text.split()
    for section in read.sections.values():
        assert all(any(word in original for original in words) for word in section.split())
    assert not read.unheaded or "findings" in read.sections


@pytest.mark.parametrize("filler", ["\n", " ", "_", "A", "a ", "A:\n", "* ", "FINAL REPORT\n", "a.\n\n", ":"])
def test_long_texts_take_no_long_time(filler: str) -> None:
    started = time.process_time()
    read_sections(filler * (100_000 // len(filler)))
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("sections", "text", "missing", "expected"),
    [
        ({"findings": "a", "impression": "b"}, "findings", "drop", ("a", None)),
        ({"findings": "a", "impression": "b"}, "impression", "drop", ("b", None)),
        ({"findings": "a", "impression": "b"}, "both", "drop", ("a\n\nb", None)),
        ({"impression": "b"}, "findings", "drop", ("", "no findings")),
        ({"impression": "b"}, "both", "drop", ("", "no findings")),
        ({}, "both", "drop", ("", "neither findings nor impression")),
        ({"impression": "b"}, "findings", "other", ("b", None)),
        ({"impression": "b"}, "both", "other", ("b", None)),
        ({"indication": "c"}, "findings", "other", ("", "neither findings nor impression")),
    ],
)
def test_the_text_is_a_choice(sections: dict[str, str], text: str, missing: str, expected: object) -> None:
    assert chosen_text(sections, text, missing) == expected  # type: ignore[arg-type]
