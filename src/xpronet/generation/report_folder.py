"""Reports about a folder of one's own images: a text file and a JSON file for each study."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from xpronet.errors import InputError
from xpronet.files import write_json, write_text
from xpronet.generation.generator import ReportGenerator
from xpronet.generation.study_images import ImageSource, StudyImages, folder_studies, read_study
from xpronet.progress import Tracker, silent


@dataclass(frozen=True, kw_only=True)
class FolderOutcome:
    """What became of a folder of studies."""

    written: int
    """Studies that have a report."""
    refused: Mapping[str, str]
    """Why each other study has none, by its id."""


def open_folder(folder: Path, out: Path, *, overwrite: bool = False) -> dict[str, list[ImageSource]]:
    """Return the studies of a folder, before any work is done.

    Args:
        folder: each sub-folder of images, or each image, is a study.
        out: where reports are to be written.
        overwrite: whether files that are there may be replaced.

    Raises:
        InputError: the folder has no studies, or `out` is taken.
    """
    studies = folder_studies(folder)
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not overwrite)):
        raise InputError(f"{out}: already exists; choose another folder or add --overwrite")
    if out.resolve() == folder.resolve():
        raise InputError(f"{out}: is the folder of the images; choose another one for the reports")
    return studies


def report_folder(
    generator: ReportGenerator,
    studies: Mapping[str, list[ImageSource]],
    out: Path,
    *,
    frame: int | None = None,
    anyway: bool = False,
    strict: bool = False,
    batch_size: int = 16,
    overwrite: bool = False,
    track: Tracker = silent,
    warn: Callable[[str], object] = lambda _: None,
) -> FolderOutcome:
    """Write ID.txt, the report, and ID.json, the same with findings and evidence, for each study that can be read.

    Args:
        generator: the model.
        studies: the images of each, by id (`open_folder`).
        out: folder to write; it holds the reports of the studies before, where the work is interrupted.
        frame: which frame of files that hold several to read, from 1.
        anyway: take images whose headers name another body part than the chest, and films by a model of drawings,
            with a warning.
        strict: give studies with a warning no report.
        batch_size: studies that are computed together.
        overwrite: replace files that are there.
        track: shows progress.
        warn: takes a line about each warning, and about each study that gets no report.

    Raises:
        InputError: a file cannot be written.
    """
    refused: dict[str, str] = {}
    written = 0

    def refuse(name: str, why: str) -> None:
        refused[name] = why
        warn(f"{name}: no report: {why}")

    for batch in _batches(
        track(studies.items(), "Report", len(studies)), batch_size, frame=frame, anyway=anyway, refuse=refuse
    ):
        for report in generator.reports(batch, batch_size=batch_size, with_evidence=True):
            if report.refusals and not anyway:
                refuse(report.id, "; ".join(report.refusals))
                continue
            if strict and report.warnings:
                refuse(report.id, "; ".join(report.warnings))
                continue
            for warning in report.warnings:
                warn(f"{report.id}: {warning}")
            write_text(out / f"{report.id}.txt", report.text + "\n", overwrite=overwrite)
            write_json(out / f"{report.id}.json", report.answer(model=generator.fingerprint), overwrite=overwrite)
            written += 1
    return FolderOutcome(written=written, refused=refused)


def _batches(
    studies: Iterable[tuple[str, list[ImageSource]]],
    size: int,
    *,
    frame: int | None,
    anyway: bool,
    refuse: Callable[[str, str], object],
) -> Iterator[list[StudyImages]]:
    """Yield the studies that can be read, a batch at a time."""
    batch: list[StudyImages] = []
    for name, images in studies:
        try:
            batch.append(read_study(images, id=name, frame=frame, anyway=anyway))
        except InputError as error:
            # One damaged file of thousands must not end the work.
            refuse(name, str(error))
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
