"""The files that a report can be written to: JSON, a page, a DICOM structured report."""

from dataclasses import dataclass
from pathlib import Path

from xpronet.errors import InputError
from xpronet.files import write_json
from xpronet.generation.report import Report
from xpronet.generation.study_images import StudyImages


@dataclass(frozen=True, kw_only=True)
class ReportFiles:
    """Which files are wanted, by form; None where a form is not."""

    json: Path | None = None
    """Text, findings and evidence as JSON."""
    html: Path | None = None
    """A page with images, findings and evidence that works offline."""
    sr: Path | None = None
    """Text and findings as a DICOM structured report, partial and unverified."""
    overwrite: bool = False
    """Replace files that are there."""

    def check(self) -> None:
        """Refuse files that are there already, before any work.

        Raises:
            InputError: one is there and `overwrite` is false.
        """
        for path in (self.json, self.html, self.sr):
            if path is not None and path.exists() and not self.overwrite:
                raise InputError(f"{path}: already exists; choose another name or add --overwrite")

    def check_study(self, study: StudyImages) -> None:
        """Refuse a study that cannot be written about in the wanted forms, before any work.

        Raises:
            InputError: a structured report is wanted and cannot refer to the DICOM images.
        """
        if self.sr is not None:
            from xpronet.serve.structured_report import check_structured_report

            check_structured_report(study.files)

    def write(self, report: Report, study: StudyImages, *, model_name: str, checkpoint_hash: str) -> None:
        """Write the wanted files.

        Args:
            report: with evidence, where JSON or a page is wanted.
            study: the images that it is about.
            model_name: what the model is called in a structured report.
            checkpoint_hash: the checkpoint's fingerprint.

        Raises:
            InputError: a file cannot be written, or a structured report cannot be made.
        """
        if self.json is not None:
            write_json(self.json, report.answer(model=checkpoint_hash), overwrite=self.overwrite)
        if self.html is not None:
            from xpronet.show.page import PageStudy, write_page

            assert report.images is not None
            shown = PageStudy(report=report, views=tuple(report.images), positions=(None,) * len(report.images))
            note = f"Warning: {'; '.join(report.warnings)}." if report.warnings else ""
            write_page(self.html, [shown], title="Draft report", note=note, overwrite=self.overwrite)
        if self.sr is not None:
            from xpronet.serve.structured_report import structured_report, write_structured_report

            made = structured_report(report, study.files, model_name=model_name, checkpoint_hash=checkpoint_hash)
            write_structured_report(self.sr, made, overwrite=self.overwrite)
