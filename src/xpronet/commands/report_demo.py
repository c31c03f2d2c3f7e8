"""`xpronet report --demo`: a drawn study and a report about it, to see what a report is."""

from pathlib import Path
from textwrap import fill

from rich.console import Console

from xpronet.launch import program_name

TITLE = 8
"""Width of the title of a line, such as "Report: "."""


def report_demo(out: Path, *, seed: int | None, open_page: bool, overwrite: bool) -> None:
    """Draw a study, write a report about it with the model that comes with the package, and say where its page is.

    Args:
        out: folder for images, page and JSON.
        seed: of the drawing; None for the study that documentation shows.
        open_page: show the page in the browser.
        overwrite: replace the folder whatever it holds.
    """
    from xpronet.experiment.demo_report import SEED, write_demo_report
    from xpronet.training.training_data import DRAWN

    made = write_demo_report(out, seed=SEED if seed is None else seed, overwrite=overwrite)
    console = Console(soft_wrap=True, highlight=False, markup=False)
    for line in made.lines():
        console.print(_wrapped(line, console.width))
    console.print(
        f"Page:   {made.page}, with the evidence for each word and finding: open it in a browser, or add --open"
    )
    console.print(f"Next:   {program_name()} report demo {' '.join(map(str, made.views))}")
    console.print(DRAWN)
    if open_page:
        show_page(made.page)


def _wrapped(line: str, width: int) -> str:
    """Return a line in as many as the terminal needs, below each other behind the line's title."""
    return fill(line, width, subsequent_indent=" " * TITLE, break_long_words=False, break_on_hyphens=False)


def show_page(page: Path) -> None:
    """Show a page in the user's browser."""
    import webbrowser

    webbrowser.open(page.resolve().as_uri())
