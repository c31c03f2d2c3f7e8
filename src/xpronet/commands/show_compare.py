"""`xpronet show compare`: reports of several models beside the reference, the paper's figure 4."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from xpronet.show.compare import ComparedStudy, MarkUnit


def compare(
    runs: tuple[Path, ...],
    /,
    *,
    corpus: Path,
    study: Annotated[tuple[str, ...], Parameter(consume_multiple=True)] = (),
    out: Path | None = None,
    mark: Literal["words", "phrases"] = "words",
    beams: int | None = None,
    allow_code: bool = False,
    overwrite: bool = False,
) -> None:
    """Generate reports with several models and mark what they share with the reference, as text and as a figure.

    For example:

        xpronet show compare run other --corpus corpus --out compare.png

    Args:
        runs: run or checkpoint folders.
        corpus: corpus folder.
        study: ids of the studies: --study A B; by default three of the test split, evenly spaced.
        out: figure to write, .png or .svg; by default there is text only.
        mark: every shared word (as in the paper), or shared phrases of three words and sentences only.
        beams: beam width; by default as the model was saved with.
        allow_code: let the checkpoint name Python objects of installed packages.
        overwrite: replace an existing file.
    """
    from xpronet.commands.show_studies import StudyViews, study_of, write_one
    from xpronet.data.corpus import open_corpus
    from xpronet.model.checkpoint import load_checkpoint
    from xpronet.show.compare import ComparedStudy, ModelReport, draw_comparison
    from xpronet.show.figures import check_figure, run_names

    if out is not None:
        check_figure(out, overwrite=overwrite)
    names = run_names(runs)
    folder = open_corpus(corpus)
    if not study:
        test = folder.split("test")
        study = tuple(dict.fromkeys(test[number * len(test) // 3].id for number in range(3)))
    reports: dict[str, list[ModelReport]] = {study_id: [] for study_id in study}
    shown: dict[str, StudyViews] = {}
    for run, name in zip(runs, names, strict=True):
        checkpoint = load_checkpoint(run, allow_code=allow_code)
        for study_id in reports:
            seen = study_of(folder, study_id, checkpoint)
            report = write_one(checkpoint, seen, beams=beams)
            oracle = report.labels_from == "reference"
            reports[study_id].append(ModelReport(model=name, text=report.text, oracle=oracle))
            # Models may crop images differently; the first one's are shown.
            shown.setdefault(study_id, seen)
    studies = [
        ComparedStudy(id=each, views=seen.views, reference=seen.reference or "", reports=tuple(reports[each]))
        for each, seen in shown.items()
    ]
    console = Console(highlight=False, markup=False, soft_wrap=True)
    _print(console, studies, mark)
    if out is not None:
        draw_comparison(studies, out, mark=mark, overwrite=overwrite)
        console.print(f"Wrote {out}")


def _print(console: Console, studies: "list[ComparedStudy]", mark: "MarkUnit") -> None:
    """Print the reports: shared words in colour on a terminal, in [brackets] elsewhere."""
    from xpronet.show.compare import mark_text, plain_text

    for study in studies:
        console.print(Text(study.id, "bold"))
        console.print(Text.assemble(("Reference: ", "bold"), study.reference))
        for report in study.reports:
            marked = mark_text(report.text, study.reference, mark)
            oracle = ", ORACLE LABELS" if report.oracle else ""
            line = Text(f"{report.model} ({marked.shared} of {marked.words} words{oracle}): ", "bold")
            if console.is_terminal:
                for text, shared in marked.pieces:
                    line.append(text, "not bold blue underline" if shared else "not bold")
            else:
                line.append(plain_text(marked))
            console.print(line)
        console.print()
