"""`xpronet evaluate`: a scorecard for the predictions of any model, or a comparison of two."""

from pathlib import Path
from typing import Literal

from rich.console import Console


def evaluate(
    predictions: Path,
    /,
    *,
    against: Path | None = None,
    corpus: Path | None = None,
    split: Literal["train", "val", "test"] | None = None,
    run: Path | None = None,
    probe: bool = False,
    probe_studies: int | None = None,
    grounding: bool = False,
    protocol: Literal["full-text", "published-iu", "published-mimic"] = "full-text",
    truth: Literal["reference", "corpus"] = "reference",
    out: Path | None = None,
    seed: int = 0,
    skip_meteor: bool = False,
    skip_retrieval: bool = False,
    force: bool = False,
    overwrite: bool = False,
) -> None:
    """Score predictions against references, beside what needs no image.

    Args:
        predictions: JSON lines (or .csv) with id, report and, unless --corpus has it, reference; or, with --against,
            a scorecard that was saved (.json).
        against: other predictions about the same studies, to compare with study by study; or another saved scorecard,
            to show beside the first.
        corpus: corpus folder with the references, and with the train and validation reports for the constants; by
            default the one that `xpronet generate` wrote the predictions about, where it is still there.
        split: the split of the corpus that was predicted; by default what generate says, else test.
        run: the run that wrote the predictions, where predictions.run.json does not tell or it has moved.
        probe: let the model write again, from other, blank and mirrored images: what it loses is what the images
            are worth to it.
        probe_studies: probe and ground so many studies, drawn at random; by default all.
        grounding: compare where the model looks with where the findings are, in a corpus that knows it (phantom).
        protocol: the form of the texts that is compared; the published ones give scores comparable with the field's.
        truth: read the true findings from the references, or take them from the corpus's labels.csv.
        out: JSON file to write; the same as a Markdown page is written beside it.
        seed: of resamples and random baselines.
        skip_meteor: leave METEOR out, and with it the seconds that Java takes.
        skip_retrieval: leave out the reports of the most similar train images, and with them a look at all of those.
        force: show two saved scorecards beside each other though they were not measured alike.
        overwrite: replace the files of --out if they are there.
    """
    from xpronet.errors import InputError
    from xpronet.evaluation.comparison import compare_predictions, is_scorecard, side_by_side
    from xpronet.evaluation.grounding import ground
    from xpronet.evaluation.image_dependence import probe as ask_again
    from xpronet.evaluation.inputs import gather_inputs
    from xpronet.evaluation.prediction_files import read_predictions
    from xpronet.evaluation.render import (
        comparison_markdown,
        comparison_view,
        scorecard_markdown,
        scorecard_view,
        side_by_side_view,
    )
    from xpronet.evaluation.retrieval import most_similar_reports
    from xpronet.evaluation.scorecard import score
    from xpronet.files import write_json, write_text
    from xpronet.progress import on_console

    console = Console(highlight=False, markup=False)
    if is_scorecard(predictions):
        if against is None or not is_scorecard(against):
            raise InputError(f"{predictions}: a scorecard is compared with another: name it with --against OTHER.json")
        console.print(side_by_side_view(side_by_side(predictions, against, force=force)))
        return
    page_file = None if out is None else out.with_suffix(".md")
    for file in (out, page_file):
        if file is not None and file.exists() and not overwrite:
            raise InputError(f"{file}: already exists; choose another name or add --overwrite")
    inputs = gather_inputs(
        predictions,
        corpus=corpus,
        split=split,
        run=run,
        table=truth == "corpus",
        needs_model=probe or grounding,
        wants_model=not skip_retrieval,
        track=on_console,
    )
    scored, around, source = inputs.predictions, inputs.around, inputs.source
    retrieved = probed = grounded = None
    if source is not None and not skip_retrieval:
        retrieved = most_similar_reports(source, seed=seed)
    if source is not None and probe:
        yardstick, written = inputs.yardstick(protocol), [prediction.report for prediction in scored]
        probed = ask_again(source.reports, source.studies, yardstick, written, seed=seed, limit=probe_studies)
    if source is not None and grounding:
        grounded = ground(source, seed=seed, limit=probe_studies)
    card = score(
        scored,
        train_reports=around.train_reports,
        val=around.val_reports,
        protocol=protocol,
        seed=seed,
        truth=inputs.table,
        retrieved=retrieved,
        grounding=grounded,
        probe=probed,
        speed=None if inputs.origin is None else inputs.origin.rate,
        stamp=inputs.stamp,
        notes=inputs.notes,
        with_meteor=not skip_meteor,
    )
    record, page = card.record(), scorecard_markdown(card)
    console.print(scorecard_view(card))
    if against is not None:
        comparison = compare_predictions(
            scored,
            read_predictions(against, around.references),
            names=(predictions.name, against.name),
            train_reports=around.train_reports,
            protocol=protocol,
            seed=seed,
            truth=inputs.table,
            with_meteor=not skip_meteor,
        )
        console.print(comparison_view(comparison))
        record["comparison"] = comparison.record()
        page += "\n" + comparison_markdown(comparison)
    if out is not None and page_file is not None:
        write_json(out, record, overwrite=overwrite)
        write_text(page_file, page, overwrite=overwrite)
        console.print(f"Wrote {out} and {page_file}", soft_wrap=True)
