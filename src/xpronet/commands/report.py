"""`xpronet report`: a draft report about the images of one study. The main job."""

from pathlib import Path
from typing import Literal

from rich.console import Console


def report(
    run: Path,
    images: tuple[Path, ...],
    /,
    *,
    json: Path | None = None,
    html: Path | None = None,
    sr: Path | None = None,
    labels_from: Literal["predicted", "all"] = "predicted",
    beams: int | None = None,
    choose: Literal["likeliest", "agreeing"] | None = None,
    runtime: Literal["torch", "onnxruntime", "openvino"] | None = None,
    precision: Literal["fp32", "bf16"] = "fp32",
    strict: bool = False,
    overwrite: bool = False,
) -> None:
    """Write a draft report about one study.

    Args:
        run: run or checkpoint folder, or a folder that `xpronet export` wrote.
        images: the study's views, frontal first: PNG, JPEG or DICOM files.
        json: also write findings, evidence and text to this JSON file.
        html: also write a page with images, findings and evidence to this file.
        sr: also write the text and the findings to this file, as a DICOM structured report, partial and unverified.
        labels_from: what decides which prototypes are visible: the model's own findings, or nothing, so that all are.
        beams: width of the search; by default as the run's recipe says, else 3.
        choose: take the likeliest report that the search meets, or of as many as there are beams the one that agrees
            best with the findings; by default as the run's recipe says, else the likeliest.
        runtime: what computes the network; if left out, what the folder was made for.
        precision: arithmetic of the backbone; bf16 is faster where the device multiplies it itself.
        strict: refuse images that the run's gate warns of.
        overwrite: replace files that are there.
    """
    from xpronet.commands.opening import load_generator, model_fingerprint
    from xpronet.errors import InputError
    from xpronet.files import write_json
    from xpronet.generation.generator import pad_views
    from xpronet.images.dicom_study import check_same_study, read_dicom_images
    from xpronet.images.read import read_grey
    from xpronet.images.transforms import test_view

    if not images:
        raise InputError("no image given: name at least one PNG, JPEG or DICOM file")
    for path in (json, html, sr):
        if path is not None and path.exists() and not overwrite:
            raise InputError(f"{path}: already exists; choose another name or add --overwrite")
    # Images first: a wrong file is told before the model is loaded.
    pictures = [read_grey(path) for path in images]
    study_warnings = check_same_study(read_dicom_images(images), [path.name for path in images])
    if sr is not None:
        from xpronet.serve.structured_report import check_structured_report

        check_structured_report(images)
    writer = load_generator(
        run, beams=beams, choose=choose, labels_from=labels_from, precision=precision, runtime=runtime
    )
    if strict and writer.checkpoint.gate is None:
        raise InputError(f"{run}: has no gate to be strict by; fit one with `xpronet gate`, or leave out --strict")
    views = [test_view(picture, writer.checkpoint.images) for picture in pictures]
    with_evidence = json is not None or html is not None
    [written] = writer.write([images[0].stem], *pad_views([views]), with_evidence=with_evidence)
    gate_warnings = written.warnings([path.name for path in images])
    if strict and gate_warnings:
        raise InputError(f"{'; '.join(gate_warnings)}; leave out --strict to have a report anyway")
    warnings = [*study_warnings, *gate_warnings]
    for warning in warnings:
        Console(stderr=True, soft_wrap=True).print(f"warning: {warning}", highlight=False, markup=False)
    Console(soft_wrap=True).print(written.text, highlight=False, markup=False)
    if json is not None:
        names = [path.name for path in images]
        answer = written.answer(model=model_fingerprint(run), views=names, warnings=study_warnings)
        write_json(json, answer, overwrite=overwrite)
    if html is not None:
        from xpronet.show.page import PageStudy, write_page

        study = PageStudy(report=written, views=tuple(views), positions=(None,) * len(views))
        note = f"Warning: {'; '.join(warnings)}." if warnings else ""
        write_page(html, [study], title="Draft report", note=note, overwrite=overwrite)
    if sr is not None:
        from xpronet.serve.structured_report import structured_report, write_structured_report

        made = structured_report(written, images, model_name=run.resolve().name, checkpoint_hash=model_fingerprint(run))
        write_structured_report(sr, made, overwrite=overwrite)
