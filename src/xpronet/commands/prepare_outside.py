"""`xpronet prepare outside`: a corpus from any layout, by a reader of another package."""

from pathlib import Path

from rich.console import Console

from xpronet.commands.prepare_output import print_studies
from xpronet.corpora.build import BuildSettings
from xpronet.corpora.image_cache import ImageFormat
from xpronet.corpora.outside import make_outside
from xpronet.errors import InputError
from xpronet.images.read import Depth
from xpronet.progress import on_console


def outside(
    reader: str,
    /,
    *,
    out: Path,
    option: tuple[str, ...] = (),
    short_side: int = 256,
    depth: Depth = 8,
    seed: int = 0,
    tolerate: int = 0,
    overwrite: bool = False,
) -> None:
    """Make a corpus with a reader of another package, which runs that package's code.

    For example:

        xpronet prepare outside python:my_package.reader:read --option folder=films --out corpus

    Args:
        reader: python:package.module:function, of an installed package; docs/extend_corpus.md shows how to write one.
        out: the corpus folder to write.
        option: name=value, an argument of the reader; may be given several times.
        short_side: short side of the stored images in pixels; smaller ones keep their size.
        depth: bits of a grey value: 8, or 16, which keeps what DICOM and 16-bit PNG have beyond 8 and takes more disk.
        seed: draws the split where the reader gives none.
        tolerate: how many unusable studies may be left out.
        overwrite: replace the corpus folder if it exists.
    """
    pairs = [part.partition("=") for part in option]
    wrong = [part for part, (name, equals, _) in zip(option, pairs, strict=True) if not (name and equals)]
    if wrong:
        raise InputError(f"--option {wrong[0]}: write name=value")
    options = {name.replace("-", "_"): value for name, _, value in pairs}
    if len(options) < len(pairs):
        raise InputError(f"--option: a name is given twice in {' '.join(option)}; give each once")
    build = BuildSettings(image_format=ImageFormat(short_side=short_side, depth=depth), seed=seed, tolerate=tolerate)
    summary = make_outside(out, reader, options, build, overwrite=overwrite, track=on_console)
    print_studies(Console(highlight=False, markup=False, soft_wrap=True), out, summary)
