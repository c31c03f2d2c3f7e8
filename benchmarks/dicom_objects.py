"""Check the DICOM objects of many studies with the validators of three other packages.

    python benchmarks/dicom_objects.py RUN [--studies 50] [--seconds 3000] [--out FOLDER]

Draws studies, writes them as DICOM images, reports on them with the model in RUN, and writes the structured report, the
presentation state and the PDF of each. Of each study:

    dciodvfy (dicom3tools) finds no error in the three objects
    DicomSRValidator (PixelMed) finds no error in the structured report and nothing outside its template
    the findings read back from the structured report equal the JSON
    dcmp2pgm (dcmtk) draws the study with its presentation state, and each box that it reads covers the cells of the
    network's grid that speak most for the finding

PixelMed's rules choose the template of all measurement groups by the number of regions in the document: where it is
exactly one, they want a region (template 1410) of the groups that have none, too. Such documents come last and are
counted by themselves.

Prints one JSON object; ends with status 1 where a check fails. Studies that `--seconds` leave no time for are not
validated by PixelMed, which takes long; the object says how many were. Needs the extra [dicom] and these programs
(Debian: dicom3tools, pixelmed-apps, dcmtk).
"""

import argparse
import json
import os
import re
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from xpronet.deploy.load import load
from xpronet.dicom_output.described_model import DescribedModel, describe_model
from xpronet.dicom_output.encapsulated_pdf import encapsulated_pdf
from xpronet.dicom_output.finding_codes import FINDING_CODES
from xpronet.dicom_output.finding_regions import strongest_cells
from xpronet.dicom_output.presentation_state import presentation_state
from xpronet.dicom_output.structured_report import structured_report
from xpronet.generation.generator import ReportGenerator
from xpronet.generation.report import Report
from xpronet.images.read import Grey
from xpronet.images.transforms import seen_area
from xpronet.labels.findings import FINDINGS
from xpronet.phantom.make_corpus import PhantomSettings, draw_phantom
from xpronet.phantom.plan import plan_studies

JAVA = "-Djdk.xml.xpathTotalOpLimit=0 -Djdk.xml.xpathExprOpLimit=0 -Djdk.xml.xpathExprGrpLimit=0"
"""The validator's rules are longer than Java allows by itself."""
SIZE = 256
OUTSIDE = "not in template"
WANTS_A_REGION = re.compile(r"Template 1410 .*(\(111030,|\(121214,).*Missing conditional content item")
PROBABILITY, FINDING_PRESENT = "122157", "Present"


def write_image(path: Path, image: Grey, *, study: int, view: int, position: str) -> None:
    """Write a drawn view as a computed radiography image of an invented patient."""
    import pydicom
    from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian

    header = pydicom.Dataset()
    header.SOPClassUID, header.SOPInstanceUID = ComputedRadiographyImageStorage, f"2.25.{study + 1}.3.{view}"
    header.StudyInstanceUID, header.SeriesInstanceUID = f"2.25.{study + 1}.1", f"2.25.{study + 1}.2.{view}"
    header.PatientID, header.PatientName, header.PatientSex = f"DRAWN{study}", f"Drawn^Study{study}", "O"
    header.PatientBirthDate, header.StudyDate, header.StudyTime = "19700101", "20240102", "030405"
    header.AccessionNumber, header.StudyID, header.ReferringPhysicianName = "", str(study), ""
    header.Modality, header.BodyPartExamined, header.ViewPosition = "CR", "CHEST", "PA" if position == "PA" else "LL"
    header.Rows, header.Columns = image.shape
    header.SamplesPerPixel, header.PhotometricInterpretation, header.PixelRepresentation = 1, "MONOCHROME2", 0
    header.BitsAllocated, header.BitsStored, header.HighBit = 8, 8, 7
    header.PixelData = image.tobytes()
    header.file_meta = pydicom.dataset.FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.save_as(path, enforce_file_format=True)


def output_of(*command: str, seconds: float = 900) -> str:
    """Return everything that a program prints."""
    environment = {**os.environ, "JAVA_TOOL_OPTIONS": JAVA}
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False, env=environment)
    return done.stdout + done.stderr


def differing_findings(report: Report, path: Path) -> list[str]:
    """Return the findings of a structured report that are not those of the report's JSON."""
    import pydicom

    def walk(item: Any) -> Any:
        yield item
        for child in item.get("ContentSequence", ()):
            yield from walk(child)

    probability, presence = {}, {}
    for item in walk(pydicom.dcmread(path)):
        if "ConceptNameCodeSequence" not in item:
            continue
        code = item.ConceptNameCodeSequence[0].CodeValue
        if item.ValueType == "NUM" and code == PROBABILITY:
            owner = item.ContentSequence[0].ConceptCodeSequence[0].CodeValue
            probability[owner] = float(item.MeasuredValueSequence[0].NumericValue)
        elif item.ValueType == "CODE":
            presence[code] = item.ConceptCodeSequence[0].CodeMeaning == FINDING_PRESENT
    wrong = []
    for record in report.record()["findings"]:
        code = FINDING_CODES[record["name"]].value
        near = abs(probability.get(code, -1.0) - record["probability"]) < 1e-4
        if not near or presence.get(code) != record["present"]:
            wrong.append(record["name"])
    return wrong


def uncovered_boxes(report: Report, state: Path, images: list[Path], generator: ReportGenerator) -> tuple[int, int]:
    """Return how many boxes dcmtk reads from a presentation state, and how many of them do not cover their cells."""
    import pydicom

    document = pydicom.dcmread(state)
    names = {item.TextObjectSequence[0].UnformattedTextValue: item for item in document.GraphicAnnotationSequence}
    printed = "".join(
        output_of("dcmp2pgm", "-v", "-p", str(state), str(image), str(state.with_suffix(".pgm"))) for image in images
    )
    shown = {
        tuple(float(n) for n in re.findall(r"\d+", box)) for box in re.findall(r"coordinates: ([\d\\, ]+)", printed)
    }
    wrong = 0
    for finding in report.findings:
        if finding.name not in names or finding.regions is None:
            continue
        data = tuple(float(value) for value in names[finding.name].GraphicObjectSequence[0].GraphicData)
        points = np.array(data).reshape(-1, 2)
        cells = strongest_cells(finding.regions)
        cells = cells[int(cells.any((1, 2)).argmax())]
        left, top, across, down = seen_area(SIZE, SIZE, generator.checkpoint.images)
        rows, columns = np.flatnonzero(cells.any(1)), np.flatnonzero(cells.any(0))
        side = len(cells)
        # Presentation states count pixels from 1; a cell reaches from its first pixel to its last.
        first = np.array([(left + columns[0] / side * across) * SIZE, (top + rows[0] / side * down) * SIZE])
        last = np.array(
            [(left + (columns[-1] + 1) / side * across) * SIZE, (top + (rows[-1] + 1) / side * down) * SIZE]
        )
        covers = (points.min(0) - 1 <= first + 1).all() and (points.max(0) >= last.clip(max=SIZE) - 1).all()
        wrong += not (covers and data in shown)
    return len(names), wrong


def main() -> None:
    """Write, validate, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--studies", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=3000, help="no validation by PixelMed begins after so long")
    parser.add_argument("--out", type=Path, help="keep the objects there")
    chosen = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        folder = chosen.out or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        generator = load(chosen.run)
        model = describe_model(
            generator.checkpoint,
            fingerprint=generator.fingerprint,
            labels_from="predicted",
            search=generator.settings,
        )
        settings = PhantomSettings(studies=max(10, chosen.studies), seed=90, prevalence="balanced", size=SIZE)
        plan = plan_studies(settings.studies, settings.prevalence, settings.seed)[: chosen.studies]
        counts: Counter[str] = Counter()
        failures: list[str] = []
        regions = []
        for number, (present, _) in enumerate(plan):
            views = draw_phantom(present, number, settings).views
            regions.append(one_study(folder, number, views, generator, model, counts, failures))
        print(json.dumps({**counts, "failures": failures}), flush=True)
        for number in sorted(range(len(plan)), key=lambda number: regions[number] == 1):
            if time.monotonic() - began > chosen.seconds:
                break
            printed = output_of("DicomSRValidator", str(folder / f"{number}.sr.dcm"))
            alone = regions[number] == 1
            counts["validated by PixelMed" + (", of exactly one region" if alone else "")] += 1
            lines = [line for line in printed.splitlines() if line.startswith("Error") or OUTSIDE in line.lower()]
            lines += [] if "IOD validation complete" in printed else ["no IOD validation"]
            known = [line for line in lines if alone and WANTS_A_REGION.search(line)]
            failures += [f"study {number}, DicomSRValidator: {line}" for line in lines if line not in known]
            print(f"{number}: {regions[number]} regions, {len(lines)} errors, {len(known)} as known", flush=True)
    record = {"benchmark": "dicom_objects", **counts, "failures": failures, "seconds": round(time.monotonic() - began)}
    print(json.dumps(record, indent=1))
    if failures:
        raise SystemExit(1)


def one_study(
    folder: Path,
    number: int,
    views: dict[str, tuple[Grey, Any]],
    generator: ReportGenerator,
    model: DescribedModel,
    counts: Counter[str],
    failures: list[str],
) -> int:
    """Write the objects of one study and check all but the structured report's template; return its regions."""
    images = []
    for view, (position, (image, _)) in enumerate(views.items()):
        images.append(folder / f"{number}.{view}.dcm")
        write_image(images[-1], image, study=number, view=view, position=position)
    report = generator.report(images, study_id=f"study {number}")
    about: dict[str, Any] = {"model": model}
    seen = {**about, "images": generator.checkpoint.images}
    objects = {"sr": structured_report(report, images, **seen), "pr": presentation_state(report, images, **seen)}
    objects["pdf"] = encapsulated_pdf(report, images, **about)
    for kind, content in objects.items():
        path = folder / f"{number}.{kind}.dcm"
        path.write_bytes(content)
        printed = output_of("dciodvfy", str(path))
        failures += [f"study {number}, {kind}, dciodvfy: {line}" for line in printed.splitlines() if "Error" in line]
    wrong = differing_findings(report, folder / f"{number}.sr.dcm")
    failures += [f"study {number}: {name} differs from the JSON" for name in wrong]
    boxes, uncovered = uncovered_boxes(report, folder / f"{number}.pr.dcm", images, generator)
    failures += [f"study {number}: {uncovered} boxes do not cover their cells"] if uncovered else []
    counts.update({"studies": 1, "objects": len(objects), "findings compared": len(FINDINGS), "boxes": boxes})
    return boxes


if __name__ == "__main__":
    main()
