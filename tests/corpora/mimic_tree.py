"""A miniature MIMIC-CXR: the official folders and tables, invented patients, and exact knowledge of what is in them."""

import csv
import gzip
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from xpronet.labels.findings import FINDINGS

SPLITS = ("train", "train", "train", "validate", "test")
OBSERVATIONS = (
    "The lungs are clear.",
    "There is no pleural effusion or pneumothorax.",
    "Heart size is normal at 1.5 times the width expected.",
    "A right-sided PICC ends in the mid SVC, 3.7 cm above the carina at T4.",
    "Bibasilar opacities: likely atelectasis.",
    "As compared to ___, the edema has improved.",
    "Bony structures are intact (see L1. A wedge deformity is old).",
)
RULE = "_" * 78


@dataclass
class Truth:
    """What a study of the tree holds."""

    study: str
    split: str
    subject: str
    findings: str | None = None
    impression: str | None = None
    unheaded: bool = False
    report: str = "there"
    """there, missing, or damaged (not UTF-8)."""
    labelled: bool = True
    images: dict[str, str] = field(default_factory=dict)
    """By DICOM id: good, missing, or damaged."""
    positions: dict[str, str] = field(default_factory=dict)


def _lines(text: str, heading: str = "") -> str:
    """Wrap a text as reports are filed: one space before every line."""
    wrapped = [textwrap.wrap(paragraph, 70, break_on_hyphens=False) for paragraph in f"{heading}{text}".split("\n\n")]
    return "\n \n".join("\n".join(f" {line}" for line in lines) for lines in wrapped) + "\n \n"


def _head(title: str = "") -> str:
    return f"{' ' * 33}FINAL REPORT\n" + (f" {title}\n \n" if title else "")


def _electronic(findings: str, impression: str) -> tuple[str, bool]:
    text = _head() + " EXAMINATION:  CHEST (PA AND LAT)\n \n INDICATION:  ___ year old with cough  // eval\n \n"
    text += " TECHNIQUE:  Chest PA and lateral\n \n COMPARISON:  None.\n \n FINDINGS: \n \n"
    return text + _lines(findings) + " IMPRESSION: \n \n" + _lines(impression), False


def _dictated(findings: str, impression: str) -> tuple[str, bool]:
    text = _head("CHEST RADIOGRAPH PERFORMED ON ___") + " COMPARISON:  Prior exam from ___.\n \n"
    text += " CLINICAL HISTORY:  Cough and fever, assess\n for pneumonia.\n \n"
    return text + _lines(findings) + _lines(impression, "IMPRESSION:  "), True


def _last_paragraph(findings: str, impression: str) -> tuple[str, bool]:
    text = _head() + " INDICATION:  Line placement.\n \n COMPARISON:  ___.\n \n"
    return text + _lines(findings), True


def _with_addendum(findings: str, impression: str) -> tuple[str, bool]:
    text = _head() + f"{' ' * 37}ADDENDUM  Findings: discussed with Dr. ___ at 3:15 p.m.\n {RULE}\n"
    text += _head("PORTABLE CHEST, ___ AT 10:52 A.M.") + _lines(findings, "Findings: ")
    return text + _lines(impression, "Impression: "), False


def _wet_read(findings: str, impression: str) -> tuple[str, bool]:
    text = f"WET READ: ___ ___ ___ 10:03 PM\n  Lines unchanged. \n {RULE}\n" + _head()
    return text + " HISTORY:  Dyspnea.\n \n" + _lines(findings, "FINDINGS:  ") + _lines(
        impression, "CONCLUSION:  "
    ), False


def _view_heading(findings: str, impression: str) -> tuple[str, bool]:
    text = _head() + " REASON FOR EXAM:  Fall.\n \n"
    return text + _lines(findings, "PA AND LATERAL VIEWS OF THE CHEST:  ") + _lines(impression, "IMPRESSION:  "), True


def _impression_only(findings: str, impression: str) -> tuple[str, bool]:
    return _head("AP CHEST, ___") + " HISTORY:  Dyspnea.\n \n" + _lines(impression, "IMPRESSION:  "), False


def _blank(findings: str, impression: str) -> tuple[str, bool]:
    return _head() + " INDICATION:\n \n FINDINGS:\n \n IMPRESSION:\n \n", False


FORMS: dict[Callable[[str, str], tuple[str, bool]], tuple[bool, bool]] = {
    _electronic: (True, True),
    _dictated: (True, True),
    _last_paragraph: (True, False),
    _with_addendum: (True, True),
    _wet_read: (True, True),
    _view_heading: (True, True),
    _impression_only: (False, True),
    _blank: (False, False),
}
"""Each way of writing a report, and whether it has findings and an impression."""


def write_tree(root: Path, *, studies: int, seed: int = 0, images: bool = True) -> list[Truth]:
    """Write the tree and return what is in it; without `images` there are tables and reports only, none damaged."""
    rng = np.random.default_rng(seed)
    truths = [_truth(number, rng, faults=images) for number in range(studies)]
    forms = list(FORMS)
    for number, truth in enumerate(truths):
        _write_report(root, truth, forms[number % len(forms)], rng, number)
        if images:
            _write_images(root, truth, rng)
    _write_tables(root, truths, rng)
    return truths


def _truth(number: int, rng: np.random.Generator, *, faults: bool) -> Truth:
    subject = 10_000_000 + number * 2 // 5 * 37  # two or three studies each
    truth = Truth(study=f"s{50_000_000 + number * 11}", split=SPLITS[subject % len(SPLITS)], subject=f"p{subject}")
    for view in range(int(rng.integers(1, 3))):
        dicom = "-".join(rng.bytes(4).hex() for _ in range(5))
        truth.images[dicom] = "good"
        truth.positions[dicom] = ("LATERAL", "PA", "AP", "")[int(rng.integers(4)) if view else int(rng.integers(1, 4))]
    if faults:
        chance = rng.random()
        truth.report = "missing" if chance < 0.02 else "damaged" if chance < 0.04 else "there"
        truth.labelled = rng.random() > 0.03
        for dicom in truth.images:
            chance = rng.random()
            truth.images[dicom] = "missing" if chance < 0.03 else "damaged" if chance < 0.06 else "good"
    return truth


def _write_report(
    root: Path, truth: Truth, form: Callable[[str, str], tuple[str, bool]], rng: np.random.Generator, number: int
) -> None:
    sentences = [OBSERVATIONS[place] for place in rng.permutation(len(OBSERVATIONS))[: int(rng.integers(2, 6))]]
    findings, impression = "\n\n".join([" ".join(sentences[1:]), sentences[0]]), f"Study {number}: {sentences[-1]}"
    text, unheaded = form(findings, impression)
    has_findings, has_impression = FORMS[form]
    if truth.report != "missing":
        file = f"{truth.study}.txt" if number % 7 else f"{truth.study}.TXT".upper()
        path = root / "mimic-cxr-reports" / "files" / truth.subject[:3] / truth.subject / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() + (b"\xff\xfe" if truth.report == "damaged" else b""))
    if truth.report == "there":
        truth.findings = findings if has_findings else None
        truth.impression = impression if has_impression else None
        truth.unheaded = unheaded and has_findings


def _write_images(root: Path, truth: Truth, rng: np.random.Generator) -> None:
    folder = root / "files" / truth.subject[:3] / truth.subject / truth.study
    folder.mkdir(parents=True)
    for number, (dicom, state) in enumerate(truth.images.items()):
        path = folder / f"{dicom}{'.JPG' if number else '.jpg'}"
        if state != "missing":
            Image.fromarray(rng.integers(0, 256, (40, 36), dtype=np.uint8)).save(path, format="JPEG")
        if state == "damaged":
            path.write_bytes(path.read_bytes()[:200])


def _write_tables(root: Path, truths: list[Truth], rng: np.random.Generator) -> None:
    images = [(dicom, truth) for truth in truths for dicom in truth.images]
    keys = [(dicom, truth.study[1:], truth.subject[1:]) for dicom, truth in images]
    _table(
        root / "mimic-cxr-2.0.0-split.csv.gz",
        ("dicom_id", "study_id", "subject_id", "split"),
        [(*key, truth.split) for key, (_, truth) in zip(keys, images, strict=True)],
    )
    _table(
        root / "mimic-cxr-2.0.0-metadata.csv.gz",
        ("dicom_id", "study_id", "subject_id", "PerformedProcedureStepDescription", "ViewPosition", "Rows"),
        [
            (*key, "CHEST (PA AND LAT)", truth.positions[dicom], 3056)
            for key, (dicom, truth) in zip(keys, images, strict=True)
        ],
    )
    states = ("1.0", "0.0", "-1.0", "")
    columns = sorted(FINDINGS)
    _table(
        root / "mimic-cxr-2.0.0-chexpert.csv.gz",
        ("subject_id", "study_id", *columns),
        [
            (truth.subject[1:], truth.study[1:], *(states[place] for place in rng.integers(4, size=len(columns))))
            for truth in truths
            if truth.labelled
        ],
    )


def _table(path: Path, columns: tuple[str, ...], rows: list[tuple[object, ...]]) -> None:
    with gzip.open(path, "wt", encoding="utf-8", newline="", compresslevel=1) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
