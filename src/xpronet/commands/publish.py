"""`xpronet publish`: a trained model for others, as a folder or on the Hugging Face hub."""

from pathlib import Path

from rich.console import Console


def publish(
    run: Path,
    /,
    *,
    to: str,
    name: str | None = None,
    corpus: Path | None = None,
    scorecard: Path | None = None,
    with_permission: bool = False,
    private: bool = False,
    overwrite: bool = False,
) -> None:
    """Publish a model with its card and scorecard, into a folder or a repository of the Hugging Face hub.

    No image, host name or folder goes with it. A model that learned from a corpus whose licence does not let everybody
    publish it is refused. xpronet.load("hub:owner/name") reads it. For the hub, log in once with `hf auth login`, or
    set HF_TOKEN.

    For example:

        xpronet publish run --to folder
        xpronet publish run --to hub:owner/name --private

    Args:
        run: run, checkpoint or model folder; of a run, the best checkpoint is taken.
        to: a folder to write, or hub:owner/name.
        name: what the model card calls it; by default the name of the folder or repository.
        corpus: the corpus that it learned from, where the run does not say: an imported checkpoint, for example.
        scorecard: its scorecard as `xpronet evaluate --out` wrote it; by default the run's scorecard.json.
        with_permission: say that you have the right to publish what was learned from this corpus.
        private: make a new repository that others cannot see.
        overwrite: replace the folder if it is there.
    """
    from xpronet.experiment.publish import publish as publish_model

    done = publish_model(
        run,
        to,
        name=name,
        corpus=corpus,
        scorecard=scorecard,
        with_permission=with_permission,
        private=private,
        overwrite=overwrite,
    )
    console = Console(soft_wrap=True, highlight=False, markup=False)
    for file, size in done.files:
        console.print(f"{size:>12,}  {file}")
    for note in done.notes:
        console.print(f"warning: {note}")
    console.print(f"Published {run} to {done.where}")
