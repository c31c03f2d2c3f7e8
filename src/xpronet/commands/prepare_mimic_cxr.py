"""`xpronet prepare mimic-cxr`: a corpus from MIMIC-CXR in its official layout."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from rich.console import Console

from xpronet.commands.prepare_output import print_prepared
from xpronet.corpora.build import BuildSettings
from xpronet.corpora.image_cache import ImageFormat
from xpronet.corpora.mimic_cxr import PUBLISHED_IMAGES, MimicSettings, find_table, make_mimic_cxr
from xpronet.data.corpus import LABELS_FILE, open_corpus
from xpronet.errors import InputError
from xpronet.images.read import Depth
from xpronet.labels.label_tables import read_labels, write_labels
from xpronet.progress import on_console

WHY = (
    "R2Gen read the sections by other rules and kept the images of studies with findings; ours also takes findings "
    "without a heading (--unheaded drop does not)"
)


def mimic_cxr(
    *,
    root: Path,
    out: Path,
    reports: Path | None = None,
    no_images: bool = False,
    unit: Literal["study", "image"] = "study",
    text: Literal["findings", "impression", "both"] = "findings",
    missing: Literal["drop", "other"] = "drop",
    unheaded: Literal["take", "drop"] = "take",
    labels: Literal["chexpert", "negbio", "none"] = "chexpert",
    without_images: Literal["keep", "drop"] = "keep",
    short_side: int = 256,
    depth: Depth = 8,
    tolerate: int = 0,
    overwrite: bool = False,
) -> None:
    """Make a corpus from MIMIC-CXR: files/p10/p.../s.../*.jpg or *.dcm, the reports and the tables of MIMIC-CXR-JPG.

    For example:

        xpronet prepare mimic-cxr --root mimic-cxr-jpg --reports mimic-cxr-reports.zip --out mimic

    Args:
        root: the folder that holds files/ and mimic-cxr-2.0.0-split.csv.gz, -metadata.csv.gz, -chexpert.csv.gz.
        out: the corpus folder to write.
        reports: the folder or zip of reports; by default mimic-cxr-reports or mimic-cxr-reports.zip in ROOT.
        no_images: make a corpus of texts, for labelling and for scores.
        unit: what a study of the corpus is: an examination with all its views, or each image by itself, as published.
        text: the sections to be learned.
        missing: what becomes of a report that lacks a section asked for: drop it, or take what there is of the other.
        unheaded: whether findings without a heading, the paragraphs after the introduction, count as findings.
        labels: the table that becomes labels.csv; studies without a row in it are left out. none: label them later.
        without_images: what becomes of a study none of whose images is there.
        short_side: short side of the stored images in pixels; smaller ones keep their size.
        depth: bits of a grey value: 8, or 16, which keeps what DICOM and 16-bit PNG have beyond 8 and takes more disk.
        tolerate: how many images and reports may be missing or damaged.
        overwrite: replace the corpus folder if it exists.
    """
    table = None if labels == "none" else find_table(root, labels)
    settings = MimicSettings(
        root=root,
        reports=reports,
        images=None if no_images else root,
        unit=unit,
        text=text,
        missing=missing,
        unheaded=unheaded,
        labels=table,
    )
    build = BuildSettings(
        image_format=ImageFormat(short_side=short_side, depth=depth),
        tolerate=tolerate,
        without_images=without_images,
    )
    if no_images and unit == "image":
        raise InputError("--unit image makes a study of each image; leave out --no-images")

    def write_table(folder: Path, ids: Sequence[str]) -> None:
        if table is None:
            return
        examinations = {study.id: study.source.rpartition("/")[2] for study in open_corpus(folder).studies}
        states = read_labels(table, sorted(set(examinations.values())))
        write_labels(folder / LABELS_FILE, ((name, states[examinations[name]]) for name in ids))

    made = make_mimic_cxr(out, settings, build, overwrite=overwrite, track=on_console, write_extras=write_table)
    console = Console(highlight=False, markup=False, soft_wrap=True)
    print_prepared(console, out, made.corpus, published=None if no_images else PUBLISHED_IMAGES, unit="images", why=WHY)
    console.print(f"findings without a heading: {made.unheaded:,} reports")
