"""`xpronet trap`: the one text that scores best without any picture."""

from pathlib import Path
from typing import Literal

from rich.console import Console


def trap(
    corpus: Path,
    /,
    *,
    split: Literal["val", "test"] = "test",
    protocol: Literal["full-text", "published-iu", "published-mimic"] = "published-iu",
    skip_meteor: bool = False,
) -> None:
    """Find the constant text that scores best, and what it scores.

    Args:
        corpus: corpus folder; pictures are not needed.
        split: the studies whose references it is scored against.
        protocol: the form of the texts that is compared.
        skip_meteor: leave METEOR out, and with it the seconds that Java takes.
    """
    from xpronet.data.corpus import read_corpus
    from xpronet.evaluate.surroundings import surroundings
    from xpronet.evaluate.tables import trap_view
    from xpronet.evaluate.trap import find_traps

    read = read_corpus(corpus)
    around = surroundings(read, split)
    traps = find_traps(
        tuple(around.references.values()),
        train_reports=tuple(study.report for study in read.split("train")),
        val_reports=around.val_reports,
        protocol=protocol,
        with_meteor=not skip_meteor,
    )
    Console(highlight=False, markup=False).print(trap_view(traps, protocol, len(around.references)))
