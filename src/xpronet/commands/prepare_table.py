"""`xpronet prepare table`: a corpus from a table and images of the user's own."""

from pathlib import Path

from rich.console import Console

from xpronet.commands.prepare_output import print_studies
from xpronet.corpora.build import BuildSettings
from xpronet.corpora.image_cache import ImageFormat
from xpronet.corpora.table import TableForm, TableSettings, make_table
from xpronet.errors import InputError
from xpronet.images.read import Depth
from xpronet.progress import on_console


def table(
    *,
    out: Path,
    annotation: Path | None = None,
    csv: Path | None = None,
    jsonl: Path | None = None,
    images: Path | None = None,
    no_images: bool = False,
    short_side: int = 256,
    depth: Depth = 8,
    name: str | None = None,
    licence: str = "unknown",
    seed: int = 0,
    tolerate: int = 0,
    overwrite: bool = False,
) -> None:
    """Make a corpus from a table of reports and a folder of images.

    The table is an annotation.json as R2Gen reads it, or CSV or JSON lines with these columns or keys:

    * id (or study_id): the study; rows with one id are views of one study
    * report (or text, or findings): what a radiologist wrote
    * image (or images, or image_path): a path under --images, or several separated by semicolons
    * where known, split: train, val or test; without it a split is drawn
    * where known, patient (or patient_id): all studies of a patient go into one split
    * where known, view (or position): PA, AP, LATERAL, LL, ...
    * where known, findings, impression, indication, history, comparison, technique: sections of the report

    For example:

        xpronet prepare table --csv studies.csv --images images --out corpus
        xpronet prepare table --annotation annotation.json --images images --out corpus

    Args:
        out: the corpus folder to write.
        annotation: an annotation.json with the lists train, val and test.
        csv: a CSV file with a header line.
        jsonl: a file with one JSON object a line.
        images: the folder that the table's image paths start from.
        no_images: make a corpus of texts, for labelling and for scores.
        short_side: short side of the stored images in pixels; smaller ones keep their size.
        depth: bits of a grey value: 8, or 16, which keeps what DICOM and 16-bit PNG have beyond 8 and takes more disk.
        name: what the corpus is called; by default the folder of the table.
        licence: the terms under which images and texts may be used.
        seed: draws the split where the table has none.
        tolerate: how many unusable studies may be left out.
        overwrite: replace the corpus folder if it exists.
    """
    tables: dict[TableForm, Path | None] = {"csv": csv, "jsonl": jsonl, "annotation": annotation}
    given = [(form, path) for form, path in tables.items() if path is not None]
    if len(given) != 1:
        raise InputError(f"{len(given)} tables given; give one of --csv, --jsonl and --annotation")
    if (images is None) != no_images:
        raise InputError("give either --images FOLDER or --no-images")
    ((form, path),) = given
    settings = TableSettings(
        table=path,
        form=form,
        images=images,
        name=name or path.resolve().parent.name,
        licence=licence,
    )
    build = BuildSettings(image_format=ImageFormat(short_side=short_side, depth=depth), seed=seed, tolerate=tolerate)
    made = make_table(out, settings, build, overwrite=overwrite, track=on_console)
    print_studies(Console(highlight=False, markup=False, soft_wrap=True), out, made)
