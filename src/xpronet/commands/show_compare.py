"""`xpronet show compare`: reports of several models beside the reference, the paper's figure 4."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from xpronet.show.compare import Mark


def compare(
    runs: tuple[Path, ...],
    /,
    *,
    corpus: Path,
    study: Annotated[tuple[str, ...], Parameter(consume_multiple=True)] = (),
    out: Path | None = None,
    mark: Literal["words", "phrases"] = "words",
    beams: int = 3,
    overwrite: bool = False,
) -> None:
    """Write reports with several models and mark what the reference has too, on the terminal and as a figure.

    Args:
        runs: run or checkpoint folders.
        corpus: corpus folder.
        study: ids of the studies: --study A B; by default three of the test split, evenly picked.
        out: figure to write, .png or .svg; by default there is text only.
        mark: every word that the reference has too (as the paper does), or phrases of three words and sentences.
        beams: width of the search.
        overwrite: replace the file if it is there.
    """
    from xpronet.commands.show_studies import StudyViews, study_of, write_one
    from xpronet.data.corpus import open_corpus
    from xpronet.model.checkpoint import load_checkpoint
    from xpronet.show.compare import ComparedStudy, Told, draw_comparison
    from xpronet.show.figures import check_figure
    from xpronet.show.run_names import run_names

    if out is not None:
        check_figure(out, overwrite=overwrite)
    names = run_names(runs)
    folder = open_corpus(corpus)
    if not study:
        test = folder.split("test")
        study = tuple(dict.fromkeys(test[number * len(test) // 3].id for number in range(3)))
    told: dict[str, list[Told]] = {study_id: [] for study_id in study}
    shown: dict[str, StudyViews] = {}
    for run, name in zip(runs, names, strict=True):
        checkpoint = load_checkpoint(run)
        for study_id in told:
            seen = study_of(folder, study_id, checkpoint)
            report = write_one(checkpoint, seen, beams=beams)
            oracle = report.labels_from == "reference"
            told[study_id].append(Told(name=name, text=report.text, oracle=oracle))
            # Models may see other squares of an image; the first one's are shown.
            shown.setdefault(study_id, seen)
    studies = [
        ComparedStudy(id=each, views=seen.views, reference=seen.reference or "", told=tuple(told[each]))
        for each, seen in shown.items()
    ]
    console = Console(highlight=False, markup=False, soft_wrap=True)
    _print(console, studies, mark)
    if out is not None:
        draw_comparison(studies, out, mark=mark, overwrite=overwrite)
        console.print(f"Wrote {out}")


def _print(console: Console, studies: "list[Comparison]", mark: "Mark") -> None:
    """Print the reports: what is shared in colour on a terminal, in [brackets] elsewhere."""
    from xpronet.show.compare import mark_text, plain_text

    for study in studies:
        console.print(Text(study.id, "bold"))
        console.print(Text.assemble(("Reference: ", "bold"), study.reference))
        for told in study.told:
            marked = mark_text(told.text, study.reference, mark)
            oracle = ", ORACLE LABELS" if told.oracle else ""
            line = Text(f"{told.name} ({marked.shared} of {marked.words} words{oracle}): ", "bold")
            if console.is_terminal:
                for text, shared in marked.pieces:
                    line.append(text, "not bold blue underline" if shared else "not bold")
            else:
                line.append(plain_text(marked))
            console.print(line)
        console.print()
