"""`xpronet features`: patch features of a corpus's images, for models whose image encoder is frozen."""

from pathlib import Path
from typing import Literal

from rich.console import Console


def features(
    corpus: Path,
    /,
    *,
    recipe: Path,
    out: Path,
    crops: int = 0,
    seed: int = 0,
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto",
    storage: Literal["fp16", "fp32"] = "fp16",
    set_: tuple[str, ...] = (),
) -> None:
    """Compute the features of all images of a corpus once, with the image encoder that a recipe names.

    `xpronet train RECIPE --features FOLDER` then trains what follows the encoder without reading an image. After an
    interruption give the same command again: what was computed is kept.

    For example:

        xpronet features corpus --recipe phantom --out features

    Args:
        corpus: corpus folder.
        recipe: TOML file that names the image encoder, its weights and the image settings, or the name of a recipe that
            comes with the package, such as phantom.
        out: folder to make, or to go on with.
        crops: random crops of each image beside its test view; training draws one of them for each epoch.
        seed: of the crops.
        precision: arithmetic of the encoder; auto is bf16 where the device multiplies it itself, else fp32.
        storage: number format of the file; fp16 is half as large and exact to three digits.
        set_: change a value of the recipe: --set weights=encoder.safetensors; may be given several times.
    """
    from xpronet.experiment.recipe_files import recipe_file

    recipe = recipe_file(recipe)  # before torch is imported: a misspelt name is told at once

    from xpronet.data.corpus import open_corpus
    from xpronet.data.feature_cache import describe_feature_cache
    from xpronet.device import best_device
    from xpronet.encoders.extract import CacheSettings, write_feature_cache
    from xpronet.experiment.recipe import read_recipe
    from xpronet.experiment.recipe_parts import build_backbone, recipe_encoder_name
    from xpronet.progress import on_console

    settings = read_recipe(recipe, set_)
    opened = open_corpus(corpus, with_sections=False)
    cache = write_feature_cache(
        opened,
        opened.studies,
        build_backbone(settings),
        out,
        name=recipe_encoder_name(settings),
        images=settings.images,
        settings=CacheSettings(crops=crops, seed=seed, precision=precision, storage=storage),
        device=best_device(),
        track=on_console,
    )
    Console(highlight=False, soft_wrap=True, markup=False).print(describe_feature_cache(cache))
