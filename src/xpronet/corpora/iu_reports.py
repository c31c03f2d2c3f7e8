"""The reports of the Indiana University collection: Open-i's XML files, or the tables of the Kaggle copy."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from xpronet.corpora.archives import read_files
from xpronet.csv_files import read_rows
from xpronet.errors import InputError
from xpronet.text.sections import is_null

SECTIONS = ("findings", "impression", "indication", "comparison")
TAGS = "mesh"
"""The section that keeps the MeSH terms which the collection's indexers gave, separated by semicolons."""
IMAGE_NAME = re.compile(r"^(?:CXR)?(\d+)_(?:\1_)?(IM-[0-9-]+)$", re.IGNORECASE)
PROJECTION = re.compile(r"\b(?:AP|PA)\b")
OTHER_FILMS = re.compile(r"\b(?:LAT|LATERAL|OBLIQUE|VIEWS|FILMS|IMAGES|TWO|[2-9]|AND|ABDOMEN)\b|;", re.IGNORECASE)
"""Words of a caption beside which its one image need not be the projection it names."""
SUFFIXES = re.compile(r"(?:\.(?:png|jpe?g|dcm|dicom))+$", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class IuReport:
    """One report of the collection."""

    id: str
    """As Open-i has it: CXR1000."""
    sections: dict[str, str]
    """Those that are not empty, by lower-case name, white space collapsed; MeSH terms under "mesh"."""
    images: tuple[str, ...]
    """Names of its images in the order of the XML (see `image_name`)."""
    position: str | None = None
    """PA or AP where its caption settles that for its only image; see `read_position`."""
    where: str
    """The file it was read from."""


def image_name(name: str) -> str | None:
    """Return an image's name, the same in every copy of the collection; None where it is none of the collection's.

    "CXR1000_IM-0003-2001.png", "1000_IM-0003-2001.dcm.png" and "1000_IM-0003-2001.dcm" are all CXR1000_IM-0003-2001.
    """
    found = IMAGE_NAME.match(SUFFIXES.sub("", name))
    return None if found is None else f"CXR{int(found[1])}_{found[2].upper()}"


def read_iu_reports(path: Path) -> tuple[dict[str, IuReport], list[tuple[str, str]]]:
    """Read all reports: an archive or folder of XML files, or Kaggle's indiana_reports.csv and indiana_projections.csv.

    Returns:
        The reports by id, and the files that cannot be read with the reason.

    Raises:
        InputError: nothing can be read there, or two reports have one id.
    """
    if path.suffix.lower() == ".csv":
        return _kaggle_reports(path), []
    if path.is_dir() and not any(path.rglob("*.[xX][mM][lL]")) and (path / "indiana_reports.csv").is_file():
        return _kaggle_reports(path / "indiana_reports.csv"), []
    reports: dict[str, IuReport] = {}
    refused: list[tuple[str, str]] = []
    for name, content in read_files(path, ".xml"):
        try:
            report = parse_report(content, name)
        except InputError as error:
            refused.append((name, str(error)))
            continue
        if report.id in reports:
            raise InputError(f"{path}: {report.id} is in {reports[report.id].where} and in {name}; keep one")
        reports[report.id] = report
    if not reports:
        reason = f"; {refused[0][1]}" if refused else ""
        raise InputError(f"{path}: no reports of the collection (XML files){reason}")
    return reports, refused


def parse_report(content: bytes, name: str) -> IuReport:
    """Read one XML report.

    Raises:
        InputError: it is no XML, declares entities, or is no report of the collection.
    """
    try:
        text = content.decode("utf-8-sig")
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            raise InputError(f"{name}: declares a document type, which the collection's reports never do; not read")
        root = ElementTree.fromstring(text.partition("?>")[2] if text.startswith("<?xml") else text)
    except (UnicodeDecodeError, ElementTree.ParseError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{name}: not XML in UTF-8; fetch the archive again") from None
    identity = root.find("uId")
    study = "" if identity is None else identity.get("id", "")
    if not re.fullmatch(r"CXR\d{1,9}", study):
        raise InputError(f"{name}: no report of the collection (uId is {study[:40]!r}, not CXR and a number)")
    sections: dict[str, str] = {}
    for element in root.iter("AbstractText"):
        heading = element.get("Label", "").lower()
        words = " ".join("".join(element.itertext()).split())
        if heading in SECTIONS and words:
            sections[heading] = f"{sections[heading]} {words}" if heading in sections else words
    tags = [" ".join((tag.text or "").split()) for mesh in root.iter("MeSH") for tag in mesh.iter("major")]
    if any(tags):
        sections[TAGS] = "; ".join(tag for tag in tags if tag)
    named = [element.get("id", "") for element in root.iter("parentImage")]
    images = [image_name(image) for image in named]
    if None in images:
        raise InputError(f"{name}: {named[images.index(None)][:60]!r} is no image of the collection")
    return IuReport(
        id=study,
        sections=sections,
        images=tuple(filter(None, images)),
        position=read_position([element.findtext("caption", "") for element in root.iter("parentImage")]),
        where=name,
    )


def read_position(captions: Sequence[str]) -> str | None:
    """Return the projection of a report's only image, as far as its caption says: PA, AP or None.

    All images of a report carry one caption, "PA and lateral chest" nearly always, and neither it, the file numbers
    nor the order of the XML say which image is which. So a caption is used only where there is one image and it names
    one projection.
    """
    if len(captions) != 1 or OTHER_FILMS.search(captions[0]):
        return None
    named = set(PROJECTION.findall(captions[0]))
    return named.pop() if len(named) == 1 else None


def read_projections(path: Path) -> dict[str, str]:
    """Read which images are frontal or lateral: a CSV with `filename` and `projection`, as the Kaggle copy has.

    An image is known by its name, which begins with the report's number whatever copy it comes from; a column `uid`,
    where there is one, must agree with it.

    Returns:
        View positions in capitals (FRONTAL, LATERAL, or a DICOM position) by `image_name`.

    Raises:
        InputError: the file is missing or lacks the columns.
    """
    positions: dict[str, str] = {}
    for row, where in read_rows(path, ("filename", "projection")):
        name = image_name(row["filename"])
        if name is None:
            raise InputError(f"{where}: {row['filename'][:60]!r} is no image of the collection")
        uid = row.get("uid", "").strip()
        if uid and not name.startswith(f"CXR{uid.lstrip('0')}_"):
            raise InputError(
                f"{where}: {row['filename'][:60]!r} belongs to another uid than {uid[:20]!r}; mend the row"
            )
        position = row["projection"].strip().upper()
        if positions.setdefault(name, position) != position:
            raise InputError(f"{where}: {name} is {positions[name]} in an earlier row and {position} here; keep one")
    return {name: position for name, position in positions.items() if position}


def _kaggle_reports(path: Path) -> dict[str, IuReport]:
    images: dict[str, list[str]] = {}
    for name in sorted(read_projections(path.with_name("indiana_projections.csv"))):
        images.setdefault(name.partition("_")[0], []).append(name)
    reports = {}
    for row, where in read_rows(path, ("uid", *SECTIONS)):
        if not row["uid"].isdecimal() or len(row["uid"]) > 9:
            raise InputError(f"{where}: uid {row['uid'][:40]!r} is no number")
        study = f"CXR{int(row['uid'])}"
        if study in reports:
            raise InputError(f"{where}: uid {row['uid']} is there twice; keep one row")
        sections = {name: " ".join(row[name].split()) for name in SECTIONS}
        sections[TAGS] = "; ".join(row.get("mesh", "").split(";"))
        reports[study] = IuReport(
            id=study,
            sections={name: text for name, text in sections.items() if not is_null(text)},
            images=tuple(images.get(study, ())),
            where=f"{path.name}, uid {row['uid']}",
        )
    return reports
