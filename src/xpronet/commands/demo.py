"""`xpronet demo`: the whole pipeline on drawn X-rays, from nothing to a page that explains reports."""

from pathlib import Path

from rich.console import Console


def demo(
    *, out: Path = Path("demo"), studies: int = 2400, seed: int = 0, epochs: int | None = None, overwrite: bool = False
) -> None:
    """Run the whole pipeline on drawn chest X-rays: prepare, label, prototypes, train, generate, evaluate, report.

    Args:
        out: folder for everything that is made.
        studies: drawn studies; fewer is faster and worse.
        seed: of the drawings.
        epochs: passes over the train studies, in place of the recipe's.
        overwrite: replace the folder if it is there.
    """
    import dataclasses
    import shutil
    import time

    from xpronet.commands.demo_page import write_demo_page
    from xpronet.commands.evaluate import evaluate
    from xpronet.commands.generate import generate
    from xpronet.commands.label import label
    from xpronet.commands.prepare_phantom import phantom
    from xpronet.errors import InputError
    from xpronet.experiment.recipe import read_recipe, shipped_recipe
    from xpronet.experiment.run import train_run
    from xpronet.progress import on_console

    console = Console(soft_wrap=True)
    started = time.monotonic()

    def heading(step: str) -> None:
        console.print(f"\n[bold]{step}[/bold]  ({time.monotonic() - started:.0f} s)")

    if out.exists() and any(out.iterdir()):
        if not overwrite:
            raise InputError(f"{out}: already exists; choose another name or add --overwrite")
        if not (out / "corpus" / "corpus.json").is_file():
            raise InputError(f"{out}: holds something else than an earlier demo; choose another name")
        shutil.rmtree(out)
    corpus, run, predictions = out / "corpus", out / "run", out / "predictions.jsonl"

    heading("1 of 6  Draw studies")
    phantom(out=corpus, studies=studies, seed=seed, prevalence="balanced", size=128)
    heading("2 of 6  Read the findings from the reports, and compare them with the truth")
    label(corpus, against=corpus / "labels.csv")
    heading("3 of 6  Make prototypes and train")
    recipe = read_recipe(shipped_recipe("phantom"), () if epochs is None else (f"train.epochs={epochs}",))
    train_run(dataclasses.replace(recipe, corpus=str(corpus)), run, track=on_console)
    heading("4 of 6  Write reports about the test studies")
    generate(run, corpus=corpus, out=predictions)
    heading("5 of 6  Score them")
    evaluate(predictions, corpus=corpus, out=out / "scorecard.json")
    heading("6 of 6  Explain some of them")
    page = out / "reports.html"
    write_demo_page(page, run=run, corpus=corpus, scorecard=out / "scorecard.json")
    console.print(f"Done in {time.monotonic() - started:.0f} s. Open this page: {page.resolve()}")
