"""`xpronet convert`: predictions of any form in the form that another project reads."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from xpronet.evaluation.prediction_writers import FormName
from xpronet.evaluation.text_columns import FileSettings


def convert(
    predictions: Path,
    /,
    *,
    to: FormName,
    out: Path,
    files: Annotated[FileSettings | None, Parameter(name="*")] = None,
    overwrite: bool = False,
) -> None:
    """Write predictions and their references in the form of another project.

    For example:

        xpronet convert predictions.jsonl --to r2gen --out model_res.csv

    Args:
        predictions: file or dataset folder, as `xpronet evaluate` reads it.
        to: whose form.
        out: file to write; r2gen wants a name that ends in res.csv, vilmedic one that ends in hyps.txt, and both write
            the references beside it.
        files: how the predictions are read.
        overwrite: replace files that are there.
    """
    from xpronet.evaluation.prediction_files import read_prediction_file
    from xpronet.evaluation.prediction_writers import write_prediction_form

    read = read_prediction_file(predictions, settings=files)
    written = write_prediction_form(out, read.predictions, to, overwrite=overwrite)
    console = Console(highlight=False, markup=False)
    console.print(f"Read {predictions} as {read.read_as}", soft_wrap=True)
    console.print(f"Wrote {len(read.predictions)} predictions to {' and '.join(map(str, written))}", soft_wrap=True)
