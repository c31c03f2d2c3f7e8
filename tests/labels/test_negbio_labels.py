"""The rule labeler beside the human labels of real reports: NegBio's gold table of the Open-i collection."""

import csv
import tarfile
from pathlib import Path
from xml.etree import ElementTree

import pytest

from xpronet.labels.conventions import NEGBIO
from xpronet.labels.findings import State
from xpronet.labels.rules import RuleLabeler


@pytest.fixture(scope="module")
def gold(shared: Path) -> list[tuple[dict[str, str], dict[str, State]]]:
    """A row of the table and what the rules read, for each report."""
    table = shared / "data" / "negbio" / "openi_gld_std14.csv"
    if not table.is_file():
        pytest.skip("no NegBio gold table in shared/data/negbio")
    with table.open(encoding="utf-8", newline="") as stream:
        rows = {row["filename"]: row for row in csv.DictReader(stream)}
    labeler = RuleLabeler(NEGBIO)
    found = []
    with tarfile.open(shared / "data" / "iu_xray" / "NLMCXR_reports.tgz") as archive:
        for member in archive:
            row = rows.get(f"CXR{Path(member.name).stem}")
            stream = archive.extractfile(member) if row is not None else None
            if row is not None and stream is not None:
                parts = {part.get("Label"): part.text or "" for part in ElementTree.parse(stream).iter("AbstractText")}
                found.append((row, labeler.label("\n\n".join((parts["FINDINGS"], parts["IMPRESSION"])))))
    return found


@pytest.mark.parametrize(
    ("column", "finding", "least"),
    [
        ("Atelectasis", "Atelectasis", 0.95),
        ("Cardiomegaly", "Cardiomegaly", 0.96),
        ("Consolidation", "Consolidation", 0.92),
        ("Edema", "Edema", 0.90),
        ("Effusion", "Pleural Effusion", 0.96),
        ("Pneumonia", "Pneumonia", 0.90),
        ("Pneumothorax", "Pneumothorax", 0.90),
    ],
)
def test_f1_against_human_labels(gold, column, finding, least):
    true = {row["filename"] for row, _ in gold if row[column] == "1"}
    read = {row["filename"] for row, states in gold if states[finding] is State.POSITIVE}
    assert 2 * len(true & read) / (len(true) + len(read)) >= least
