"""Tables of settings, read strictly into dataclasses: unknown keys and wrong types are refused by name."""

import dataclasses
import difflib
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from xpronet.errors import InputError

Settings = TypeVar("Settings")


def read_table(kind: type[Settings], values: Any, *, where: str = "", prefix: str = "") -> Settings:
    """Build a settings dataclass from a table of values.

    Args:
        kind: the dataclass; its fields may be such classes, which are tables inside the table.
        values: by the names of the fields.
        where: the file that they are from, for messages; nothing where there is none.
        prefix: what the names of the fields follow in that file: "model.options.".

    Raises:
        InputError: a key is unknown or a value of another type, or the class refuses them.
    """
    begin = f"{where}: " if where else ""
    if not isinstance(values, Mapping):
        raise InputError(f"{begin}{prefix.rstrip('.')} = {values!r}; this is a table of settings")
    hints = get_type_hints(kind)
    for key in values:
        if key not in hints:
            close = difflib.get_close_matches(key, hints, n=1)
            known = f"; it has {', '.join(hints)}" if hints else "; it has none"
            hint = f"; did you mean {prefix}{close[0]}?" if close else known
            raise InputError(f"{begin}unknown key {prefix}{key}{hint}")
    given = {
        key: read_table(hints[key], value, where=where, prefix=f"{prefix}{key}.")
        if dataclasses.is_dataclass(hints[key])
        else _checked(hints[key], value, f"{begin}{prefix}{key} = {value!r}")
        for key, value in values.items()
    }
    try:
        return kind(**given)
    except InputError as error:
        raise InputError(f"{begin}{error}") from None


def _checked(kind: Any, value: Any, where: str) -> Any:
    if get_origin(kind) is dict:
        if not isinstance(value, dict):
            raise InputError(f"{where}; a table is needed")
        return value
    if get_origin(kind) is list:
        if not isinstance(value, list):
            raise InputError(f"{where}; a list is needed")
        return [_checked(get_args(kind)[0], item, where) for item in value]
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise InputError(f"{where}; choose one of {', '.join(map(str, get_args(kind)))}")
        return value
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise InputError(f"{where}; a value of type {kind.__name__} is needed")
    return value
