"""A scorecard as files: JSON, and the same as a Markdown page beside it."""

from pathlib import Path

from xpronet.errors import InputError
from xpronet.evaluation.comparison import Comparison
from xpronet.evaluation.render import comparison_markdown, scorecard_markdown
from xpronet.evaluation.scorecard import Scorecard
from xpronet.files import write_json, write_text


def check_scorecard_files(out: Path | None, *, overwrite: bool) -> None:
    """Refuse files that are there already, before any work.

    Raises:
        InputError: the JSON file or the page is there and `overwrite` is false.
    """
    for file in () if out is None else (out, out.with_suffix(".md")):
        if file.exists() and not overwrite:
            raise InputError(f"{file}: already exists; choose another name or add --overwrite")


def write_scorecard_files(
    out: Path, card: Scorecard, comparison: Comparison | None = None, *, overwrite: bool = False
) -> Path:
    """Write a scorecard, with a comparison where there is one; return the page's path.

    Raises:
        InputError: a file is there and `overwrite` is false, or it cannot be written.
    """
    record, page, path = card.to_dict(), scorecard_markdown(card), out.with_suffix(".md")
    if comparison is not None:
        record["comparison"] = comparison.record()
        page += "\n" + comparison_markdown(comparison)
    write_text(path, page, overwrite=overwrite)
    write_json(out, record, overwrite=overwrite)
    return path
