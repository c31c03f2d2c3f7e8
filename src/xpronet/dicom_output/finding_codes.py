"""What the fourteen findings, and the few other concepts that templates leave open, are called in public code lists."""

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from xpronet import __version__

SCHEME = "99XPRONET"
"""Coding scheme of the findings that no public scheme has; designators that begin with 99 are private."""


class FindingCode(NamedTuple):
    """A coded concept, as DICOM has it."""

    value: str
    """Its code, of at most 16 characters."""
    scheme: str
    """The list that the code is from: SCT (SNOMED CT), DCM (DICOM) or our own."""
    meaning: str
    """Its name there."""
    site: tuple[str, str] | None = None
    """SNOMED CT code and name of the anatomy, where the concept alone does not say it."""


LUNG = ("39607008", "Lung")

FINDING_CODES: Mapping[str, FindingCode] = {
    # Neither SNOMED CT nor DICOM has heart and mediastinum as one silhouette.
    "Enlarged Cardiomediastinum": FindingCode("mediastinum", SCHEME, "Enlarged cardiomediastinal silhouette"),
    "Cardiomegaly": FindingCode("8186001", "SCT", "Cardiomegaly"),
    "Lung Opacity": FindingCode("112001", "DCM", "Opacity", LUNG),
    "Lung Lesion": FindingCode("52988006", "SCT", "Lesion", LUNG),
    "Edema": FindingCode("19242006", "SCT", "Pulmonary edema"),
    "Consolidation": FindingCode("95436008", "SCT", "Lung consolidation"),
    "Pneumonia": FindingCode("233604007", "SCT", "Pneumonia"),
    "Atelectasis": FindingCode("46621007", "SCT", "Atelectasis"),
    "Pneumothorax": FindingCode("36118008", "SCT", "Pneumothorax"),
    "Pleural Effusion": FindingCode("60046008", "SCT", "Pleural effusion"),
    # SNOMED CT's disorder of pleura includes effusion and pneumothorax, which this finding leaves out.
    "Pleural Other": FindingCode("pleural-other", SCHEME, "Pleural abnormality other than effusion and pneumothorax"),
    "Fracture": FindingCode("125605004", "SCT", "Fracture of bone"),
    "Support Devices": FindingCode("49062001", "SCT", "Device"),
    "No Finding": FindingCode("111286", "DCM", "No abnormality"),
}
"""By CheXpert's name. A place beside a code is written as finding site, where a template has one."""


def finding_concept(name: str) -> Any:
    """Return a finding as a coded concept of highdicom; a finding outside the fourteen gets a private code.

    Args:
        name: as the model calls it.
    """
    from highdicom.sr import CodedConcept

    code = FINDING_CODES.get(name)
    if code is None:
        # A hash of the whole name: cut names could be two findings' at once.
        code = FindingCode(_private_code(name), SCHEME, name[:64])
    return CodedConcept(value=code.value, scheme_designator=code.scheme, meaning=code.meaning)


def finding_sites(name: str) -> list[Any]:
    """Return where a finding is, for a measurement group: empty where its code says so itself."""
    from highdicom.sr import CodedConcept, FindingSite

    code = FINDING_CODES.get(name)
    if code is None or code.site is None:
        return []
    value, meaning = code.site
    return [FindingSite(CodedConcept(value=value, scheme_designator="SCT", meaning=meaning))]


def coding_schemes() -> list[Any]:
    """Return the identification of the private scheme, for a document that uses it."""
    from highdicom.coding_schemes import CodingSchemeIdentificationItem

    return [CodingSchemeIdentificationItem(designator=SCHEME, name="XProNet", version=__version__)]


def _private_code(name: str) -> str:
    return "f" + hashlib.sha256(name.encode()).hexdigest()[:15]
