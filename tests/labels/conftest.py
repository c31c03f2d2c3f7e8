"""The impressions of the real reports."""

import csv
import json
import re
import tarfile
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest

from xpronet.labels.findings import FINDINGS, State
from xpronet.labels.rules import RuleLabeler


@pytest.fixture(scope="session")
def rules() -> RuleLabeler:
    return RuleLabeler()


@dataclass(frozen=True)
class RealReports:
    """The IU X-Ray studies that have a published label, with the text that was labelled."""

    splits: dict[str, list[str]]
    impressions: dict[str, str]
    labels: dict[str, dict[str, State]]


@pytest.fixture(scope="session")
def real_reports(shared: Path) -> RealReports:
    """The published labels are those of the impression, which annotation.json leaves out: it comes from the XML."""
    folder = shared / "data" / "iu_xray"
    annotation = json.loads((folder / "annotation.json").read_text(encoding="utf-8"))
    splits = {name: [study["id"] for study in annotation[name]] for name in ("train", "val")}
    report_of = {study["id"]: study["report"] for name in splits for study in annotation[name]}
    by_number = _impressions(folder / "NLMCXR_reports.tgz")
    impressions = {}
    for study_id, report in report_of.items():
        match = re.match(r"CXR(\d+)_", study_id)
        assert match is not None
        impressions[study_id] = by_number.get(match[1]) or report
    with (folder / "chexbert_labels.csv").open(encoding="utf-8") as stream:
        labels = {
            row["study_id"]: {name: State(row[name]) for name in FINDINGS}
            for row in csv.DictReader(stream)
            if row["study_id"] in report_of
        }
    return RealReports(splits=splits, impressions=impressions, labels=labels)


def _impressions(archive: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    with tarfile.open(archive) as reports:
        for member in reports:
            stream = reports.extractfile(member) if member.name.endswith(".xml") else None
            if stream is not None:
                texts = {part.get("Label"): part.text or "" for part in ElementTree.parse(stream).iter("AbstractText")}
                found[Path(member.name).stem] = texts.get("IMPRESSION", "").strip()
    return found
