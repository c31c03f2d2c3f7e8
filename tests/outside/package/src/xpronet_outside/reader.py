"""A corpus reader: a folder of studies, each a folder named PATIENT_STUDY with report.txt and PNG images."""

from pathlib import Path

from xpronet.corpora.source import SourceCorpus, SourceStudy
from xpronet.errors import InputError


def read_folders(root: str, licence: str = "unknown") -> SourceCorpus:
    """Read ROOT/PATIENT_STUDY/report.txt and the images beside it.

    Args:
        root: the folder of studies.
        licence: under which the corpus may be used.

    Raises:
        InputError: there is no such folder.
    """
    if not Path(root).is_dir():
        raise InputError(f"{root}: no such folder; give --option root=FOLDER")
    studies = []
    for folder in sorted(path for path in Path(root).iterdir() if path.is_dir()):
        report = folder / "report.txt"
        studies.append(
            SourceStudy(
                id=folder.name,
                where=f"{folder.name}/report.txt",
                patient=folder.name.partition("_")[0],
                report=report.read_text(encoding="utf-8") if report.is_file() else "",
                images=[(f"{folder.name}/{image.name}", None) for image in sorted(folder.glob("*.png"))],
            )
        )
    return SourceCorpus(name="folders", studies=studies, images=Path(root), licence=licence)
