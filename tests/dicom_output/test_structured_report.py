"""Structured reports: read back by pydicom and highdicom, and checked by the tools of dcmtk and dicom3tools."""

import io
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from xpronet.cli import run as run_command
from xpronet.errors import InputError
from xpronet.generation.report import FindingScore, GateScore, Report
from xpronet.labels.findings import FINDINGS
from xpronet.model.out_of_distribution import WARNING
from xpronet.serve.structured_report import NOTICE, one_line, paragraphs, structured_report

pydicom = pytest.importorskip("pydicom")
pytest.importorskip("highdicom")

REPORT = Report(
    id="study",
    text="The heart is of normal size, 12 µm – naïve.\nA second line.\n\nNo effusion.\x00\x1b",
    findings=tuple(
        FindingScore(name=name, probability=(number + 1) / 15, threshold=0.5, present=number % 2 == 0)
        for number, name in enumerate(FINDINGS)
    ),
    labels_from="predicted",
    log_probability=-3.0,
)


def dicom(number: int = 1, **changes: object) -> bytes:
    """A DICOM image of an invented patient, without pixels."""
    header = pydicom.Dataset()
    header.SpecificCharacterSet = "ISO_IR 100"
    header.SOPClassUID, header.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1", f"1.2.3.4.{number}"
    header.StudyInstanceUID, header.SeriesInstanceUID = "1.2.3", f"1.2.3.{number}"
    header.PatientID, header.PatientName, header.PatientSex = "P 1", "Müller^Jürgen", "M"
    header.PatientBirthDate, header.StudyDate, header.StudyTime = "19500102", "20200304", "101112.5"
    header.AccessionNumber, header.StudyID, header.ReferringPhysicianName = "A1", "S1", ""
    for keyword, value in changes.items():
        setattr(header, keyword, value)
    header.file_meta = pydicom.dataset.FileMetaDataset()
    header.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    stream = io.BytesIO()
    header.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def make(*sources: bytes | Path, report: Report = REPORT) -> bytes:
    return structured_report(report, sources, model_name="chest model", checkpoint_hash="0123456789abcdef")


def read(content: bytes) -> pydicom.Dataset:
    return pydicom.dcmread(io.BytesIO(content))


def items(content: bytes, kind: str) -> list[pydicom.Dataset]:
    def walk(item: pydicom.Dataset) -> list[pydicom.Dataset]:
        return [item, *(deeper for child in item.get("ContentSequence", ()) for deeper in walk(child))]

    return [item for item in walk(read(content)) if item.ValueType == kind]


def test_says_who_wrote_what_about_whom_and_that_it_is_a_draft() -> None:
    from highdicom.sr import EnhancedSR

    content = make(dicom(1), dicom(2))
    document = EnhancedSR.from_dataset(read(content))
    assert (document.CompletionFlag, document.VerificationFlag) == ("PARTIAL", "UNVERIFIED")
    assert document.PreliminaryFlag == "PRELIMINARY"
    assert document.SpecificCharacterSet == "ISO_IR 192"
    assert document.PatientName == "Müller^Jürgen"
    assert (document.PatientID, document.PatientBirthDate, document.PatientSex) == ("P 1", "19500102", "M")
    assert (document.StudyInstanceUID, document.StudyDate, document.StudyTime) == ("1.2.3", "20200304", "101112.5")
    texts = [item.TextValue for item in items(content, "TEXT")]
    assert NOTICE in texts
    assert "chest model" in texts
    assert "0123456789abcdef" in texts
    assert "The heart is of normal size, 12 µm – naïve.\r\nA second line." in texts
    assert "No effusion." in texts
    images = [item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for item in items(content, "IMAGE")]
    assert images == ["1.2.3.4.1", "1.2.3.4.2"]
    assert {uids[2] for uids in document.get_evidence()} == set(images)


def test_holds_each_finding_with_probability_threshold_and_presence() -> None:
    content = make()
    numbers = {
        item.ConceptNameCodeSequence[0].CodeMeaning.removeprefix("Probability of "): item
        for item in items(content, "NUM")
        if "ContentSequence" in item
    }
    assert list(numbers) == list(FINDINGS)
    for finding in REPORT.findings:
        item = numbers[finding.name]
        assert float(item.MeasuredValueSequence[0].NumericValue) == pytest.approx(finding.probability, abs=1e-4)
        threshold, present = item.ContentSequence
        assert float(threshold.MeasuredValueSequence[0].NumericValue) == 0.5
        assert (present.ConceptCodeSequence[0].CodeMeaning == "Yes") == finding.present
    codes = {item.ConceptNameCodeSequence[0].CodeValue for item in numbers.values()}
    assert len(codes) == len(FINDINGS)


def test_a_study_without_dicom_has_no_patient_and_refers_to_nothing() -> None:
    first, second = read(make()), read(make(b"\x89PNG\r\n\x1a\n"))
    assert not first.PatientName
    assert not first.PatientID
    assert "CurrentRequestedProcedureEvidenceSequence" not in first
    assert not items(make(), "IMAGE")
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        assert first[keyword].value != second[keyword].value


def test_the_warning_of_the_gate_is_beside_the_notice() -> None:
    warned = replace(REPORT, gate=(GateScore(score=0.5, threshold=1.0), GateScore(score=1.5, threshold=1.0)))
    assert Report.from_record(warned.answer(model="m")).gate == warned.gate
    texts = [item.TextValue for item in items(make(dicom(1), dicom(2), report=warned), "TEXT")]
    assert texts[texts.index(NOTICE) + 1] == f"Image 2: {WARNING}"


def test_an_image_given_twice_is_referenced_once() -> None:
    assert len(items(make(dicom(), dicom()), "IMAGE")) == 1


@pytest.mark.parametrize(
    "changes",
    [{"StudyInstanceUID": "1.2.9"}, {"PatientID": "P 2"}, {"PatientBirthDate": "19600102"}, {"PatientSex": "F"}],
)
def test_images_of_several_studies_or_patients_are_refused(changes: dict[str, str]) -> None:
    with pytest.raises(InputError, match=r"image 2: .*image 1") as refused:
        make(dicom(1), dicom(2, **changes))
    assert "P 2" not in str(refused.value)
    assert "Müller" not in str(refused.value)


def test_an_image_without_its_identifiers_is_refused() -> None:
    with pytest.raises(InputError, match="identifiers"):
        make(dicom(SeriesInstanceUID=""))


@pytest.mark.filterwarnings("ignore:.*:UserWarning")
def test_malformed_values_are_left_empty(caplog: pytest.LogCaptureFixture) -> None:
    document = read(
        make(
            dicom(
                PatientSex="MALE",
                PatientBirthDate="2nd May",
                StudyTime="99",
                AccessionNumber="number\x1b of \x07",
                PatientName="a lonely name",
            )
        )
    )
    assert not document.PatientSex
    assert not document.PatientBirthDate
    assert not document.StudyTime
    assert not document.AccessionNumber
    assert "lonely" in str(document.PatientName)
    assert "lonely" not in caplog.text


@pytest.mark.filterwarnings("ignore:.*:UserWarning")
@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("AccessionNumber", "HOSPITAL-2024-000017-3"),
        ("AccessionNumber", "A1\\A2"),
        ("StudyID", "study 1 of 17 studies"),
        ("PatientID", 65 * "7"),
        ("IssuerOfPatientID", 65 * "h"),
        ("PatientName", 65 * "n"),
    ],
)
def test_values_that_are_too_long_are_left_empty_and_never_cut(keyword: str, value: str) -> None:
    assert not read(make(dicom(**{keyword: value}))).get(keyword)
    assert read(make(dicom(**{keyword: value[:12]}))).get(keyword) == value[:12].replace("\\", "/") or "\\" in value


def test_images_without_a_dicom_reference_are_named() -> None:
    def notes(*sources: bytes) -> list[str]:
        return [text.TextValue for text in items(make(*sources), "TEXT") if "no DICOM reference" in text.TextValue]

    plain = b"\x89PNG\r\n\x1a\n"
    assert notes(dicom()) == notes() == []
    assert notes(dicom(), plain) == ["1 of 2 images has no DICOM reference: image 2 of the study as given"]
    assert notes(plain, dicom(), plain)[0].startswith("2 of 3 images have no DICOM reference: images 1, 3")
    assert notes(plain)[0].startswith("1 of 1 images has no DICOM reference")


def test_order_numbers_that_contradict_each_other_are_left_empty() -> None:
    document = read(make(dicom(1), dicom(2, AccessionNumber="A2")))
    assert not document.AccessionNumber
    assert document.PatientID == "P 1"


def test_text_for_dicom_has_no_control_characters() -> None:
    assert one_line("a\\b\x00\n c" + 80 * "d", 10) == "a/b cddddd"
    assert paragraphs("\x00one\r\ntwo\n\n\n\x1b \nthree\ud800") == ["one\r\ntwo", "three"]
    assert [item.TextValue for item in items(make(report=_without_text()), "TEXT")][-1] == "No text was written."


def _without_text() -> Report:
    return Report(id="empty", text=" \n", findings=(), labels_from="all", log_probability=0.0)


def _checked(tool: str, *options: str, content: bytes, folder: Path) -> str:
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed (Debian: dcmtk, dicom3tools)")
    path = folder / "report.dcm"
    path.write_bytes(content)
    done = subprocess.run([tool, *options, str(path)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("count", [0, 1, 3])
def test_other_tools_find_no_error(count: int, tmp_path: Path) -> None:
    content = make(*(dicom(number) for number in range(1, count + 1)))
    output = _checked("dciodvfy", content=content, folder=tmp_path)
    assert "EnhancedSR" in output
    assert "Error" not in output
    # What we can avoid; a private coding scheme is unknown to all, and unnamed studies cannot be listed.
    warnings = [line for line in output.splitlines() if line.startswith("Warning")]
    assert not [line for line in warnings if "99XPRONET" not in line and "DICOMDIR" not in line]
    shown = _checked("dsrdump", content=content, folder=tmp_path)
    assert "PARTIAL" in shown
    assert "UNVERIFIED" in shown


@pytest.mark.parametrize("name", ["RG1_UNCI.dcm", "RG1_J2KI.dcm", "RG3_J2KI.dcm", "chest_jpeg_baseline.dcm"])
def test_public_images_give_reports_without_error(name: str, shared: Path, tmp_path: Path) -> None:
    path = shared / "data" / "dicom" / name
    content = make(path)
    assert read(content).PatientName == pydicom.dcmread(path, stop_before_pixels=True).PatientName
    assert "Error" not in _checked("dciodvfy", content=content, folder=tmp_path)
    assert "Enhanced SR" in _checked("dsrdump", content=content, folder=tmp_path)


def test_the_command_writes_one_and_never_over_a_file(
    tiny_run: Path, view_files: list[list[Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "report.dcm"
    command = ["report", str(tiny_run), *map(str, view_files[1]), "--sr", str(target)]
    assert run_command(command) == 0
    first = target.read_bytes()
    assert read(first).ManufacturerModelName == tiny_run.name
    assert run_command(command) == 2
    assert "already exists" in capsys.readouterr().err
    assert target.read_bytes() == first


def test_the_command_refuses_mixed_patients_before_it_writes(
    tiny_run: Path, shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = [shared / "data" / "dicom" / name for name in ("RG1_J2KI.dcm", "chest_jpeg_baseline.dcm")]
    target = tmp_path / "report.dcm"
    assert run_command(["report", str(tiny_run), *map(str, images), "--sr", str(target)]) == 2
    assert "another study" in capsys.readouterr().err
    assert not target.exists()


def test_images_may_be_files(tmp_path: Path) -> None:
    path = tmp_path / "image.dcm"
    path.write_bytes(dicom())
    images = [item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for item in items(make(path, dicom(2)), "IMAGE")]
    assert images == ["1.2.3.4.1", "1.2.3.4.2"]
