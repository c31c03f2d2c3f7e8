"""Small files written as other projects write theirs."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from xpronet.cli import run
from xpronet.errors import InputError
from xpronet.evaluation.prediction_files import Prediction, read_prediction_file
from xpronet.evaluation.prediction_writers import FormName, write_prediction_form
from xpronet.evaluation.text_columns import FileSettings

REPORTS = ("Clear lungs.", "", "Small effusion, left.")
REFERENCES = ("Lungs are clear.", "No effusion.", "There is a small effusion.")
NUMBERED = tuple(
    Prediction(id=str(number), report=report, reference=reference)
    for number, (report, reference) in enumerate(zip(REPORTS, REFERENCES, strict=True), 1)
)


def radeval_json(folder: Path) -> Path:
    path = folder / "reports.json"
    path.write_text(json.dumps({"references": REFERENCES, "hypotheses": REPORTS}))
    return path


def radeval_lines(folder: Path) -> Path:
    (folder / "ground_truth.tok").write_text("".join(f"{text}\n" for text in REFERENCES))
    path = folder / "model_predictions.tok"
    path.write_text("".join(f"{text}\n" for text in REPORTS))
    return path


def rexrank(folder: Path) -> Path:
    path = folder / "prediction.json"
    studies = {
        one.id: {"image_path": [], "section_findings": one.reference, "model_prediction": one.report}
        for one in NUMBERED
    }
    path.write_text(json.dumps(studies, indent=4))
    return path


def r2gen(folder: Path) -> Path:
    for name, texts in (("res.csv", REPORTS), ("gts.csv", REFERENCES)):
        with (folder / name).open("w", newline="") as stream:
            csv.writer(stream).writerows([text] for text in texts)
    return folder / "res.csv"


def vilmedic(folder: Path) -> Path:
    (folder / "test_best-1_103276_refs.txt").write_text("".join(f"{text}\n" for text in REFERENCES))
    path = folder / "test_best-1_881942_hyps.txt"
    path.write_text("".join(f"{text}\n" for text in REPORTS))
    return path


def two_columns(folder: Path) -> Path:
    path = folder / "theirs.csv"
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([("Ground Truth", "Generated-Report"), *zip(REFERENCES, REPORTS, strict=True)])
    return path


def nameless_json(folder: Path) -> Path:
    path = folder / "pairs.json"
    path.write_text(json.dumps([{"gt": one.reference, "pred": one.report} for one in NUMBERED]))
    return path


@pytest.mark.parametrize(
    ("write", "read_as", "has_ids"),
    [
        (radeval_json, "RadEval JSON; studies numbered, report from 'hypotheses', reference from 'references'", False),
        (
            radeval_lines,
            "RadEval text files; studies numbered, report from model_predictions.tok, reference from ground_truth.tok "
            "in the same order",
            False,
        ),
        (rexrank, "ReXrank JSON; id from its keys, report from 'model_prediction', ", True),
        (r2gen, "R2Gen result tables; studies numbered, report from res.csv, reference from gts.csv", False),
        (vilmedic, "ViLMedic text files; studies numbered, report from test_best-1_881942_hyps.txt, ", False),
        (two_columns, "CSV; studies numbered, as there is no id, report from 'generated-report', ", False),
        (nameless_json, "JSON; studies numbered, as there is no id, report from 'pred', reference from 'gt'", False),
    ],
)
def test_foreign_forms_are_read_and_said(
    write: Callable[[Path], Path], read_as: str, has_ids: bool, tmp_path: Path
) -> None:
    read = read_prediction_file(write(tmp_path))
    assert read.read_as.startswith(read_as)
    assert read.guessed
    assert read.has_ids is has_ids
    found = [(one.id, one.report, one.reference.removeprefix("Findings: ")) for one in read.predictions]
    assert found == [(one.id, one.report, one.reference) for one in NUMBERED]


@pytest.mark.parametrize(
    ("form", "name"),
    [
        ("xpronet", "a.jsonl"),
        ("csv", "a.csv"),
        ("radeval", "a.json"),
        ("rexrank", "a.json"),
        ("r2gen", "res.csv"),
        ("vilmedic", "test_hyps.txt"),
        ("hf-dataset", "a"),
    ],
)
def test_what_is_written_is_read(form: FormName, name: str, tmp_path: Path) -> None:
    if form == "hf-dataset":
        pytest.importorskip("pyarrow")
    write_prediction_form(tmp_path / name, NUMBERED, form)
    found = read_prediction_file(tmp_path / name).predictions
    assert [(one.id, one.report, one.reference.removeprefix("Findings: ")) for one in found] == [
        (one.id, one.report, one.reference) for one in NUMBERED
    ]
    with pytest.raises(InputError, match="already exists"):
        write_prediction_form(tmp_path / name, NUMBERED, form)


@pytest.mark.filterwarnings("ignore:Cannot")  # dill, of a class of pyarrow's
def test_a_dataset_that_datasets_saved_is_read(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    rows = [{"study_id": one.id, "findings": "x", "generated": one.report, "gt": one.reference} for one in NUMBERED]
    datasets.DatasetDict({"test": datasets.Dataset.from_list(rows)}).save_to_disk(tmp_path / "many")
    read = read_prediction_file(tmp_path / "many")
    assert read.predictions == NUMBERED
    assert read.read_as.startswith("Hugging Face dataset, split test; id from 'study_id'")
    write_prediction_form(tmp_path / "ours", NUMBERED, "hf-dataset")
    assert datasets.load_from_disk(tmp_path / "ours")["report"][2] == REPORTS[2]


def test_references_of_another_file_are_joined_by_id_or_order(tmp_path: Path) -> None:
    reports, references = tmp_path / "pred.csv", tmp_path / "gt.csv"
    reports.write_text("study_id,report\n1,Clear.\n2,Effusion.\n")
    references.write_text("study_id,report\n2,An effusion.\n1,Is clear.\n")
    read = read_prediction_file(reports, settings=FileSettings(references=references))
    assert [one.reference for one in read.predictions] == ["Is clear.", "An effusion."]
    assert read.read_as.endswith("reference from gt.csv by id")
    lines = tmp_path / "lines.txt"
    lines.write_text("Is clear.\nAn effusion.")
    read = read_prediction_file(reports, settings=FileSettings(references=lines))
    assert [one.reference for one in read.predictions] == ["Is clear.", "An effusion."]
    assert "in the same order" in read.read_as


def test_columns_are_taken_as_named(tmp_path: Path) -> None:
    path = tmp_path / "theirs.csv"
    path.write_text("key,report,model b\n7,Is clear.,Clear.\n")
    settings = FileSettings(id_column="key", report_column="Model B", reference_column="report")
    assert read_prediction_file(path, settings=settings).predictions == (
        Prediction(id="7", report="Clear.", reference="Is clear."),
    )
    with pytest.raises(InputError, match="has no column 'model c' for the generated reports"):
        read_prediction_file(path, settings=FileSettings(report_column="model c"))


def test_reports_without_ids_follow_the_split(tmp_path: Path) -> None:
    path = tmp_path / "generated.txt"
    path.write_text("Clear.\nEffusion.\n")
    read = read_prediction_file(path, {"s1": "Is clear.", "s2": "An effusion."})
    assert [one.id for one in read.predictions] == ["s1", "s2"]
    assert "taken for the studies of the split in their order" in read.read_as
    with pytest.raises(InputError, match="2 reports without ids, and 1 studies"):
        read_prediction_file(path, {"s1": "Is clear."})


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("res.csv", "Clear.\n", "no reference for 1"),
        ("a.json", '{"references": ["a"], "hypotheses": []}', "0 reports, and 1 references"),
        ("a.json", '{"epoch": 3}', "of none of the known forms"),
        ("a.json", '{"s1": {"model_prediction": "Clear."}}', "no reference for s1"),
        ("a.csv", b"id,report,reference\n1,a,b\n2,caf\xe9,b\n", "not UTF-8 text"),
        ("a.jsonl", b'{"id": "1", "report": "caf\xe9", "reference": "b"}\n', "not UTF-8 text (byte 26)"),
        ("a.txt", "Clear.\n".encode("utf-16"), "not UTF-8 text"),
        ("a.csv", "id,report,reference\n1,a,b\n1,c,d\n", "1 (1) ids stand twice"),
        ("a.csv", "one,two\nIs clear.,Clear.\n", "name one with --report-column"),
        ("folder", None, "no dataset here"),
    ],
)
def test_files_of_the_wrong_form_take_one_line(
    name: str, content: str | bytes | None, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    if content is None:
        pytest.importorskip("pyarrow")
        path.mkdir()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content)
    assert run(["evaluate", str(path), "--skip-meteor"]) == 2
    message = capsys.readouterr().err
    assert complaint in message
    assert message.count("\n") == 1


def test_the_command_converts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "there" / "prediction.json"
    assert run(["convert", str(r2gen(tmp_path)), "--to", "rexrank", "--out", str(out)]) == 0
    assert "R2Gen result tables" in capsys.readouterr().out
    assert json.loads(out.read_text())["1"]["model_prediction"] == REPORTS[0]
    assert run(["convert", str(out), "--to", "r2gen", "--out", str(tmp_path / "x.csv")]) == 2
    assert "ends in res.csv" in capsys.readouterr().err
