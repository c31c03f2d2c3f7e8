"""Example regions and words of every prototype for pages: a JSON file and one image of all tiles.

RUN/prototype_examples.json holds

    format        1
    model         the fingerprint of the checkpoint; for another one the examples mean nothing
    corpus        the corpus's name
    licence       of the corpus, and so of the tiles
    studies       train studies searched
    sprite        name of the image of all tiles, beside the JSON file: an 8-bit grey PNG
    tile          side of a tile in pixels
    findings      one object for each finding, in the model's order:
        name          one of the fourteen
        studies       studies with it, among those searched
        prototypes    one object for each prototype; its place in the list is its `index` in `report --json`:
            regions       nearest first, at most one of each study; empty where no study has the finding:
                study         id of the train study
                view          position of the view (PA, LATERAL, ...), or null
                cosine        between the region's query and the prototype's key
                at            [left, top] of the tile in the sprite, in pixels
                box           [left, top, width, height] of the region in the tile, in pixels (CSS: over the tile)
            words         nearest first:
                text          the word
                cosine        likewise, mean over its occurrences
                count         occurrences in the reports of those studies

A tile shows the region in the middle of three by three regions. The sprite contains parts of train images: its terms
of use are theirs.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from xpronet.data.corpus import Corpus
from xpronet.data.study import Study
from xpronet.errors import InputError
from xpronet.files import write_json
from xpronet.images.read import read_grey, resize, write_grey
from xpronet.images.transforms import ImageSettings, test_view
from xpronet.show.nearest import NearestRegion, PrototypeNeighbours

EXAMPLES_FILE = "prototype_examples.json"
SPRITE_FILE = "prototype_examples.png"
FORMAT = 1
TILE = 64
REGIONS_ACROSS = 3
"""Side of a tile in regions."""


def write_examples(
    run: Path,
    neighbours: Sequence[PrototypeNeighbours],
    corpus: Corpus,
    images: ImageSettings,
    *,
    model: str,
    findings: Sequence[str],
    num_studies: int,
    overwrite: bool = False,
) -> None:
    """Write the examples and their sprite into a run folder.

    Args:
        run: the folder.
        neighbours: of all prototypes, in the bank's order.
        corpus: where their images are.
        images: how the model sees images.
        model: fingerprint of the checkpoint.
        findings: names, in the model's order.
        num_studies: train studies searched.
        overwrite: replace existing files.

    Raises:
        InputError: a file exists and `overwrite` is false, or it cannot be written.
    """
    for name in (EXAMPLES_FILE, SPRITE_FILE):
        if (run / name).exists() and not overwrite:
            raise InputError(f"{run / name}: already exists; add --overwrite")
    studies = {study.id: study for study in corpus.studies}
    most = max((len(each.regions) for each in neighbours), default=0)
    sprite = np.zeros((TILE * max(1, len(neighbours)), TILE * max(1, most)), np.uint8)
    records: dict[str, dict[str, Any]] = {name: {"name": name, "studies": 0, "prototypes": []} for name in findings}
    for line, each in enumerate(neighbours):
        regions = []
        for place, region in enumerate(each.regions):
            study = studies[region.study]
            tile, box = cut_tile(region_view(corpus, study, region, images), region)
            left, top = place * TILE, line * TILE
            sprite[top : top + TILE, left : left + TILE] = tile
            position = study.views[region.view].position
            regions.append(
                {"study": study.id, "view": position, "cosine": region.cosine, "at": [left, top], "box": box}
            )
        words = [{"text": word.text, "cosine": word.cosine, "count": word.count} for word in each.words]
        records[each.finding]["studies"] = each.studies
        records[each.finding]["prototypes"].append({"regions": regions, "words": words})
    write_grey(run / SPRITE_FILE, sprite, overwrite=overwrite)
    record = {
        "format": FORMAT,
        "model": model,
        "corpus": corpus.name,
        "licence": corpus.licence,
        "studies": num_studies,
        "sprite": SPRITE_FILE,
        "tile": TILE,
    }
    # Last, so that the sprite that it names exists.
    write_json(run / EXAMPLES_FILE, {**record, "findings": list(records.values())}, overwrite=overwrite)


def region_view(
    corpus: Corpus, study: Study, region: NearestRegion, images: ImageSettings
) -> UInt8[np.ndarray, "size size"]:
    """Return the view that contains a region, as the network saw it."""
    return test_view(read_grey(corpus.view_path(study.views[region.view])), images)


def cut_tile(
    view: UInt8[np.ndarray, "size size"], region: NearestRegion
) -> tuple[UInt8[np.ndarray, "tile tile"], list[int]]:
    """Return a region with its surroundings, and its box in the tile: left, top, width, height in pixels."""
    size = len(view)
    shown = min(size, round(REGIONS_ACROSS * size / region.side))
    left, top, width, height = (part * size for part in region.box)
    start_x = round(min(max(0.0, left + width / 2 - shown / 2), size - shown))
    start_y = round(min(max(0.0, top + height / 2 - shown / 2), size - shown))
    tile = resize(view[start_y : start_y + shown, start_x : start_x + shown], TILE, TILE)
    scale = TILE / shown
    box = [round((left - start_x) * scale), round((top - start_y) * scale), round(width * scale), round(height * scale)]
    return tile.astype(np.uint8), box
