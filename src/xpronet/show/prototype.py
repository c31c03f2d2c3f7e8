"""A figure of one prototype: the train regions and words that are nearest to it."""

from pathlib import Path
from typing import Any

from xpronet.data.corpus import Corpus
from xpronet.files import printable
from xpronet.images.transforms import ImageSettings
from xpronet.show.examples import region_view
from xpronet.show.figures import AMBER, BLUE, GREY, WIDTH, figure_style, save_figure
from xpronet.show.nearest import PrototypeNeighbours

IMAGES_PER_ROW = 4
IMAGE = 1.5
"""Side of an image in inches."""


def draw_prototype(
    neighbours: PrototypeNeighbours, corpus: Corpus, images: ImageSettings, path: Path, *, overwrite: bool = False
) -> None:
    """Draw the images with the nearest regions boxed, and the nearest words as bars.

    Args:
        neighbours: of the prototype, with at least one region.
        corpus: where the images are.
        images: how the model sees images.
        path: the .png or .svg file.
        overwrite: replace an existing file.
    """
    from matplotlib.figure import Figure

    studies = {study.id: study for study in corpus.studies}
    rows = -(-len(neighbours.regions) // IMAGES_PER_ROW)
    with figure_style():
        figure = Figure(figsize=(WIDTH, max(3.6, rows * (IMAGE + 0.55) + 0.7)), layout="constrained")
        whole: Any = figure.add_gridspec(1, 2, width_ratios=(7, 3))
        grid = whole[0].subgridspec(rows, IMAGES_PER_ROW)
        for place, region in enumerate(neighbours.regions):
            axes: Any = figure.add_subplot(grid[place // IMAGES_PER_ROW, place % IMAGES_PER_ROW])
            study = studies[region.study]
            axes.imshow(region_view(corpus, study, region, images), cmap="gray", vmin=0, vmax=255)
            draw_box(axes, region.box, images.size)
            axes.set_axis_off()
            position = study.views[region.view].position or f"view {region.view + 1}"
            axes.set_title(printable(f"{study.id}, {position}\ncosine {region.cosine:.2f}"), fontsize=9)
        _draw_words(figure.add_subplot(whole[1]), neighbours)
        figure.suptitle(
            f"{neighbours.finding}, prototype {neighbours.index}: nearest of {neighbours.studies:,} train studies with "
            "the finding",
            fontsize=14,
        )
        save_figure(figure, path, overwrite=overwrite)


def draw_box(axes: Any, box: tuple[float, float, float, float], size: int) -> None:
    """Draw the box of a region in an image of `size` pixels: amber with a black edge, visible on any grey."""
    from matplotlib.patches import Rectangle

    left, top, width, height = (part * size for part in box)
    for colour, line in (("black", 4.0), (AMBER, 2.0)):
        # The centre of the first pixel is at 0.
        corner = (left - 0.5, top - 0.5)
        axes.add_patch(Rectangle(corner, width, height, fill=False, edgecolor=colour, linewidth=line))


def _draw_words(axes: Any, neighbours: PrototypeNeighbours) -> None:
    words = neighbours.words
    axes.set_title("Nearest words: cosine\n(and number of occurrences)", loc="left", fontsize=11)
    axes.spines[:].set_visible(False)
    axes.set_xticks([])
    axes.set_yticks(range(len(words)), [word.text for word in words], fontsize=11)
    axes.tick_params(length=0)
    axes.invert_yaxis()
    if not words:
        axes.text(0, 0.5, "none", transform=axes.transAxes)
        return
    cosines = [word.cosine for word in words]
    axes.barh(range(len(words)), cosines, color=BLUE, height=0.55)
    axes.axvline(0, color=GREY, linewidth=0.8)
    # Room for the numbers beside the longest bar.
    axes.set_xlim(min(0.0, *cosines), max(0.01, *cosines) * 1.9)
    for place, word in enumerate(words):
        text = f" {word.cosine:.2f} ({word.count:,})"
        axes.text(max(0.0, word.cosine), place, text, va="center", fontsize=10)
