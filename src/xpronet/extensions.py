"""Objects of other packages, named "python:package.module:object": the one place that imports code by a user's name."""

import importlib
import inspect
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from xpronet.errors import InputError

PYTHON = "python:"
"""What the name of an outside object begins with."""


def is_outside(name: str) -> bool:
    """Say whether a name means an object of another package."""
    return name.startswith(PYTHON)


def load_object(name: str, *, what: str, allow_code: bool) -> Callable[..., Any]:
    """Import an object of an installed package.

    Args:
        name: "python:package.module:object"; the object may be an attribute of another, "Class.method".
        what: what the object is to be, "image encoder", for messages.
        allow_code: whether the user has said that the code may run: by typing the name, or with --allow-code where a
            checkpoint names it.

    Raises:
        InputError: code is not allowed, the name is malformed, the package, module or object does not exist, or the
            object cannot be called.
    """
    module_name, colon, path = name.removeprefix(PYTHON).partition(":")
    parts = [*module_name.split("."), *path.split(".")]
    if not is_outside(name) or not colon or not all(part.isidentifier() for part in parts):
        raise InputError(f"{what} {name}: not a name of the form {PYTHON}package.module:object")
    if not allow_code:
        raise InputError(
            f"{what} {name}: runs code of the package {parts[0]!r}; if you trust it, install it and add --allow-code "
            "(allow_code=True in Python)"
        )
    found: Any = _imported(name, module_name, what)
    for part in path.split("."):
        if not hasattr(found, part):
            raise InputError(f"{what} {name}: {module_name} has no {path!r}; check the name and the package's version")
        found = getattr(found, part)
    if not callable(found):
        raise InputError(f"{what} {name}: a {type(found).__name__} cannot be called; name a function or class")
    return found


def check_fulfils(value: object, protocol: type, *, name: str, what: str) -> None:
    """See that what an outside object made has all members of a runtime-checkable protocol.

    Args:
        value: what the object made.
        protocol: what it has to be.
        name: the object's name, for messages.
        what: what it is to be, for messages.

    Raises:
        InputError: members are missing; the line names them.
    """
    if not isinstance(value, protocol):
        missing = [member for member in _members(protocol) if not hasattr(value, member)]
        raise InputError(f"{what} {name}: its {type(value).__name__} lacks {', '.join(missing)} of {protocol.__name__}")


def _imported(name: str, module_name: str, what: str) -> object:
    try:
        with _installed_packages_only():
            return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None:
            raise
        if module_name == error.name or module_name.startswith(f"{error.name}."):
            raise InputError(
                f"{what} {name}: no module {error.name!r} is installed; pip install the package that has it"
            ) from None
        raise InputError(f"{what} {name}: needs the module {error.name!r}, which is not installed") from None


@contextmanager
def _installed_packages_only() -> Iterator[None]:
    """Leave out the current directory, which `python -m` and notebooks put first: only what is installed is imported.

    A directory that the user put into PYTHONPATH, or an editable installation, has an entry of its own.
    """
    first = sys.path[0] if sys.path else None
    here = first is not None and (not first or os.path.realpath(first) == os.path.realpath(os.curdir))
    if not here:
        yield
        return
    del sys.path[0]
    try:
        yield
    finally:
        sys.path.insert(0, str(first))


def _members(protocol: type) -> list[str]:
    """Return the names of a protocol's members, in the order they are written."""
    kinds = [kind for kind in reversed(protocol.__mro__) if kind is not object]
    names = dict.fromkeys(name for kind in kinds for name in (*inspect.get_annotations(kind), *vars(kind)))
    return [name for name in names if name == "__call__" or not name.startswith("_")]
