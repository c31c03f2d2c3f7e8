"""The demo: the whole pipeline on drawn chest X-rays, from nothing to a page of explained reports."""

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

from xpronet.data.corpus import LABELS_FILE, open_corpus
from xpronet.deploy.load import load
from xpronet.errors import InputError
from xpronet.evaluation.baselines import BEST_CONSTANT, FINDINGS_CONSTANT
from xpronet.evaluation.evaluate import evaluate
from xpronet.evaluation.finding_f1 import MAIN, table_agreement
from xpronet.evaluation.scorecard import Scorecard
from xpronet.evaluation.scorecard_files import write_scorecard_files
from xpronet.evaluation.settings import EvaluationSettings
from xpronet.experiment.demo_page import write_demo_page
from xpronet.experiment.recipe import read_recipe, shipped_recipe
from xpronet.experiment.run import train_together
from xpronet.generation.fit_claims import FEWEST, calibrate_run
from xpronet.generation.generate import divide_split, generate, generate_arguments
from xpronet.generation.settings import GenerationSettings
from xpronet.labels.label_tables import read_labels
from xpronet.labels.labelers import make_labeler
from xpronet.phantom.make_corpus import PhantomSettings, make_phantom
from xpronet.progress import Tracker, silent
from xpronet.show.find_examples import ExampleSettings, run_examples
from xpronet.training.processes import work_together

CORPUS, RUN, PREDICTIONS, SCORECARD, PAGE = "corpus", "run", "predictions.jsonl", "scorecard.json", "reports.html"
"""What the demo leaves in its folder."""
EPOCHS = 12
"""Fewer than the recipe's: a demo that is waited for."""
EXAMPLE_STUDIES = 24
"""Train studies with each finding among which each prototype's examples are looked for: some seconds."""
IMAGE_SIZE = 128
"""Side of the drawn images, in pixels."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DemoResult:
    """What the demo made."""

    scorecard: Scorecard
    """Scores of the reports about the test studies."""
    page: Path
    """The page that explains some of them."""
    run: Path
    """The trained model."""
    views: tuple[Path, ...]
    """The images of a test study, to try the model on."""

    def closing_lines(self, program: str) -> list[str]:
        """Return in plain words what the model can and cannot do, where the page is, and what to try next.

        Args:
            program: how `xpronet` is called here.
        """
        record = self.scorecard.to_dict()
        constants = [row["scores"] for row in record["baselines"] if row["name"] in (BEST_CONSTANT, FINDINGS_CONSTANT)]
        reached = record["model"]["scores"][MAIN]["value"]
        constant = max(scores[MAIN]["value"] for scores in constants if MAIN in scores)
        return [
            "What this model can do: write a report about a drawn chest X-ray, from a frontal view, a lateral one or "
            f"both. On {record['studies']} studies that it had not seen, the thirteen findings in its reports reach "
            f"a macro-F1 of {reached:.2f} of 1; the best single text for all studies reaches {constant:.2f}.",
            "What it cannot do: read a real X-ray. It has seen nothing but drawings; whatever it writes about a "
            "patient's image means nothing.",
            f"See what it wrote, and what it looked at for each word: open {self.page.resolve()} in a browser.",
            "Try next:",
            f"  {program} report {self.run} {' '.join(map(str, self.views))}",
            f"  {program} evaluate {self.page.parent / PREDICTIONS} --corpus {self.page.parent / CORPUS} --probe "
            "--probe-studies 100    # how much of it comes from the images",
            "  README.md and docs/data.md: your own images and reports; IU X-Ray and MIMIC-CXR",
        ]


def run_demo(
    out: Path,
    *,
    studies: int = 2400,
    seed: int = 0,
    epochs: int | None = None,
    overwrite: bool = False,
    track: Tracker = silent,
    start_step: Callable[[str], object] = lambda _: None,
    notify: Callable[[str], object] = lambda _: None,
) -> DemoResult:
    """Draw studies, label them, train, generate reports, score them and explain some of them.

    Args:
        out: folder for everything that is made.
        studies: number of drawn studies.
        seed: of the drawings.
        epochs: of training; by default `EPOCHS`.
        overwrite: replace the folder of an earlier demo.
        track: shows progress.
        start_step: takes the title of each step when it begins.
        notify: takes a line about the result of a step.

    Raises:
        InputError: the folder is not empty.
    """
    _clear(out, overwrite=overwrite)
    corpus, run = out / CORPUS, out / RUN

    start_step("1 of 7  Draw studies")
    settings = PhantomSettings(studies=studies, seed=seed, prevalence="balanced", size=IMAGE_SIZE)
    counts = make_phantom(corpus, settings, track=track)
    notify(f"{corpus}: {studies} studies ({', '.join(f'{count} {split}' for split, count in counts.items())})")

    start_step("2 of 7  Read the findings from the reports, and compare them with the drawings")
    notify(_labeler_agreement(corpus, track=track))

    start_step("3 of 7  Make prototypes and train")
    recipe = read_recipe(shipped_recipe("phantom"), (f"train.epochs={epochs or EPOCHS}",))
    train_together(dataclasses.replace(recipe, corpus=str(corpus)), run, track=track, notify=notify)

    start_step("4 of 7  Weigh the findings against the wording, on validation studies")
    drawn = open_corpus(corpus)
    if len(drawn.split("val")) >= FEWEST:
        for line in calibrate_run(run, drawn, track=track).lines():
            notify(line)
    else:
        notify(f"fewer than {FEWEST} validation studies: reports are searched for by their wording alone")

    start_step("5 of 7  Generate reports about the test studies")
    generator = load(run)
    arguments = generate_arguments(run, corpus=corpus, out=out / PREDICTIONS, settings=GenerationSettings())
    with work_together(lambda _: arguments, divide_split(corpus, "test")) as context:
        summary = generate(
            generator,
            run=run,
            corpus=corpus,
            out=out / PREDICTIONS,
            settings=GenerationSettings(),
            context=context,
            track=track,
        )
    notify(f"{summary.reports} reports, {summary.rate:.1f} a second, in {out / PREDICTIONS}")

    start_step("6 of 7  Score them")
    # METEOR would take Java, and a third of the scoring's time.
    card = evaluate(out / PREDICTIONS, corpus=corpus, settings=EvaluationSettings(skip_meteor=True), track=track)
    write_scorecard_files(out / SCORECARD, card)

    start_step("7 of 7  Explain some of them")
    notify(run_examples(run, drawn, ExampleSettings(studies=EXAMPLE_STUDIES), track=track))
    write_demo_page(out / PAGE, generator=generator, corpus=drawn, scorecard=card)
    shown = drawn.split("test")[0]
    return DemoResult(
        scorecard=card, page=out / PAGE, run=run, views=tuple(drawn.view_path(view) for view in shown.views)
    )


def _clear(out: Path, *, overwrite: bool) -> None:
    """Make sure that the folder is empty; only an earlier demo is ever removed."""
    if not out.exists() or not any(out.iterdir()):
        return
    if not overwrite:
        raise InputError(f"{out}: already exists; choose another name or add --overwrite")
    if not (out / CORPUS / "corpus.json").is_file():
        raise InputError(f"{out}: holds something other than an earlier demo; choose another name")
    shutil.rmtree(out)


def _labeler_agreement(corpus: Path, *, track: Tracker) -> str:
    """Return a line on how well the labeler reads from the reports what is drawn."""
    studies = open_corpus(corpus).studies
    truth = read_labels(corpus / LABELS_FILE, [study.id for study in studies])
    labeler = make_labeler("rules")
    texts = track([(study.id, study.report) for study in studies], "Label", len(studies))
    agreement = table_agreement(truth, dict(labeler.label_many(texts)))
    return (
        f"{agreement.studies} reports labelled; against what is drawn, micro-F1 {agreement.micro.f1 or 0.0:.3f}, "
        f"macro-F1 {agreement.macro.f1 or 0.0:.3f}"
    )
