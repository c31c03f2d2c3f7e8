"""Where a recipe lies. Nothing here imports torch: a misspelt name is told at once."""

from difflib import get_close_matches
from pathlib import Path

from xpronet.errors import InputError

SUFFIX = ".toml"


def recipe_file(name: str | Path) -> Path:
    """Return the file of a recipe: a file of the user's, or a recipe that comes with the package.

    Args:
        name: a TOML file, or the name of a recipe that comes with the package, such as "phantom".

    Raises:
        InputError: there is neither; the line suggests the name that is nearest.
    """
    path = Path(name)
    if path.exists() and not path.is_dir():  # a pipe will do
        return path
    if path.suffix == SUFFIX:
        raise InputError(f"{path}: no such file; {_suggestion(path.stem, _beside(path))}")
    return shipped_recipe(str(name))


def shipped_recipe(name: str) -> Path:
    """Return the file of a recipe that comes with the package, such as "phantom".

    Raises:
        InputError: there is no such recipe; the line suggests the name that is nearest.
    """
    folder = _shipped_folder()
    if name in _names(folder):
        return folder / f"{name}{SUFFIX}"
    raise InputError(f"no recipe {name!r} comes with this package; {_suggestion(name, {})}")


def _shipped_folder() -> Path:
    """Return the folder of recipes: in a wheel inside the package, in a checkout beside its source folder."""
    package = Path(__file__).parents[1]
    return next(folder for folder in (package / "recipes", package.parents[1] / "recipes") if folder.is_dir())


def _names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob(f"*{SUFFIX}"))


def _beside(path: Path) -> dict[str, str]:
    """Return the recipes beside where a file was expected, as the user would name them, by stem."""
    return {other.stem: str(other) for other in path.parent.glob(f"*{SUFFIX}")}


def _suggestion(name: str, others: dict[str, str]) -> str:
    """Return which recipe was probably meant, or what there is."""
    shipped = _names(_shipped_folder())
    near = get_close_matches(name, [*others, *shipped], n=1)
    if near:
        return f"did you mean {others.get(near[0], near[0])}?"
    return f"name a TOML file, or one of {', '.join(each for each in shipped if '/' not in each)}"
