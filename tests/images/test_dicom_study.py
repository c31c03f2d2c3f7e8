"""Whether images belong to one patient and study, by their headers."""

import io
from pathlib import Path

import pytest

from xpronet.errors import InputError
from xpronet.images.dicom_study import check_body_parts, check_same_study, read_dicom_image

pydicom = pytest.importorskip("pydicom")

pytestmark = pytest.mark.filterwarnings("ignore:.*:UserWarning")


def dicom(**elements: str) -> bytes:
    header = pydicom.Dataset()
    for keyword, value in {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.1",
        "SOPInstanceUID": "1.2.3.4",
        "StudyInstanceUID": "1.2.3",
        "PatientID": "P1",
        "PatientName": "Doe^Jane",
        "PatientBirthDate": "19500102",
        "PatientSex": "F",
        **elements,
    }.items():
        setattr(header, keyword, value)
    header.file_meta = pydicom.dataset.FileMetaDataset()
    header.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    stream = io.BytesIO()
    header.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def check(*contents: bytes) -> tuple[str, ...]:
    images = [read_dicom_image(content, f"image {number}") for number, content in enumerate(contents, 1)]
    return check_same_study(images, [f"view {number}" for number, _ in enumerate(contents, 1)])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({}, {"PatientID": "P2"}),
        ({}, {"StudyInstanceUID": "1.2.4"}),
        ({}, {"PatientBirthDate": "19500103"}),
        ({}, {"PatientSex": "M"}),
        ({"PatientID": 70 * "7" + "1"}, {"PatientID": 70 * "7" + "2"}),
        ({"IssuerOfPatientID": "A"}, {"IssuerOfPatientID": "B"}),
        ({"PatientID": ""}, {"PatientID": "", "PatientName": "Roe^Richard"}),
        (
            {"StudyInstanceUID": "", "AccessionNumber": "HOSP-2024-0000001-77"},
            {"AccessionNumber": "HOSP-2024-0000001-78"},
        ),
    ],
)
def test_two_patients_or_studies_are_refused_without_naming_them(first: dict[str, str], second: dict[str, str]) -> None:
    with pytest.raises(InputError, match=r"image 2: of another (patient|study) than image 1") as refused:
        check(dicom(**first), dicom(**second))
    assert not any(value in str(refused.value) for value in {**first, **second}.values() if len(value) > 1)
    with pytest.raises(InputError, match=r"image 3: .* image 1"):
        check(dicom(**first), b"\x89PNG", dicom(**second))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"PatientID": "P1 "},
        {"PatientID": ""},
        {"StudyInstanceUID": ""},
        {"PatientSex": "female"},
        {"PatientBirthDate": "1950"},
        {"PatientName": "DOE^JANE^A"},
        {"AccessionNumber": "2"},
    ],
)
def test_what_a_header_lacks_or_spells_in_another_way_is_no_contradiction(changes: dict[str, str]) -> None:
    assert check(dicom(), dicom(**changes)) == ()


def test_two_names_of_one_identifier_are_a_warning() -> None:
    [warning] = check(dicom(), dicom(PatientName="Roe^Richard"))
    assert "different names" in warning
    assert "Roe" not in warning


def test_images_that_are_not_dicom_are_a_warning_beside_those_that_are() -> None:
    [warning] = check(dicom(), b"\x89PNG", b"\xff\xd8\xff")
    assert warning.startswith("view 2, view 3: not DICOM")
    assert check(b"\x89PNG", b"\xff\xd8\xff") == check(dicom()) == ()


def test_messages_name_files_as_given(tmp_path: Path) -> None:
    paths = [tmp_path / "a.dcm", tmp_path / "b.dcm"]
    for path, patient in zip(paths, ("P1", "P2"), strict=True):
        path.write_bytes(dicom(PatientID=patient))
    with pytest.raises(InputError, match=r"b\.dcm: of another patient than .*a\.dcm"):
        check_same_study([read_dicom_image(path) for path in paths], ["a", "b"])


@pytest.mark.parametrize("part", ["CHEST", "Chest", "", "THORAX ABDOMEN", "T_CHEST_PA", "TORAX", "RIBS", "UNKNOWN"])
def test_films_that_may_be_of_the_chest_are_taken(part: str) -> None:
    image = read_dicom_image(dicom(BodyPartExamined=part))
    assert check_body_parts([image, None], ["a.dcm", "b.png"]) == ()


@pytest.mark.parametrize("part", ["EXTREMITY", "ABDOMEN", "SKULL", "T SPINE"])
def test_another_body_part_is_refused_by_name_or_warned_of(part: str) -> None:
    image = read_dicom_image(dicom(BodyPartExamined=part))
    with pytest.raises(InputError, match=f"a.dcm: not a chest film .BodyPartExamined is {part}.*--anyway"):
        check_body_parts([image], ["a.dcm"])
    [warning] = check_body_parts([image], ["a.dcm"], anyway=True)
    assert part in warning
