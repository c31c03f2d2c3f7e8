"""`xpronet import-checkpoint`: take over a checkpoint of the published code."""

from pathlib import Path
from typing import Literal

from rich.console import Console


def import_checkpoint(
    file: Path,
    /,
    *,
    annotation: Path,
    out: Path,
    dataset: Literal["iu-xray", "mimic-cxr"] = "iu-xray",
    gamma: int = 15,
    overwrite: bool = False,
) -> None:
    """Take over a checkpoint of the published model.

    The file holds no words: they are built again from the train reports it was trained with. Nothing in it is run.

    For example:

        xpronet import-checkpoint model.pth --annotation annotation.json --out model

    Args:
        file: the authors' .pth file, or a .safetensors file with the same names.
        annotation: the annotation.json that it was trained with.
        out: the checkpoint folder to write.
        dataset: whose rules it was trained under: cleaning, rare words, lengths, views, order of findings.
        gamma: prototypes that respond to a query; the file does not say.
        overwrite: replace the checkpoint folder if it exists.
    """
    from dataclasses import replace

    from xpronet.files import new_folder
    from xpronet.model.published_checkpoint import (
        PUBLISHED_CORPORA,
        PUBLISHED_MODEL,
        import_published,
        read_authors_file,
    )
    from xpronet.text.vocabulary import build_vocabulary

    corpus = PUBLISHED_CORPORA[dataset]
    # Opened first: a folder that may not be replaced is refused before the work, not after.
    with new_folder(out, overwrite=overwrite) as folder:
        vocabulary = build_vocabulary(_train_reports(annotation), corpus.vocabulary)
        settings = replace(PUBLISHED_MODEL, gamma=gamma)
        checkpoint = import_published(read_authors_file(file), vocabulary, corpus, where=str(file), settings=settings)
        checkpoint.training = {"imported": file.name, "dataset": dataset}
        checkpoint.save(folder)
    Console(highlight=False, markup=False, soft_wrap=True).print(
        f"{out}: the published model with {len(vocabulary)} words; it predicts no findings, so choose --labels-from "
        "reference or all"
    )


def _train_reports(annotation: Path) -> list[str]:
    """Return the reports as they stand, one an entry: the published word counts depend on both."""
    from xpronet.errors import InputError
    from xpronet.files import read_json

    record = read_json(annotation)
    entries = record.get("train") if isinstance(record, dict) else None
    if not isinstance(entries, list) or not entries:
        raise InputError(f"{annotation}: no list of studies under train; give an annotation.json")
    reports: list[str] = []
    for number, entry in enumerate(entries, 1):
        report = entry.get("report") if isinstance(entry, dict) else None
        if not isinstance(report, str):
            raise InputError(f"{annotation}: train entry {number} has no report")
        reports.append(report)
    return reports
