"""How a run's reports are searched for: as its recipe says, unless the command line says otherwise."""

import dataclasses
from pathlib import Path
from typing import Any, Literal

from xpronet.experiment.recipe import read_recipe
from xpronet.experiment.run import RECIPE_FILE
from xpronet.generation.beam import BeamSettings
from xpronet.model.checkpoint import Checkpoint, find_checkpoint

Choose = Literal["likeliest", "agreeing"]


def search_settings(run: Path, checkpoint: Checkpoint, *, beams: int | None, choose: Choose | None) -> BeamSettings:
    """Return the settings of a search.

    Args:
        run: run or checkpoint folder; a run's recipe says how to search, a checkpoint on its own nothing.
        checkpoint: what was loaded from it; it knows the longest report.
        beams: width, where the command line names one.
        choose: which finished report to take, where the command line says so.

    Raises:
        InputError: the recipe is damaged, or a value is wrong.
    """
    folder = find_checkpoint(run)
    recipe = next((path for path in (run / RECIPE_FILE, folder.parents[1] / RECIPE_FILE) if path.is_file()), None)
    settings = BeamSettings() if recipe is None else read_recipe(recipe).generate
    return overridden(dataclasses.replace(settings, max_words=checkpoint.max_words), beams=beams, choose=choose)


def overridden(settings: BeamSettings, *, beams: int | None, choose: Choose | None) -> BeamSettings:
    """Return the settings with what the command line says otherwise."""
    asked: dict[str, Any] = {"beams": beams, "choose": choose}
    return dataclasses.replace(settings, **{name: value for name, value in asked.items() if value is not None})
