"""The learned prototypes in two dimensions by t-SNE: the paper's figure 2."""

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
from xpronet.model.network import as_xpronet
from xpronet.prototypes.bank import PrototypeBank
from xpronet.show.figures import FINDING_MARKERS, WIDTH, figure_style, save_figure

EXACT_UP_TO = 2_000
"""Most prototypes for exact t-SNE; with more, Barnes-Hut approximates distant ones."""


@dataclass(frozen=True, kw_only=True)
class AtlasSettings:
    """How t-SNE is run."""

    seed: int = 0
    """The same seed gives the same map."""
    perplexity: float = 30.0
    """Effective number of neighbours; lowered where there are too few prototypes."""

    def __post_init__(self) -> None:
        if self.seed < 0 or not 1 <= self.perplexity <= 1_000:
            raise InputError(f"seed {self.seed}, perplexity {self.perplexity}: choose at least 0, and from 1 to 1000")


@dataclass(frozen=True, kw_only=True)
class Atlas:
    """The prototypes in two dimensions."""

    coordinates: Float[np.ndarray, "prototypes 2"]
    """By t-SNE; distances between distant groups mean nothing."""
    findings: tuple[str, ...]
    """The finding of each prototype."""
    purity: float
    """Share of the prototypes whose nearest neighbour (by cosine, in the full space) is of the same finding."""
    chance: float
    """Expected purity of randomly permuted findings."""


def projected_bank(checkpoint: Checkpoint, where: Path) -> Float32[np.ndarray, "prototypes width"]:
    """Return the model's prototypes after the linear projection to its width (paper, eq. 8).

    Raises:
        InputError: the model has no prototypes; `where` names it.
    """
    import torch

    matching = as_xpronet(checkpoint.network, f"{where}: a map of prototypes").matching
    if matching is None:
        raise InputError(f"{where}: this model has no prototypes (model.visible = none); name another run")
    with torch.inference_mode():
        return matching.projected().float().cpu().numpy()


def prototype_findings(checkpoint: Checkpoint, bank: PrototypeBank | None, where: Path) -> tuple[str, ...]:
    """Return the finding of each prototype.

    Args:
        checkpoint: a model with prototypes.
        bank: the prototypes before training, where the run has them.
        where: names the run in messages.

    Raises:
        InputError: the prototypes are not those of findings.
    """
    settings = checkpoint.network.settings
    if settings.visible == "findings":
        return tuple(name for name in checkpoint.findings for _ in range(settings.per_finding))
    if bank is None or len(bank.vectors) != settings.bank_rows:
        raise InputError(
            f"{where}: the prototypes of this model are not those of findings (model.visible = {settings.visible}); "
            "name a run whose prototypes are those of findings"
        )
    return tuple(name for name in bank.findings for _ in range(bank.per_finding))


def make_atlas(
    vectors: Float32[np.ndarray, "prototypes width"], findings: tuple[str, ...], settings: AtlasSettings
) -> Atlas:
    """Map prototypes by t-SNE, and measure in the full space how well they are grouped by finding.

    Args:
        vectors: the projected bank.
        findings: the finding of each row.
        settings: seed and perplexity.

    Raises:
        InputError: there are fewer than four prototypes.
    """
    from sklearn.manifold import TSNE

    count = len(vectors)
    if count < 4:
        raise InputError(f"{count} prototypes are too few for a map; it takes at least four")
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    mapped = TSNE(
        n_components=2,
        # scikit-learn refuses more; it would be meaningless.
        perplexity=min(settings.perplexity, (count - 1) / 3),
        init="pca",
        learning_rate="auto",
        method="exact" if count <= EXACT_UP_TO else "barnes_hut",
        random_state=settings.seed,
    ).fit_transform(vectors)
    groups = np.array([FINDINGS.index(name) for name in findings])
    return Atlas(
        coordinates=np.asarray(mapped, np.float64),
        findings=findings,
        purity=_purity(unit, groups),
        chance=_chance(groups),
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
    """Draw the map: a marker for each prototype, and in the legend how many studies have each finding.

    Args:
        atlas: as `make_atlas` returns it.
        counts: studies with each finding, by name; None where they are unknown.
        path: the .png or .svg file.
        title: of the figure.
        counted: what `counts` counts.
        overwrite: replace an existing file.
    """
    from matplotlib.figure import Figure

    with figure_style():
        figure = Figure(figsize=(WIDTH, 7.4), layout="constrained")
        axes: Any = figure.subplots()
        for name in dict.fromkeys(atlas.findings):
            marker = FINDING_MARKERS[name]
            chosen = atlas.coordinates[[finding == name for finding in atlas.findings]]
            count = "" if counts is None else f"  {counts.get(name, 0):,}"
            axes.plot(
                chosen[:, 0],
                chosen[:, 1],
                linestyle="none",
                marker=marker.shape,
                markersize=10 if marker.shape in "*P" else 8,
                markeredgecolor=marker.colour,
                markeredgewidth=1.8 if not marker.filled else 0.6,
                markerfacecolor=marker.colour if marker.filled else "white",
                alpha=0.9,
                label=name + count,
            )
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(True)
        axes.spines[:].set_color("0.75")
        axes.set_title(printable(title), loc="left", fontsize=14)
        axes.set_xlabel(
            f"{len(atlas.findings)} prototypes by t-SNE; distances between distant groups mean nothing.\n"
            f"In the full space, the nearest neighbour of {atlas.purity:.0%} of them is of the same finding "
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
