"""xpronet prepare phantom: draw a corpus about which everything is known."""

from pathlib import Path
from typing import Literal

from rich.console import Console

from xpronet.images.read import Depth
from xpronet.phantom.make_corpus import PhantomSettings, make_phantom
from xpronet.progress import on_console


def phantom(
    *,
    out: Path,
    studies: int = 600,
    seed: int = 0,
    prevalence: Literal["natural", "balanced"] = "natural",
    size: int = 256,
    depth: Depth = 8,
    overwrite: bool = False,
) -> None:
    """Draw chest X-ray studies with reports, labels and the exact region of each finding.

    For example:

        xpronet prepare phantom --out corpus --studies 2400 --prevalence balanced --size 128

    Args:
        out: the corpus folder to make.
        studies: how many studies.
        seed: the same seed gives the same corpus.
        prevalence: natural (most studies are normal) or balanced (each finding in about a fifth of the studies).
        size: side of the images in pixels.
        depth: bits of a grey value, 8 or 16.
        overwrite: replace what is at OUT.
    """
    settings = PhantomSettings(studies=studies, seed=seed, prevalence=prevalence, size=size, depth=depth)
    counts = make_phantom(out, settings, overwrite=overwrite, track=on_console)
    splits = ", ".join(f"{count} {split}" for split, count in counts.items())
    Console().print(f"{out}: {studies} studies ({splits})")
