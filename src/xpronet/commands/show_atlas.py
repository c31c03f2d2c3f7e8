"""`xpronet show atlas`: a t-SNE map of the prototypes, the paper's figure 2."""

from collections.abc import Mapping
from pathlib import Path

from rich.console import Console


def atlas(
    run: Path,
    /,
    *,
    out: Path,
    corpus: Path | None = None,
    seed: int = 0,
    perplexity: float = 30.0,
    allow_code: bool = False,
    overwrite: bool = False,
) -> None:
    """Draw the prototypes in two dimensions by t-SNE, each finding with a marker of its own.

    For example:

        xpronet show atlas run --out atlas.png

    Args:
        run: run or checkpoint folder.
        out: figure to write, .png or .svg.
        corpus: corpus folder whose train studies are counted; by default the counts that the run's bank was made from.
        seed: the same seed gives the same map.
        perplexity: of t-SNE: the effective number of neighbours.
        allow_code: let the checkpoint name Python objects of installed packages.
        overwrite: replace an existing file.
    """
    from xpronet.experiment.run import BANK_FILE
    from xpronet.model.checkpoint import load_checkpoint
    from xpronet.prototypes.bank import PrototypeBank
    from xpronet.show.atlas import AtlasSettings, draw_atlas, make_atlas, projected_bank, prototype_findings
    from xpronet.show.figures import check_figure

    settings = AtlasSettings(seed=seed, perplexity=perplexity)
    check_figure(out, overwrite=overwrite)
    checkpoint = load_checkpoint(run, allow_code=allow_code)
    vectors = projected_bank(checkpoint, run)
    bank = PrototypeBank.load(run / BANK_FILE) if (run / BANK_FILE).is_file() else None
    made = make_atlas(vectors, prototype_findings(checkpoint, bank, run), settings)
    counts: Mapping[str, int] | None = _counts(corpus) if corpus is not None else bank.counts if bank else None
    draw_atlas(made, counts, out, title=f"Prototypes of {run.resolve().name}", overwrite=overwrite)
    Console(soft_wrap=True).print(
        f"Wrote {out}: {len(vectors)} prototypes; the nearest neighbour of {made.purity:.0%} is of the same finding "
        f"(by chance {made.chance:.0%})",
        highlight=False,
        markup=False,
    )


def _counts(folder: Path) -> dict[str, int]:
    """Return how many train studies have each finding."""
    from xpronet.data.corpus import LABELS_FILE, open_corpus
    from xpronet.labels.findings import FINDINGS
    from xpronet.labels.label_tables import label_matrix, read_labels

    ids = [study.id for study in open_corpus(folder).split("train")]
    labels = label_matrix(read_labels(folder / LABELS_FILE, ids), ids)
    return {name: int(count) for name, count in zip(FINDINGS, (labels == 1).sum(0), strict=True)}
