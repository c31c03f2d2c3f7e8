"""Read a pickled label table without running anything that the file asks for.

A pickle is a program. This reader lets it build containers, strings and numbers, and describe arrays; the arrays are
then made here, from their bytes. Whatever else the file names is refused by that name.
"""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from xpronet.errors import InputError


def read_pickled(path: Path) -> Any:
    """Return what a pickle holds: containers, strings, numbers and numpy arrays of numbers or text.

    Raises:
        InputError: the file is missing, no pickle, or names anything else.
    """
    try:
        with path.open("rb") as stream:
            return _made(_TableUnpickler(stream).load())
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except _RefusedError as refusal:
        raise InputError(
            f"{path}: the pickle asks for {refusal}, and only arrays, text and plain containers are read; "
            "write the labels as CSV"
        ) from None
    except _DAMAGE as error:
        raise InputError(f"{path}: not a pickle that can be read ({' '.join(str(error).split())[:160]})") from None


_DAMAGE = (
    pickle.UnpicklingError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    OverflowError,
    MemoryError,
    RecursionError,
)
"""What a damaged pickle raises, depending on which of its opcodes is hit."""


class _RefusedError(Exception):
    """The pickle names something that is no array, text or container."""


class _Dtype:
    """An array's element type, as the file describes it."""

    def __init__(self, code: str, *_: object) -> None:
        self.code = code
        self.order = "|"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = state[1]

    def made(self) -> np.dtype[Any]:
        dtype = np.dtype(self.order + self.code if self.order in "<>" else self.code)
        if dtype.kind not in "biufSU":
            raise _RefusedError(f"arrays of {dtype.name}")
        return dtype


class _Array:
    """An array, as the file describes it."""

    state: tuple[Any, ...] = ()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.state = state

    def made(self) -> Any:
        _version, shape, dtype, fortran, data = self.state
        return np.frombuffer(data, dtype.made()).reshape(tuple(shape), order="F" if fortran else "C")


class _NdarrayName:
    """Stands for numpy.ndarray, which the file only mentions."""


def _reconstruct(*_: object) -> _Array:
    return _Array()


def _from_buffer(data: bytes | bytearray, dtype: _Dtype, shape: tuple[int, ...], order: str, *_: object) -> _Array:
    array = _Array()
    array.state = (1, shape, dtype, order == "F", data)
    return array


def _scalar(dtype: _Dtype, data: bytes) -> Any:
    return np.frombuffer(data, dtype.made())[0].item()


def _encoded(text: str, encoding: str) -> bytes:
    """Turn text back into bytes, which pickles of Python 2's protocol store as text."""
    return text.encode("latin-1")


class _TableUnpickler(pickle.Unpickler):
    ADMITTED: ClassVar[dict[tuple[str, str], Callable[..., Any]]] = {
        **{(f"numpy.{core}.multiarray", "_reconstruct"): _reconstruct for core in ("core", "_core")},
        **{(f"numpy.{core}.multiarray", "scalar"): _scalar for core in ("core", "_core")},
        **{(f"numpy.{core}.numeric", "_frombuffer"): _from_buffer for core in ("core", "_core")},
        ("numpy", "ndarray"): _NdarrayName,
        ("numpy", "dtype"): _Dtype,
        ("_codecs", "encode"): _encoded,
        ("collections", "OrderedDict"): dict,
        **{(builtins, "set"): set for builtins in ("builtins", "__builtin__")},
    }

    def find_class(self, module: str, name: str) -> Any:
        """Return our own stand-in for what the file names."""
        try:
            return self.ADMITTED[module, name]
        except KeyError:
            raise _RefusedError(f"{module}.{name}") from None

    def persistent_load(self, pid: Any) -> Any:
        """Refuse objects that lie outside the file."""
        raise _RefusedError("an object outside the file")


def _made(value: Any) -> Any:
    """Return `value` with every described array made."""
    if isinstance(value, _Array):
        return value.made()
    if isinstance(value, dict):
        return {_made(key): _made(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return type(value)(_made(item) for item in value)
    if value is None or isinstance(value, str | bytes | int | float | bool):
        return value
    raise _RefusedError(f"a {type(value).__name__.lstrip('_')} where labels should be")
