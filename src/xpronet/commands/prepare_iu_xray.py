"""`xpronet prepare iu-xray`: a corpus from the Indiana University collection, as its owners hand it out."""

from pathlib import Path
from typing import Literal

from rich.console import Console

from xpronet.commands.prepare_output import print_prepared
from xpronet.corpora.build import BuildSettings
from xpronet.corpora.download import download_open_i
from xpronet.corpora.image_cache import ImageFormat
from xpronet.corpora.iu_xray import PUBLISHED_STUDIES, IuSettings, make_iu_xray, projections_table
from xpronet.errors import InputError
from xpronet.images.read import Depth
from xpronet.progress import on_console

WHY = (
    "R2Gen's are the 2,955 reports that have findings and at least two images, with the first two images; a drawn "
    "split takes every report that has the text asked for and an image, with all its images"
)


def iu_xray(
    *,
    out: Path,
    split: str,
    reports: Path | None = None,
    images: Path | None = None,
    no_images: bool = False,
    download: Path | None = None,
    text: Literal["findings", "impression", "both"] = "findings",
    missing: Literal["drop", "other"] = "drop",
    projections: Path | None = None,
    without_images: Literal["keep", "drop"] = "keep",
    short_side: int = 256,
    depth: Depth = 8,
    tolerate: int = 0,
    overwrite: bool = False,
) -> None:
    """Make a corpus from the Indiana University chest X-ray collection (Open-i's files, or Kaggle's copy).

    For example:

        xpronet prepare iu-xray --download open-i --split r2gen:annotation.json --out iu
        xpronet prepare iu-xray --reports NLMCXR_reports.tgz --images NLMCXR_png.tgz --split seed:0 --out iu

    Args:
        out: the corpus folder to write.
        split: r2gen:ANNOTATION.JSON (the field's split of 2,069, 296 and 590 studies) or seed:N (drawn by patient).
        reports: NLMCXR_reports.tgz, a folder of its XML files, or Kaggle's indiana_reports.csv.
        images: NLMCXR_png.tgz, NLMCXR_dcm.tgz, or a folder of Open-i's PNG, Kaggle's or DICOM images.
        no_images: make a corpus of texts, for labelling and for scores.
        download: a folder; Open-i's archives (1.3 GB) are downloaded into it and used; a stopped download is continued.
        text: the sections to be learned.
        missing: what becomes of a report that lacks a section asked for: drop it, or take what there is of the other.
        projections: a CSV of filename and projection, such as Kaggle's indiana_projections.csv.
        without_images: what becomes of a study none of whose images is there.
        short_side: short side of the stored images in pixels; smaller ones keep their size.
        depth: bits of a grey value: 8, or 16, which keeps what DICOM and 16-bit PNG have beyond 8 and takes more disk.
        tolerate: how many images and reports may be missing or damaged.
        overwrite: replace the corpus folder if it exists.
    """
    if download is not None:
        if reports is not None or images is not None:
            raise InputError("--download gets reports and images; leave out --reports and --images")
        reports, images = download_open_i(download, images=not no_images, track=on_console)
    if reports is None:
        raise InputError("give --reports: NLMCXR_reports.tgz, a folder of its XML files, or indiana_reports.csv")
    if (images is None) != no_images:
        raise InputError("give either --images FOLDER|ARCHIVE or --no-images")
    settings = IuSettings(
        reports=reports, images=images, split=split, text=text, missing=missing, projections=projections
    )
    build = BuildSettings(
        image_format=ImageFormat(short_side=short_side, depth=depth),
        tolerate=tolerate,
        without_images=without_images,
    )
    made = make_iu_xray(out, settings, build, overwrite=overwrite, track=on_console)
    console = Console(highlight=False, markup=False, soft_wrap=True)
    print_prepared(console, out, made.corpus, published=PUBLISHED_STUDIES, unit="studies", why=WHY)
    if made.views:
        console.print("views: " + ", ".join(f"{kind} {count:,}" for kind, count in sorted(made.views.items())))
    if made.views["unknown"] and projections_table(settings) is None:
        console.print(
            "Open-i does not say which image is frontal; --projections indiana_projections.csv (Kaggle's) marks them"
        )
    if made.unused:
        console.print(f"not used: {made.unused:,} images that were found and that no study here names")
    if made.compared:
        equal = made.compared - len(made.differing)
        console.print(f"{equal:,} of {made.compared:,} findings equal the annotation's report, white space aside")
