import json
from pathlib import Path

import pytest

from xpronet.errors import InputError
from xpronet.evaluation.prediction_files import Prediction, read_predictions, same_studies

GOOD = {"id": "a", "report": "Clear.", "reference": "Lungs clear."}


def written(folder: Path, *rows: object) -> Path:
    path = folder / "predictions.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_predictions(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(path))
    return message


def test_lines_of_generate_are_read(tmp_path: Path) -> None:
    findings = [
        {"name": "Edema", "probability": 0.9, "threshold": 0.5, "present": True},
        {"name": "Fracture", "probability": 0.1, "threshold": 0.5, "present": False},
    ]
    path = written(tmp_path, GOOD | {"labels_from": "all", "findings": findings}, {"id": 7, "report": ""})
    first, second = read_predictions(path, {"7": "Normal.", "a": "not used"})
    assert first == Prediction(
        id="a",
        report="Clear.",
        reference="Lungs clear.",
        labels_from="all",
        present=("Edema",),
        probabilities={"Edema": 0.9, "Fracture": 0.1},
    )
    assert second == Prediction(id="7", report="", reference="Normal.")


def test_tables_of_anyone_are_read(tmp_path: Path) -> None:
    path = tmp_path / "theirs.csv"
    path.write_text('\ufeffid,score,report,reference\n1,0.5,"Clear, both\nlungs.",Clear.\n', encoding="utf-8")
    assert read_predictions(path) == (Prediction(id="1", report="Clear, both\nlungs.", reference="Clear."),)


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ([], "no predictions in it"),
        ([["a", "b"]], "a list; write an object"),
        ([GOOD, {"report": "x"}], "no 'id'"),
        ([{"report": "x"}], "no reference for 1"),
        ([{"id": "a", "reference": "x"}], "no column is named like one of generated reports"),
        ([GOOD, {"id": "b", "reference": "x"}], "no 'report'"),
        ([{"id": "", "report": "x"}], "id '' is no name"),
        ([{"id": None, "report": "x"}], "id None is no name"),
        ([GOOD | {"report": None}], "the report of a is a NoneType"),
        ([GOOD | {"report": ["x"]}], "the report of a is a list"),
        (
            [{"id": "a", "report": "x"}],
            "no reference for a; add it to the file, or name the --references or the --corpus and --split",
        ),
        ([GOOD | {"reference": "  "}], "the reference of a is no text"),
        ([GOOD | {"reference": 3}], "the reference of a is no text"),
        ([GOOD, GOOD], "1 (a) ids stand twice"),
        ([GOOD | {"labels_from": "oracle"}], "labels_from 'oracle' is none of"),
        ([GOOD | {"findings": ["Edema"]}], "findings need a name"),
    ],
)
def test_bad_lines_are_refused(tmp_path: Path, rows: list[object], complaint: str) -> None:
    assert complaint in refusal(written(tmp_path, *rows))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "no predictions in it"),
        ("study,text\na,b\n", "no column is named like one of generated reports; it has 'study', 'text'"),
        ("id,report,prediction\na,b,c\n", "columns 'report' and 'prediction' may both hold the generated reports"),
        ("id;report;reference\na;b;c\n", "columns are separated by commas, not by ';'"),
        ("id,report,reference\n", "no predictions in it"),
        ("id,report,reference\na,b\n", "line 2: 2 cells in 3 columns"),
        ("id,report,reference\na,b,c,d\n", "line 2: 4 cells in 3 columns"),
        ('id,report,reference\na,"b"x,c\n', "line 2: not CSV"),
    ],
)
def test_bad_tables_are_refused(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "theirs.csv"
    path.write_text(text)
    assert complaint in refusal(path)


def test_a_missing_file_and_a_broken_line(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "none.jsonl")
    path = tmp_path / "broken.jsonl"
    path.write_text(json.dumps(GOOD) + "\n{")
    assert "line 2: not JSON" in refusal(path)


def test_only_the_same_studies_are_compared() -> None:
    def of(*ids: str, reference: str = "r") -> list[Prediction]:
        return [Prediction(id=study, report=study, reference=reference) for study in ids]

    names = ("one.jsonl", "two.jsonl")
    assert [row.id for row in same_studies(of("a", "b"), of("b", "a"), names)] == ["a", "b"]
    with pytest.raises(InputError, match=r"one.jsonl: 1 \(b\) ids are not in two.jsonl"):
        same_studies(of("a", "b"), of("a"), names)
    with pytest.raises(InputError, match=r"two.jsonl: 1 \(b\) ids are not in one.jsonl"):
        same_studies(of("a"), of("a", "b"), names)
    with pytest.raises(InputError, match="have another reference"):
        same_studies(of("a"), of("a", reference="s"), names)
