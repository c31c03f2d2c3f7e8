"""Settings of a rival's own: the table model.options of a recipe, read as strictly as the rest of it."""

from collections.abc import Mapping
from typing import Any

from xpronet.errors import InputError
from xpronet.model.settings import ModelSettings


def read_options(settings: ModelSettings, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a model, those that are not given at their defaults.

    Args:
        settings: of the model.
        defaults: every option that the model has; a value must have the type of its default.

    Raises:
        InputError: an option is unknown or of another type.
    """
    for name, value in settings.options.items():
        if name not in defaults:
            known = f"there are {', '.join(defaults)}" if defaults else f"{settings.name} has none"
            raise InputError(f"model.options: no {name}; {known}")
        if isinstance(defaults[name], float) and isinstance(value, int) and not isinstance(value, bool):
            continue
        if type(value) is not type(defaults[name]):
            raise InputError(
                f"model.options.{name} = {value!r}: a value of type {type(defaults[name]).__name__} is needed"
            )
    return {**defaults, **settings.options}


def share_option(options: Mapping[str, Any], name: str) -> float:
    """Return an option that is a share.

    Raises:
        InputError: it is not between 0 and 1.
    """
    value = float(options[name])
    if not 0 < value <= 1:
        raise InputError(f"model.options.{name} = {value}: must be a share, above 0 and at most 1")
    return value
