"""A map of the prototypes a model learned, neighbours beside each other: the paper's figure 2."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int

from xpronet.errors import InputError
from xpronet.files import printable
from xpronet.labels.findings import FINDINGS
from xpronet.model.checkpoint import Checkpoint
from xpronet.prototypes.bank import PrototypeBank
from xpronet.show.figures import FINDING_MARKS, WIDTH, house_style, save_figure

EXACT_UP_TO = 2_000
"""Prototypes up to which t-SNE sums over all pairs; with more it approximates the far ones."""


@dataclass(frozen=True, kw_only=True)
class AtlasSettings:
    """How the map is made."""

    seed: int = 0
    """What the map's start is drawn with; the same seed gives the same map."""
    perplexity: float = 30.0
    """About how many neighbours of a prototype count as near; lowered where there are too few prototypes for it."""

    def __post_init__(self) -> None:
        if self.seed < 0 or not 1 <= self.perplexity <= 1_000:
            raise InputError("an atlas needs a seed of at least 0 and a perplexity from 1 to 1000")


@dataclass(frozen=True, kw_only=True)
class Atlas:
    """The prototypes on a plane."""

    places: Float[np.ndarray, "prototypes 2"]
    """Where t-SNE put each; distances between far groups mean nothing."""
    owners: tuple[str, ...]
    """The finding whose prototype each is."""
    purity: float
    """Share of the prototypes whose nearest in the full space (by cosine) belongs to the same finding."""
    chance: float
    """What that share would be if the findings were dealt out at random."""


def projected_bank(checkpoint: Checkpoint, where: Path) -> Float32[np.ndarray, "prototypes width"]:
    """Return the model's prototypes as its queries meet them: projected to its width (paper, eq. 8).

    Raises:
        InputError: the model has no prototypes; `where` names it.
    """
    import torch

    if checkpoint.network.matching is None:
        raise InputError(f"{where}: this model has no prototypes (model.visible = none); name another run")
    with torch.inference_mode():
        return checkpoint.network.matching.projected().float().cpu().numpy()


def owners(checkpoint: Checkpoint, bank: PrototypeBank | None, where: Path) -> tuple[str, ...]:
    """Return the finding whose prototype each row is.

    Args:
        checkpoint: with prototypes.
        bank: what they were before training, where it is known.
        where: names the run in messages.

    Raises:
        InputError: the prototypes belong to no finding.
    """
    settings = checkpoint.network.settings
    if settings.visible == "findings":
        return tuple(name for name in checkpoint.findings for _ in range(settings.per_finding))
    if bank is None or len(bank.vectors) != settings.bank_rows:
        raise InputError(
            f"{where}: the prototypes of this model belong to no finding (model.visible = {settings.visible}); "
            "name a run whose prototypes are those of findings"
        )
    return tuple(name for name in bank.findings for _ in range(bank.per_finding))


def make_atlas(
    vectors: Float32[np.ndarray, "prototypes width"], owners: tuple[str, ...], settings: AtlasSettings
) -> Atlas:
    """Lay prototypes out by t-SNE, and say how well they are grouped where nothing was flattened.

    Args:
        vectors: the projected bank.
        owners: the finding of each row.
        settings: seed and perplexity.

    Raises:
        InputError: there are fewer than four prototypes.
    """
    from sklearn.manifold import TSNE

    count = len(vectors)
    if count < 4:
        raise InputError(f"{count} prototypes make no atlas; it takes four at least")
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    mapped = TSNE(
        n_components=2,
        # More neighbours than a third of all are refused, and mean nothing.
        perplexity=min(settings.perplexity, (count - 1) / 3),
        init="pca",
        learning_rate="auto",
        method="exact" if count <= EXACT_UP_TO else "barnes_hut",
        random_state=settings.seed,
    ).fit_transform(vectors)
    groups = np.array([FINDINGS.index(name) for name in owners])
    return Atlas(
        places=np.asarray(mapped, np.float64), owners=owners, purity=_purity(unit, groups), chance=_chance(groups)
    )


def draw_atlas(
    atlas: Atlas,
    counts: Mapping[str, int] | None,
    path: Path,
    *,
    title: str,
    counted: str = "train studies",
    overwrite: bool = False,
) -> None:
    """Draw the map: a mark a prototype, and in the legend how many studies have each finding.

    Args:
        atlas: as `make_atlas` returns it.
        counts: studies with each finding, by name; None where nobody knows.
        path: the .png or .svg file.
        title: what stands above.
        counted: what `counts` counts.
        overwrite: replace the file if it is there.
    """
    from matplotlib.figure import Figure

    with house_style():
        figure = Figure(figsize=(WIDTH, 7.4), layout="constrained")
        axes: Any = figure.subplots()
        for name in dict.fromkeys(atlas.owners):
            mark = FINDING_MARKS[name]
            chosen = atlas.places[[owner == name for owner in atlas.owners]]
            count = "" if counts is None else f"  {counts.get(name, 0):,}"
            axes.plot(
                chosen[:, 0],
                chosen[:, 1],
                linestyle="none",
                marker=mark.shape,
                markersize=10 if mark.shape in "*P" else 8,
                markeredgecolor=mark.colour,
                markeredgewidth=1.8 if not mark.filled else 0.6,
                markerfacecolor=mark.colour if mark.filled else "white",
                alpha=0.9,
                label=name + count,
            )
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(True)
        axes.spines[:].set_color("0.75")
        axes.set_title(printable(title), loc="left", fontsize=14)
        axes.set_xlabel(
            f"{len(atlas.owners)} prototypes by t-SNE; distances between far groups mean nothing.\n"
            f"In the full space the nearest prototype is of the same finding for {atlas.purity:.0%} of them "
            f"(by chance: {atlas.chance:.0%})."
        )
        figure.legend(
            loc="outside right upper",
            title=f"Finding, {counted}" if counts is not None else "Finding",
            frameon=False,
            fontsize=12,
            title_fontsize=12,
            labelspacing=0.8,
            alignment="left",
        )
        save_figure(figure, path, overwrite=overwrite)


def _purity(unit: Float32[np.ndarray, "prototypes width"], groups: Int[np.ndarray, " prototypes"]) -> float:
    similarity = unit @ unit.T
    np.fill_diagonal(similarity, -np.inf)
    return float(np.mean(groups[similarity.argmax(1)] == groups))


def _chance(groups: Int[np.ndarray, " prototypes"]) -> float:
    sizes = np.bincount(groups)
    return float((sizes * (sizes - 1)).sum() / (len(groups) * (len(groups) - 1)))
