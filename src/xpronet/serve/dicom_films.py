"""What a study's DICOM films say of patient, study and themselves, cleaned so that it can be written again."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from xpronet.errors import InputError
from xpronet.images.dicom import read_header, refusing_damage

TEXTS = {
    "PatientID": 64,
    "IssuerOfPatientID": 64,
    "StudyDescription": 64,
    "StudyID": 16,
    "AccessionNumber": 16,
}
"""Texts taken over, with the most characters that their value representations (LO, SH) allow."""
NAMES = ("PatientName", "ReferringPhysicianName")
LONGEST_NAME = 64
"""Characters in each component group of a person's name."""
DATES = ("PatientBirthDate", "StudyDate")
TIME = re.compile(r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?)?)?")
IDENTIFIER = re.compile(r"(?=.{1,64}$)[0-2](\.(0|[1-9]\d*))+")
"""A UID."""


@dataclass(frozen=True, kw_only=True)
class Film:
    """One DICOM film."""

    kind: str
    """SOP Class UID."""
    instance: str
    """SOP Instance UID."""
    series: str
    """Series Instance UID."""
    study: str
    """Study Instance UID."""
    identity: dict[str, str]
    """Patient and study by DICOM keyword; what was missing or malformed is empty."""


def read_films(sources: Sequence[bytes | Path]) -> list[Film]:
    """Read the headers of a study's DICOM films, each film once; other images are passed over.

    Raises:
        InputError: a film is damaged or lacks its identifiers, or they are of several studies or patients.
    """
    films: dict[str, Film] = {}
    first = ""
    for number, source in enumerate(sources, 1):
        name = str(source) if isinstance(source, Path) else f"film {number}"
        header = read_header(source, name)
        if header is None:
            continue
        film = _film(header, name)
        if films:
            _check_same(next(iter(films.values())), film, first, name)
        first = first or name
        films.setdefault(film.instance, film)
    return list(films.values())


def one_line(text: str, longest: int) -> str:
    """Return text for a short DICOM value: no control characters, no backslash (it parts values), not too long."""
    plain = "".join(" " if _is_control(character) else character for character in text.replace("\\", "/"))
    return " ".join(plain.split())[:longest].strip()


def paragraphs(text: str) -> list[str]:
    """Return the paragraphs of a text for DICOM: without control characters, lines parted as DICOM parts them."""
    lines = ["".join(c for c in line if c == "\t" or not _is_control(c)).rstrip() for line in text.splitlines()]
    blocks = "\n".join(lines).split("\n\n")
    return [block.strip("\n").replace("\n", "\r\n") for block in blocks if block.strip()]


def _is_control(character: str) -> bool:
    # Cs: halves of characters, which UTF-8 cannot write.
    return unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")


def _film(header: Any, name: str) -> Film:
    with refusing_damage(name):
        uids = [
            str(header.get(keyword) or "")
            for keyword in ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
        ]
        identity = {keyword: one_line(_text(header, keyword), longest) for keyword, longest in TEXTS.items()}
        identity |= {keyword: _name(_text(header, keyword)) for keyword in NAMES}
        identity |= {keyword: _date(_text(header, keyword)) for keyword in DATES}
        time, sex = _text(header, "StudyTime").strip(), _text(header, "PatientSex").strip()
    identity["StudyTime"] = time if TIME.fullmatch(time) else ""
    identity["PatientSex"] = sex if sex in ("M", "F", "O") else ""
    if not all(IDENTIFIER.fullmatch(uid) for uid in uids):
        raise InputError(
            f"{name}: a DICOM film without proper identifiers (UIDs) cannot be referred to; export it again"
        )
    kind, instance, series, study = uids
    return Film(kind=kind, instance=instance, series=series, study=study, identity=identity)


def _text(header: Any, keyword: str) -> str:
    value = header.get(keyword)
    if value is None:
        return ""
    several = isinstance(value, Sequence) and not isinstance(value, str)  # a stray backslash, mostly
    return "/".join(map(str, value)) if several else str(value)


def _name(text: str) -> str:
    """Return a person's name: at most three groups (letters, ideographs, sounds) of at most five components."""
    groups = [one_line("^".join(group.split("^")[:5]), LONGEST_NAME) for group in text.split("=")[:3]]
    return "=".join(groups).rstrip("=")


def _date(text: str) -> str:
    try:
        return datetime.strptime(text.strip(), "%Y%m%d").strftime("%Y%m%d")
    except ValueError:
        return ""


def _check_same(first: Film, film: Film, first_name: str, name: str) -> None:
    if film.study != first.study:
        raise InputError(f"{name}: of another study than {first_name}; give the films of one study")
    # Empty in one of them is no contradiction; the values themselves are not told.
    for keyword in ("PatientID", "PatientBirthDate", "PatientSex"):
        values = {first.identity[keyword], film.identity[keyword]} - {""}
        if len(values) > 1:
            raise InputError(f"{name}: its {keyword} is not that of {first_name}; give the films of one patient")
