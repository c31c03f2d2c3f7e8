"""Score the rule labeler against human labels: NegBio's gold table of Open-i's chest X-ray reports.

    python benchmarks/negbio.py --gold openi_gld_std14.csv --reports NLMCXR_reports.tgz

The table has a row for each report, named CXR1, CXR2, ..., and 0 or 1 for each of NIH ChestX-ray14's findings; the
reports are Open-i's XML files in their archive. Findings and impression are read together, as the table's authors did.
Only what the report states counts as present: the table has 0 for what is merely suspected.
"""

import argparse
import csv
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree

from xpronet.errors import InputError
from xpronet.labels.conventions import CONVENTIONS, named_conventions
from xpronet.labels.findings import State
from xpronet.labels.rules import RuleLabeler

FINDINGS: Mapping[str, str] = {
    "Atelectasis": "Atelectasis",
    "Cardiomegaly": "Cardiomegaly",
    "Consolidation": "Consolidation",
    "Edema": "Edema",
    "Effusion": "Pleural Effusion",
    "Pneumonia": "Pneumonia",
    "Pneumothorax": "Pneumothorax",
}
"""The table's findings that are also CheXpert's, with their names there."""


def read_gold(path: Path) -> dict[str, dict[str, bool]]:
    """Return for each report of the table which findings it has.

    Raises:
        InputError: the table has no column of one of the findings.
    """
    with path.open(encoding="utf-8", newline="") as stream:
        rows = csv.DictReader(stream)
        missing = [name for name in ("filename", *FINDINGS) if name not in (rows.fieldnames or ())]
        if missing:
            raise InputError(f"{path}: no column {missing[0]!r}; give NegBio's openi_gld_std14.csv")
        return {row["filename"]: {name: row[name] == "1" for name in FINDINGS} for row in rows}


def read_reports(path: Path) -> Iterator[tuple[str, str]]:
    """Yield name and text, findings and impression, of each report of an archive."""
    with tarfile.open(path) as archive:
        for member in archive:
            stream = archive.extractfile(member) if member.name.endswith(".xml") else None
            if stream is not None:
                parts = {part.get("Label"): part.text or "" for part in ElementTree.parse(stream).iter("AbstractText")}
                name = f"CXR{PurePosixPath(member.name).stem}"
                yield name, "\n\n".join(filter(None, (parts.get("FINDINGS"), parts.get("IMPRESSION"))))


def main() -> None:
    """Print precision, recall and F1 of each finding under each convention."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gold", type=Path, required=True)
    parser.add_argument("--reports", type=Path, required=True)
    parser.add_argument("--convention", choices=CONVENTIONS, default="negbio")
    options = parser.parse_args()
    gold = read_gold(options.gold)
    texts = {name: text for name, text in read_reports(options.reports) if name in gold}
    labeler = RuleLabeler(named_conventions(options.convention))
    states = dict(labeler.label_many(texts.items()))
    print(f"{len(texts)} of {len(gold)} reports of {options.gold.name}, convention {options.convention}")
    print(f"{'finding':14}{'gold':>6}{'read':>6}{'both':>6}{'precision':>11}{'recall':>8}{'F1':>7}")
    for name, finding in FINDINGS.items():
        true = {report for report in texts if gold[report][name]}
        read = {report for report in texts if states[report][finding] is State.POSITIVE}
        both = len(true & read)
        scores = (both / max(len(read), 1), both / max(len(true), 1), 2 * both / max(len(true) + len(read), 1))
        counts = f"{name:14}{len(true):6}{len(read):6}{both:6}"
        print(f"{counts}{scores[0]:11.3f}{scores[1]:8.3f}{scores[2]:7.3f}")


if __name__ == "__main__":
    main()
