"""The files that a report can be written to: JSON, a page, DICOM objects."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xpronet.dicom_output.described_model import DescribedModel
from xpronet.errors import InputError
from xpronet.files import new_file, write_json
from xpronet.generation.report import Report
from xpronet.generation.study_images import StudyImages
from xpronet.images.transforms import ImageSettings
from xpronet.show.figures import check_plots


@dataclass(frozen=True, kw_only=True)
class ReportFiles:
    """Which files are wanted, by form; None where a form is not."""

    json: Path | None = None
    """Text, findings and evidence as JSON."""
    html: Path | None = None
    """A page with images, findings and evidence that works offline."""
    sr: Path | None = None
    """Text, findings and regions as a DICOM structured report, preliminary and unverified."""
    presentation_state: Path | None = None
    """The regions of the findings as a DICOM presentation state."""
    dicom_pdf: Path | None = None
    """The report as a PDF in a DICOM object."""
    frame: int | None = None
    """Which frame of files that hold several the report is about, from 1."""
    anyway: bool = False
    """Take images whose headers name another body part than the chest."""
    overwrite: bool = False
    """Replace files that are there."""

    @property
    def dicom(self) -> tuple[Path, ...]:
        """The wanted DICOM objects."""
        return tuple(path for path in (self.sr, self.presentation_state, self.dicom_pdf) if path is not None)

    @property
    def need_evidence(self) -> bool:
        """Whether a wanted file shows where words and findings came from."""
        return self.json is not None or self.html is not None or bool(self.dicom)

    def check(self) -> None:
        """Refuse files that are there already or cannot be made, before any work.

        Raises:
            InputError: one is there and `overwrite` is false, or it needs an extra that is not installed.
        """
        if self.dicom_pdf is not None:
            check_plots()
        for path in (self.json, self.html, *self.dicom):
            if path is not None and path.exists() and not self.overwrite:
                raise InputError(f"{path}: already exists; choose another name or add --overwrite")

    def check_study(self, study: StudyImages) -> None:
        """Refuse a study that cannot be written about in the wanted forms, before any work.

        Raises:
            InputError: a DICOM object is wanted and cannot refer to the DICOM images.
        """
        if self.dicom:
            from xpronet.dicom_output.structured_report import check_structured_report

            check_structured_report(study.files, anyway=self.anyway)

    def write(self, report: Report, study: StudyImages, *, model: DescribedModel, images: ImageSettings) -> None:
        """Write the wanted files.

        Args:
            report: with evidence, where `need_evidence` says so.
            study: the images that it is about.
            model: what wrote the report.
            images: how the network saw the images.

        Raises:
            InputError: a file cannot be written, or a DICOM object cannot be made.
        """
        if self.json is not None:
            answer = report.answer(model=model.fingerprint, origin=model.origin.record())
            write_json(self.json, answer, overwrite=self.overwrite)
        if self.html is not None:
            from xpronet.show.page import PageStudy, write_page

            assert report.images is not None
            shown = PageStudy(report=report, views=tuple(report.images), positions=(None,) * len(report.images))
            note = f"Warning: {'; '.join(report.warnings)}." if report.warnings else ""
            write_page(self.html, [shown], title="Draft report", note=note, overwrite=self.overwrite)
        if self.dicom:
            self._write_dicom(report, study, model, images)

    def _write_dicom(self, report: Report, study: StudyImages, model: DescribedModel, images: ImageSettings) -> None:
        from xpronet.dicom_output.encapsulated_pdf import encapsulated_pdf
        from xpronet.dicom_output.presentation_state import presentation_state
        from xpronet.dicom_output.structured_report import structured_report

        about: dict[str, Any] = {"model": model, "anyway": self.anyway}
        if self.sr is not None:
            self._save(self.sr, structured_report(report, study.files, images=images, frame=self.frame, **about))
        if self.presentation_state is not None:
            made = presentation_state(report, study.files, images=images, frame=self.frame, **about)
            self._save(self.presentation_state, made)
        if self.dicom_pdf is not None:
            self._save(self.dicom_pdf, encapsulated_pdf(report, study.files, **about))

    def _save(self, path: Path, content: bytes) -> None:
        with new_file(path, overwrite=self.overwrite) as temporary:
            temporary.write_bytes(content)
