"""`xpronet evaluate`: a scorecard for the predictions of any model, or a comparison of two."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from rich.console import Console

from xpronet.evaluation.settings import EvaluationSettings
from xpronet.evaluation.text_columns import FileSettings


def evaluate(
    predictions: Path,
    /,
    *,
    against: Path | None = None,
    corpus: Path | None = None,
    train_corpus: Path | None = None,
    split: Literal["train", "val", "test"] | None = None,
    run: Path | None = None,
    files: Annotated[FileSettings | None, Parameter(name="*")] = None,
    settings: Annotated[EvaluationSettings | None, Parameter(name="*")] = None,
    out: Path | None = None,
    claims: bool = False,
    overwrite: bool = False,
) -> None:
    """Score predictions against references, beside baselines that need no image.

    For example:

        xpronet evaluate predictions.jsonl --corpus corpus --out scorecard.json
        xpronet evaluate predictions.jsonl --against other.jsonl --corpus corpus

    Args:
        predictions: generated reports, with references unless --corpus or --references has them: JSON lines, JSON,
            CSV, lines of text, a dataset on disk, or the files of R2Gen, ViLMedic, RadEval and ReXrank; or, with
            --against, a scorecard that was saved (.json).
        against: other predictions about the same studies, to compare with study by study; or another saved scorecard,
            to show beside the first.
        corpus: corpus folder with the references, and with the train and validation reports for the constants; by
            default the one that `xpronet generate` wrote the predictions about, where it is still there.
        train_corpus: corpus folder that the model learned from, where it is not that of the references; by default the
            one that the run's recipe names.
        split: the split of the corpus that was predicted; by default what generate says, else test.
        run: the run that generated the predictions, where predictions.run.json does not tell or it has moved.
        files: how the file is read, where its names do not tell.
        settings: how they are scored.
        out: JSON file to write; the same as a Markdown page is written beside it.
        claims: show instead how far the doubt in the predictions is where the errors are: the share of claims shown
            against the share of these that is false, and what became of a guarantee.
        overwrite: replace the files of --out if they are there.
    """
    from xpronet.data.corpus import open_corpus
    from xpronet.errors import InputError
    from xpronet.evaluation.comparison import is_scorecard, side_by_side
    from xpronet.evaluation.evaluate import evaluate as score
    from xpronet.evaluation.evaluate import evaluate_against
    from xpronet.evaluation.render import comparison_view, scorecard_view, side_by_side_view
    from xpronet.evaluation.scorecard_files import check_scorecard_files, write_scorecard_files
    from xpronet.progress import on_console

    console = Console(highlight=False, markup=False)
    if claims:
        from xpronet.evaluation.claim_scores import score_claims

        studies = open_corpus(corpus).split(split or "test") if corpus is not None else ()
        references = {study.id: study.report for study in studies}
        for line in score_claims(predictions, references).lines():
            console.print(line, soft_wrap=True)
        return
    if is_scorecard(predictions):
        if against is None or not is_scorecard(against):
            raise InputError(f"{predictions}: a scorecard is compared with another: name it with --against OTHER.json")
        console.print(
            side_by_side_view(side_by_side(predictions, against, force=settings is not None and settings.force))
        )
        return
    check_scorecard_files(out, overwrite=overwrite)
    comparison = None
    if against is None:
        card = score(
            predictions,
            corpus=corpus,
            train_corpus=train_corpus,
            split=split,
            run=run,
            files=files,
            settings=settings,
            track=on_console,
        )
    else:
        card, comparison = evaluate_against(
            predictions,
            against,
            corpus=corpus,
            train_corpus=train_corpus,
            split=split,
            run=run,
            files=files,
            settings=settings,
            track=on_console,
        )
    console.print(f"Read {predictions} as {card.stamp['read as']}.", soft_wrap=True)
    console.print(scorecard_view(card))
    if comparison is not None:
        console.print(comparison_view(comparison))
    if out is not None:
        page = write_scorecard_files(out, card, comparison, overwrite=overwrite)
        console.print(f"Wrote {out} and {page}", soft_wrap=True)
