"""Structured reports: read back by pydicom and highdicom, and checked by the tools of dcmtk and dicom3tools."""

import io
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xpronet.cli import run as run_command
from xpronet.dicom_output.described_model import DescribedModel
from xpronet.dicom_output.edited_text import EditedText
from xpronet.dicom_output.finding_codes import FINDING_CODES
from xpronet.dicom_output.plain_text import one_line, paragraphs
from xpronet.dicom_output.report_content import EDITED, EDITED_BY_NOBODY, NOTICE
from xpronet.dicom_output.structured_report import structured_report
from xpronet.errors import InputError
from xpronet.generation.report import FindingScore, GateScore, Report
from xpronet.images.transforms import ImageSettings
from xpronet.labels.findings import FINDINGS
from xpronet.model.out_of_distribution import WARNING

pydicom = pytest.importorskip("pydicom")
pytest.importorskip("highdicom")

REGIONS = np.zeros((2, 7, 7))
REGIONS[0, 1, 2:4] = 1.0
REGIONS[1, 5, 5] = 0.9

REPORT = Report(
    id="study",
    text="The heart is of normal size, 12 µm – naïve.\nA second line.\n\nNo effusion.\x00\x1b",
    findings=tuple(
        FindingScore(name=name, probability=(number + 1) / 15, threshold=0.5, present=number % 2 == 0, regions=REGIONS)
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
    header.BodyPartExamined, header.Modality = "CHEST", "CR"
    header.Rows, header.Columns, header.SamplesPerPixel = 700, 1400, 1
    header.PhotometricInterpretation = "MONOCHROME2"
    header.AccessionNumber, header.StudyID, header.ReferringPhysicianName = "A1", "S1", ""
    for keyword, value in changes.items():
        setattr(header, keyword, value)
    header.file_meta = pydicom.dataset.FileMetaDataset()
    header.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    stream = io.BytesIO()
    header.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


MODEL = DescribedModel(fingerprint="0123456789abcdef", parameters=("search: beams 3",))
IMAGES = ImageSettings()


def make(*sources: bytes | Path, report: Report = REPORT, **about: Any) -> bytes:
    return structured_report(report, sources, **({"model": MODEL, "images": IMAGES} | about))


def read(content: bytes) -> pydicom.Dataset:
    return pydicom.dcmread(io.BytesIO(content))


def items(content: bytes, kind: str) -> list[pydicom.Dataset]:
    def walk(item: pydicom.Dataset) -> list[pydicom.Dataset]:
        return [item, *(deeper for child in item.get("ContentSequence", ()) for deeper in walk(child))]

    return [item for item in walk(read(content)) if item.ValueType == kind]


def named(content: bytes, kind: str, code: str) -> list[pydicom.Dataset]:
    return [item for item in items(content, kind) if item.ConceptNameCodeSequence[0].CodeValue == code]


def library(content: bytes) -> list[str]:
    entries = [item for item in items(content, "IMAGE") if item.RelationshipType == "CONTAINS"]
    return [item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for item in entries]


def test_says_who_wrote_what_about_whom_and_that_it_is_a_draft() -> None:
    from highdicom.sr import Comprehensive3DSR

    content = make(dicom(1), dicom(2))
    document = Comprehensive3DSR.from_dataset(read(content))
    assert (document.CompletionFlag, document.VerificationFlag) == ("PARTIAL", "UNVERIFIED")
    assert document.PreliminaryFlag == "PRELIMINARY"
    assert document.SpecificCharacterSet == "ISO_IR 192"
    assert document.PatientName == "Müller^Jürgen"
    assert (document.PatientID, document.PatientBirthDate, document.PatientSex) == ("P 1", "19500102", "M")
    assert (document.StudyInstanceUID, document.StudyDate, document.StudyTime) == ("1.2.3", "20200304", "101112.5")
    assert document.ContentTemplateSequence[0].TemplateIdentifier == "1500"
    assert named(content, "CODE", "121049")[0].ConceptCodeSequence[0].CodeValue == "en"
    assert [item.TextValue for item in named(content, "TEXT", "121106")] == [NOTICE, *MODEL.origin.lines()]
    texts = [item.TextValue for item in named(content, "TEXT", "121071")]
    assert texts == ["The heart is of normal size, 12 µm – naïve.\r\nA second line.", "No effusion."]
    images = library(content)
    assert images == ["1.2.3.4.1", "1.2.3.4.2"]
    assert {uids[2] for uids in document.get_evidence()} == set(images)


def test_the_algorithm_is_the_model_and_not_its_folder() -> None:
    content = make(dicom())
    assert [item.TextValue for item in named(content, "TEXT", "111001")] == [MODEL.name]
    [version] = [item.TextValue for item in named(content, "TEXT", "111003")]
    assert version.endswith("checkpoint 0123456789abcdef")
    assert [item.TextValue for item in named(content, "TEXT", "111002")] == ["search: beams 3"]
    document = read(content)
    assert (document.ManufacturerModelName, document.DeviceSerialNumber) == (MODEL.name, MODEL.fingerprint)


def test_holds_each_finding_with_probability_threshold_and_presence() -> None:
    content = make(dicom(1), dicom(2))
    probabilities = {
        item.ContentSequence[0].ConceptCodeSequence[0].CodeValue: item for item in named(content, "NUM", "122157")
    }
    thresholds = named(content, "NUM", "122411")
    assert len(probabilities) == len(thresholds) == len(FINDINGS)
    for finding in REPORT.findings:
        code = FINDING_CODES[finding.name].value
        [measured] = probabilities[code].MeasuredValueSequence
        assert float(measured.NumericValue) == pytest.approx(finding.probability, abs=1e-4)
        [presence] = [item.ConceptCodeSequence[0].CodeMeaning for item in named(content, "CODE", code)]
        assert presence == ("Present" if finding.present else "Absent")
    assert {float(item.MeasuredValueSequence[0].NumericValue) for item in thresholds} == {0.5}


def test_an_absent_finding_is_never_written_as_a_finding_by_itself() -> None:
    alone = [item for item in named(make(dicom()), "CODE", "121071") if item.RelationshipType == "CONTAINS"]
    present = {FINDING_CODES[finding.name].value for finding in REPORT.findings if finding.present}
    assert {item.ConceptCodeSequence[0].CodeValue for item in alone} == present


def test_the_strongest_region_is_on_its_source_image() -> None:
    content = make(dicom(1), dicom(2))
    regions = items(content, "SCOORD")
    assert len(regions) == sum(finding.present for finding in REPORT.findings if finding.name != "No Finding")
    for region in regions:
        assert region.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID == "1.2.3.4.1"
        points = np.array(region.GraphicData).reshape(-1, 2)
        assert (points[0] == points[-1]).all()
        # The square is the middle 612.5 pixels of the 700 x 1400 image, with cells of 87.5.
        (left, top), (right, bottom) = points.min(0), points.max(0)
        assert 393.75 + 2 * 87.5 - 10 < left <= 393.75 + 2 * 87.5 < 393.75 + 4 * 87.5 <= right < 393.75 + 4 * 87.5 + 10
        assert 43.75 + 87.5 - 10 < top <= 43.75 + 87.5 < 43.75 + 2 * 87.5 <= bottom < 43.75 + 2 * 87.5 + 10
    assert not items(make(b"\x89PNG\r\n\x1a\n", dicom(2)), "SCOORD")


def test_a_repeat_is_the_same_document_and_any_difference_another() -> None:
    first = make(dicom(1), dicom(2))
    assert make(dicom(1), dicom(2)) == first
    changed = [
        make(dicom(1), dicom(2), report=replace(REPORT, text="Another.")),
        make(dicom(1)),
        make(dicom(1), dicom(2), model=replace(MODEL, fingerprint="f")),
    ]
    documents = [read(content) for content in (first, *changed)]
    assert len({document.SOPInstanceUID for document in documents}) == 4
    series = [document.SeriesInstanceUID for document in documents]
    assert series[1] == series[0]
    assert len(set(series)) == 3


def test_the_date_is_the_studys_or_given() -> None:
    assert (read(make(dicom())).ContentDate, read(make(dicom())).ContentTime) == ("20200304", "101112")
    given = make(written=datetime(2024, 5, 6, 7, 8, 9))
    assert (read(given).ContentDate, read(given).ContentTime) == ("20240506", "070809")
    assert make(written=datetime(2024, 5, 6, 7, 8, 9)) == given


def test_an_edited_text_names_its_person_and_has_the_draft_as_predecessor() -> None:
    draft = read(make(dicom()))
    edited = EditedText(text="Normal.", person="Doe^Jane", organization="Here", at=datetime(2024, 5, 6))
    content = make(dicom(), edited=edited)
    document = read(content)
    [study] = document.PredecessorDocumentsSequence
    [series] = study.ReferencedSeriesSequence
    assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == draft.SOPInstanceUID != document.SOPInstanceUID
    assert series.SeriesInstanceUID == draft.SeriesInstanceUID
    assert [str(item.PersonName) for item in items(content, "PNAME")] == ["Doe^Jane"]
    assert [item.TextValue for item in named(content, "TEXT", "121071")] == ["Normal."]
    assert EDITED in [item.TextValue for item in named(content, "TEXT", "121106")]
    assert document.ContentDate == "20240506"
    nameless = make(dicom(), edited=EditedText(text="Normal."))
    assert not items(nameless, "PNAME")
    assert EDITED_BY_NOBODY in [item.TextValue for item in named(nameless, "TEXT", "121106")]
    with pytest.raises(InputError, match="Family"):
        EditedText(text="", person="a\\b")


def test_another_body_part_is_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"image 2: not a chest film \(BodyPartExamined is EXTREMITY\)"):
        make(dicom(1), dicom(2, BodyPartExamined="EXTREMITY"))
    assert read(make(dicom(BodyPartExamined="EXTREMITY"), anyway=True)).PatientID == "P 1"
    assert make(dicom(BodyPartExamined="THORAX ABDOMEN"))


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
    assert library(make(dicom(), dicom())) == ["1.2.3.4.1"]


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
    assert [item.TextValue for item in named(make(report=_without_text()), "TEXT", "121071")] == [
        "No text was written."
    ]


def _without_text() -> Report:
    return Report(id="empty", text=" \n", findings=(), labels_from="all", log_probability=0.0)


OPTIONS = "-Djdk.xml.xpathTotalOpLimit=0 -Djdk.xml.xpathExprOpLimit=0 -Djdk.xml.xpathExprGrpLimit=0"
"""What the validator's rules need of Java: they are longer than its limits."""


@pytest.mark.long
@pytest.mark.slow
def test_the_template_has_every_item(tmp_path: Path) -> None:
    if shutil.which("DicomSRValidator") is None:
        pytest.skip("DicomSRValidator is not installed (Debian: pixelmed-apps)")
    path = tmp_path / "report.dcm"
    edited = EditedText(text="Normal.", person="Doe^Jane")
    path.write_bytes(make(dicom(1), dicom(2), b"\x89PNG\r\n\x1a\n", edited=edited))
    done = subprocess.run(
        ["DicomSRValidator", str(path)],
        capture_output=True,
        text=True,
        timeout=540,
        check=True,
        env=os.environ | {"JAVA_TOOL_OPTIONS": OPTIONS},
    )
    assert "Found Root Template TID_1500" in done.stdout
    assert "Root Template Validation Complete" in done.stdout
    assert not [line for line in done.stdout.splitlines() if line.startswith(("Error", "Warning"))]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_other_tools_find_no_error(count: int, checked: Callable[..., str]) -> None:
    content = make(*(dicom(number) for number in range(1, count + 1)))
    output = checked("dciodvfy", content=content)
    assert "Comprehensive3DSR" in output
    assert "Error" not in output
    # What we can avoid; a private coding scheme is unknown to all, and unnamed studies cannot be listed.
    warnings = [line for line in output.splitlines() if line.startswith("Warning")]
    assert not [line for line in warnings if "99XPRONET" not in line and "DICOMDIR" not in line]
    shown = checked("dsrdump", content=content)
    assert "PARTIAL" in shown
    assert "UNVERIFIED" in shown


@pytest.mark.parametrize("name", ["RG1_UNCI.dcm", "RG1_J2KI.dcm", "RG3_J2KI.dcm", "chest_jpeg_baseline.dcm"])
def test_public_images_give_reports_without_error(name: str, shared: Path, checked: Callable[..., str]) -> None:
    path = shared / "data" / "dicom" / name
    content = make(path, anyway=name.startswith("RG3"))
    assert read(content).PatientName == pydicom.dcmread(path, stop_before_pixels=True).PatientName
    assert "Error" not in checked("dciodvfy", content=content)
    assert "Comprehensive 3D SR" in checked("dsrdump", content=content)


def test_the_command_writes_all_three_and_never_over_a_file(
    tiny_run: Path, shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = shared / "data" / "dicom" / "RG1_UNCI.dcm"
    targets = {option: tmp_path / f"{option}.dcm" for option in ("--sr", "--presentation-state", "--dicom-pdf")}
    command = ["report", str(tiny_run), str(image), *(str(word) for pair in targets.items() for word in pair)]
    assert run_command(command) == 0
    first = {option: path.read_bytes() for option, path in targets.items()}
    assert [read(content).Modality for content in first.values()] == ["SR", "PR", "DOC"]
    assert read(first["--sr"]).ManufacturerModelName == "XProNet report model"
    assert run_command(command) == 2
    assert "already exists" in capsys.readouterr().err
    assert run_command([*command, "--overwrite"]) == 0
    assert {option: path.read_bytes() for option, path in targets.items()} == first


def test_the_command_refuses_a_tibia(
    tiny_run: Path, shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["report", str(tiny_run), str(shared / "data" / "dicom" / "RG3_J2KI.dcm"), "--sr", str(tmp_path / "sr")]
    assert run_command(command) == 2
    assert "RG3_J2KI.dcm: not a chest film (BodyPartExamined is EXTREMITY)" in capsys.readouterr().err
    assert not (tmp_path / "sr").exists()
    assert run_command([*command, "--anyway"]) == 0
    assert "not a chest film" in capsys.readouterr().err


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
    assert library(make(path, dicom(2))) == ["1.2.3.4.1", "1.2.3.4.2"]
