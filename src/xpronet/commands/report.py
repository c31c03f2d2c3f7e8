"""`xpronet report`: a draft report about the images of one study. The main job."""

from pathlib import Path
from typing import Literal

from rich.console import Console

from xpronet.commands.report_demo import report_demo, show_page
from xpronet.errors import InputError


def report(
    run: str | None = None,
    images: tuple[Path, ...] = (),
    /,
    *,
    demo: bool = False,
    seed: int | None = None,
    out: Path | None = None,
    json: Path | None = None,
    html: Path | None = None,
    open_: bool = False,
    sr: Path | None = None,
    presentation_state: Path | None = None,
    dicom_pdf: Path | None = None,
    labels_from: Literal["predicted", "all"] = "predicted",
    beams: int | None = None,
    choose: Literal["likeliest", "agreeing"] | None = None,
    evidence: float | None = None,
    max_error: float | None = None,
    runtime: Literal["torch", "onnxruntime", "openvino"] | None = None,
    precision: Literal["fp32", "bf16"] = "fp32",
    strict: bool = False,
    anyway: bool = False,
    frame: int | None = None,
    allow_code: bool = False,
    overwrite: bool = False,
) -> None:
    """Write a draft report about one study, or about each study of a folder.

    Of a folder's studies, those that cannot be read are named and left out, and the exit status is 1.

    For example:

        xpronet report --demo
        xpronet report model frontal.png lateral.png --html report.html
        xpronet report model films --out reports

    Args:
        run: run or checkpoint folder, a folder that `xpronet export` wrote, hub:owner/name, or demo, the small model of
            drawn X-rays that comes with the package.
        images: the study's views, frontal first: PNG, JPEG, TIFF or DICOM files; or, with --out, one folder in which
            each sub-folder of images, taken in alphabetical order, or each image is a study.
        demo: draw a study, and write its images and a report about it with the small model that comes with the package
            into a folder, report_demo or that of --out.
        seed: of the drawn study; another number is another study.
        out: folder to write for a folder of studies: of each study its text, and findings and evidence as JSON.
        json: also write findings, evidence and text to this JSON file.
        html: also write a page with images, findings and evidence to this file.
        open_: open the page in the browser.
        sr: also write text, findings and their regions to this file, as a DICOM structured report, preliminary and
            unverified.
        presentation_state: also write the regions of the findings to this file, as a DICOM presentation state.
        dicom_pdf: also write the report to this file, as a PDF in a DICOM object.
        labels_from: what decides which prototypes are visible: the model's own findings, or nothing, so that all are.
        beams: beam hypotheses of the search; by default as the checkpoint says.
        choose: take the likeliest finished hypothesis, or, of as many as there are beams, the one that agrees best with
            the findings; by default as the checkpoint says.
        evidence: how much the claims of partial reports count in the search, compared with the findings; by default as
            the checkpoint says.
        max_error: mark the sentences among whose claims the expected share of false ones is at most this, such as
            0.05; needs a model that `xpronet calibrate` has calibrated.
        runtime: what computes the network; by default what the folder was made for.
        precision: arithmetic of the image encoder; bf16 is faster where the device multiplies it itself.
        strict: refuse a study with a warning: images out of distribution for the model, or nearly black ones.
        anyway: take images whose headers name another body part than the chest, and films by a model that learned
            from drawings, with a warning.
        frame: which frame of files that hold several (DICOM, TIFF) to read, from 1; such files are refused without.
        allow_code: let the checkpoint name Python objects of installed packages.
        overwrite: replace files that are there.
    """
    if demo:
        if run is not None:
            raise InputError("--demo draws its own study; leave out the model and the images, or leave out --demo")
        if any((json, html, sr, presentation_state, dicom_pdf)):
            raise InputError("--demo writes a folder with images, page and JSON; name it by --out, without other files")
        report_demo(out or Path("report_demo"), seed=seed, open_page=open_, overwrite=overwrite)
        return
    if run is None:
        raise InputError("no model given: name one and the images of a study, or see a report with --demo")
    if seed is not None:
        raise InputError("--seed is of a drawn study; add --demo")
    if open_ and html is None:
        raise InputError("--open opens a page; add --html FILE")

    from functools import partial

    from xpronet.deploy.load import load, model_folder
    from xpronet.dicom_output.described_model import describe_model
    from xpronet.errors import WorkError
    from xpronet.evaluation.model_origin import read_model_origin
    from xpronet.generation.report_folder import open_folder, report_folder
    from xpronet.generation.study_images import read_study
    from xpronet.progress import on_console
    from xpronet.serve.report_files import ReportFiles

    console, errors = (
        Console(stderr=stderr, soft_wrap=True, highlight=False, markup=False) for stderr in (False, True)
    )
    open_model = partial(
        load,
        run,
        beams=beams,
        choose=choose,
        evidence=evidence,
        max_error=max_error,
        labels_from=labels_from,
        precision=precision,
        runtime=runtime,
        allow_code=allow_code,
    )
    # Images first: a wrong file is named before the model is loaded.
    if out is None:
        if len(images) == 1 and images[0].is_dir():
            raise InputError(f"{images[0]}: a folder; add --out FOLDER for a report about each of its studies")
        files = ReportFiles(
            json=json,
            html=html,
            sr=sr,
            presentation_state=presentation_state,
            dicom_pdf=dicom_pdf,
            frame=frame,
            anyway=anyway,
            overwrite=overwrite,
        )
        files.check()
        study = read_study(images, frame=frame, anyway=anyway)
        files.check_study(study)
    else:
        if len(images) != 1 or not images[0].is_dir():
            raise InputError("--out is for one folder of studies; for the images of one study give --json or --html")
        if any((json, html, sr, presentation_state, dicom_pdf)):
            raise InputError("--json, --html and the DICOM files are for one study; leave them out, or leave out --out")
        studies = open_folder(images[0], out, overwrite=overwrite)
    generator = open_model()
    if strict and generator.checkpoint.gate is None:
        raise InputError(f"{run}: has no gate to be strict by; fit one with `xpronet gate`, or leave out --strict")
    origin = read_model_origin(model_folder(run), fingerprint=generator.fingerprint)
    if out is not None:
        outcome = report_folder(
            generator,
            studies,
            out,
            frame=frame,
            anyway=anyway,
            strict=strict,
            origin=origin.record(),
            overwrite=overwrite,
            track=on_console,
            warn=errors.print,
        )
        console.print(f"Wrote {outcome.written} reports to {out}")
        if outcome.refused:
            raise WorkError(f"{len(outcome.refused)} of {len(studies)} studies have no report, for the reasons above")
        return
    written = generator.report(study, with_evidence=files.need_evidence)
    if written.refusals and not anyway:
        raise InputError(f"{'; '.join(written.refusals)}; add --anyway to have a report all the same")
    if strict and written.warnings:
        raise InputError(f"{'; '.join(written.warnings)}; leave out --strict to have a report anyway")
    for warning in written.warnings:
        errors.print(f"warning: {warning}")
    console.print(written.text)
    model = describe_model(
        generator.checkpoint,
        fingerprint=generator.fingerprint,
        labels_from=labels_from,
        origin=origin,
        search=generator.settings,
    )
    files.write(written, study, model=model, images=generator.checkpoint.images)
    # Beside the text, not in it: the text may go into a file.
    for line in (*written.doubts(), *origin.lines()):
        errors.print(line)
    if open_ and html is not None:
        show_page(html)
