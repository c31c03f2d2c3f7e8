"""`xpronet constants`: the one text that scores best without any image."""

from pathlib import Path
from typing import Literal

from rich.console import Console


def constants(
    corpus: Path,
    /,
    *,
    split: Literal["val", "test"] = "test",
    protocol: Literal["full-text", "published-iu", "published-mimic"] = "published-iu",
    skip_meteor: bool = False,
) -> None:
    """Find the constant text that scores best, and what it scores.

    For example:

        xpronet constants corpus --protocol full-text --skip-meteor

    Args:
        corpus: corpus folder; images are not needed.
        split: the studies whose references it is scored against.
        protocol: the form of the texts that is compared.
        skip_meteor: leave METEOR out, and with it the seconds that Java takes.
    """
    from xpronet.data.corpus import open_corpus
    from xpronet.evaluation.constant_scores import find_constant_baselines
    from xpronet.evaluation.corpus_context import corpus_context
    from xpronet.evaluation.render import constant_baselines_view

    read = open_corpus(corpus)
    around = corpus_context(read, split)
    baselines = find_constant_baselines(
        tuple(around.references.values()),
        train_reports=tuple(study.report for study in read.split("train")),
        val_reports=around.val_reports,
        protocol=protocol,
        with_meteor=not skip_meteor,
    )
    Console(highlight=False, markup=False).print(constant_baselines_view(baselines, protocol, len(around.references)))
