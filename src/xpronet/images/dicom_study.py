"""Whose image a DICOM file is: patient, study and identifiers, and whether several files belong together."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from pathlib import Path
from typing import Any

from xpronet.errors import InputError
from xpronet.images.dicom import read_header, refusing_damage

TEXT_LENGTHS = {
    "PatientID": 64,
    "IssuerOfPatientID": 64,
    "StudyDescription": 64,
    "StudyID": 16,
    "AccessionNumber": 16,
}
"""Text elements of patient and study, with the longest value that their representations (LO, SH) allow."""
NAMES = ("PatientName", "ReferringPhysicianName")
NAME_LENGTH = 64
"""Longest component group of a person's name (PN)."""
DATES = ("PatientBirthDate", "StudyDate")
TIME = re.compile(r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?)?)?")
SEXES = ("M", "F", "O")
UIDS = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
PATIENT_AND_STUDY = (*TEXT_LENGTHS, *NAMES, *DATES, "StudyTime", "PatientSex")
"""What a document about a study takes over from its images."""
ELEMENTS = (*UIDS, *PATIENT_AND_STUDY, "BodyPartExamined")
CHEST_PARTS = (
    "CHEST",
    "THORA",
    "TORA",
    "LUNG",
    "PULMO",
    "HEART",
    "RIB",
    "STERNUM",
    "CLAVICLE",
    "MEDIASTIN",
    "WHOLEBODY",
)
"""What names of body parts hold that a chest film may have: CHESTABDOMEN, T_CHEST_PA, TORAX and the like."""
UNSAID_PARTS = ("", "UNKNOWN", "OTHER", "NONE", "DEFAULT", "BODY", "TRUNK", "UNSPECIFIED")
"""Body parts that say nothing against a chest film."""


@dataclass(frozen=True, kw_only=True)
class DicomImage:
    """What the header of a DICOM image says about its patient, its study and itself."""

    name: str
    """What messages call the file."""
    elements: dict[str, str]
    """By keyword, as the header has them but for padding, and never cut: empty where absent."""

    def valid(self, keyword: str) -> str:
        """Return an element of patient or study that keeps to its value representation; empty where it does not."""
        value = self.elements[keyword]
        return value if _is_valid(keyword, value) else ""


def read_dicom_image(source: bytes | str | Path, name: str = "") -> DicomImage | None:
    """Read the header of an image; None where it is not a DICOM file.

    Args:
        source: the file or its bytes.
        name: what messages call it; by default the file's name.

    Raises:
        InputError: the file is missing or damaged.
    """
    name = name or ("image" if isinstance(source, bytes) else str(source))
    header = read_header(source if isinstance(source, bytes) else Path(source), name)
    if header is None:
        return None
    with refusing_damage(name):
        elements = {keyword: _text(header, keyword) for keyword in ELEMENTS}
    return DicomImage(name=name, elements=elements)


def check_same_study(images: Sequence[DicomImage | None], names: Sequence[str]) -> tuple[str, ...]:
    """Make sure that images belong to one study of one patient, as far as their headers say.

    Values are compared whole, before anything is cut to a length; what one header lacks is no contradiction. Messages
    name elements, never their values: those are patient data.

    Args:
        images: as `read_dicom_image` returns them.
        names: what warnings call each image.

    Returns:
        Warnings about what the headers leave open, a line each.

    Raises:
        InputError: two images are of different patients or studies.
    """
    warnings = []
    for first, second in combinations([image for image in images if image is not None], 2):
        _check_study(first, second)
        warnings += _check_patient(first, second)
    unknown = [name for name, image in zip(names, images, strict=True) if image is None]
    if unknown and len(unknown) < len(images):
        warnings.append(
            f"{', '.join(unknown)}: not DICOM, so nothing says that it is of the same patient and study as the others"
        )
    return tuple(dict.fromkeys(warnings))


def other_body_part(image: DicomImage) -> str:
    """Return the body part in an image's header where it is not the chest; empty where it is, or is not said."""
    part = re.sub(r"[^A-Z0-9 _-]", "", image.elements["BodyPartExamined"].upper())[:16]
    letters = re.sub(r"[^A-Z]", "", part)
    return "" if letters in UNSAID_PARTS or any(name in letters for name in CHEST_PARTS) else part


def check_body_parts(
    images: Sequence[DicomImage | None], names: Sequence[str], *, anyway: bool = False
) -> tuple[str, ...]:
    """Refuse images whose headers name another body part than the chest.

    Args:
        images: as `read_dicom_image` returns them.
        names: what messages call each image.
        anyway: warn instead.

    Returns:
        Warnings, a line for each such image.

    Raises:
        InputError: an image is of another body part, and `anyway` is false.
    """
    warnings = []
    for image, name in zip(images, names, strict=True):
        part = "" if image is None else other_body_part(image)
        if part and not anyway:
            raise InputError(
                f"{name}: not a chest film (BodyPartExamined is {part}); give chest films, or add --anyway"
            )
        if part:
            warnings.append(f"{name}: not a chest film by its header (BodyPartExamined is {part})")
    return tuple(warnings)


def is_uid(value: str) -> bool:
    """Tell whether a value is a unique identifier (DICOM part 5, section 9.1)."""
    return re.fullmatch(r"(?=.{1,64}$)[0-2](\.(0|[1-9]\d*))+", value) is not None


def is_person_name(value: str) -> bool:
    """Tell whether a value is a person's name as DICOM has it (PN): Family^Given^Middle^Prefix^Suffix."""
    groups = value.split("=")
    plain = "\\" not in value and not any(is_control(character) for character in value)
    return plain and len(groups) <= 3 and all(len(g) <= NAME_LENGTH and g.count("^") <= 4 for g in groups)


def is_control(character: str) -> bool:
    """Tell whether a character has no place in a DICOM text: control characters and lone surrogates."""
    return unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")


def _text(header: Any, keyword: str) -> str:
    value = header.get(keyword)
    if value is None:
        return ""
    several = isinstance(value, Sequence) and not isinstance(value, str)
    return ("\\".join(map(str, value)) if several else str(value)).strip(" \0")


def _is_valid(keyword: str, value: str) -> bool:
    if any(is_control(character) for character in value) or "\\" in value:
        return False
    if keyword in TEXT_LENGTHS:
        return len(value) <= TEXT_LENGTHS[keyword]
    if keyword in NAMES:
        return is_person_name(value)
    if keyword in DATES:
        return _is_date(value)
    return TIME.fullmatch(value) is not None if keyword == "StudyTime" else value in SEXES


def _is_date(value: str) -> bool:
    try:
        return datetime.strptime(value, "%Y%m%d").strftime("%Y%m%d") == value
    except ValueError:
        return False


def _check_study(first: DicomImage, second: DicomImage) -> None:
    # A study has one UID; without it the number of the order tells studies apart.
    keyword = "StudyInstanceUID" if _both(first, second, "StudyInstanceUID") else "AccessionNumber"
    if _both(first, second, keyword) and first.elements[keyword] != second.elements[keyword]:
        raise InputError(
            f"{second.name}: of another study than {first.name} ({keyword} differs); give the images of one study"
        )


def _check_patient(first: DicomImage, second: DicomImage) -> list[str]:
    """Refuse two patients; return a warning where one patient has two names."""
    for keyword in ("PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex"):
        # A date or sex in a form of its own ("male") cannot be compared.
        comparable = keyword in TEXT_LENGTHS or (first.valid(keyword) and second.valid(keyword))
        if comparable and _both(first, second, keyword) and first.elements[keyword] != second.elements[keyword]:
            raise _other_patient(first, second, keyword)
    words, others = (_name_words(image.elements["PatientName"]) for image in (first, second))
    if not words or not others or words <= others or others <= words:
        return []
    if not _both(first, second, "PatientID"):
        raise _other_patient(first, second, "PatientName")
    return [f"{first.name} and {second.name}: the same PatientID but different names; make sure they are one patient's"]


def _other_patient(first: DicomImage, second: DicomImage, keyword: str) -> InputError:
    return InputError(
        f"{second.name}: of another patient than {first.name} ({keyword} differs); give the images of one patient"
    )


def _both(first: DicomImage, second: DicomImage, keyword: str) -> bool:
    return bool(first.elements[keyword] and second.elements[keyword])


def _name_words(name: str) -> frozenset[str]:
    """Return the words of a name without case and accents, of its alphabetic group alone: spellings of a name vary."""
    plain = unicodedata.normalize("NFKD", name.partition("=")[0]).casefold()
    return frozenset(re.findall(r"\w+", "".join(letter for letter in plain if not unicodedata.combining(letter))))
