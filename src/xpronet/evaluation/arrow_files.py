"""Rows of Hugging Face datasets on disk, and of Arrow and Parquet files; pyarrow is optional."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from xpronet.errors import InputError
from xpronet.files import confined, new_folder, read_json, write_json

STATE_FILE = "state.json"
"""What `datasets.Dataset.save_to_disk` writes beside the Arrow files, and lists them in."""
SPLITS_FILE = "dataset_dict.json"
"""What a dataset of several splits has."""
SUFFIXES = (".arrow", ".parquet")


def is_dataset(path: Path) -> bool:
    """Return whether a path is a dataset that was saved to disk, or one of its files."""
    return path.is_dir() or path.suffix.lower() in SUFFIXES


def read_arrow(path: Path) -> tuple[list[dict[str, Any]], str]:
    """Return the rows of a dataset's texts, and what was read in words.

    Args:
        path: the folder that `save_to_disk` wrote, with one split or several, or an .arrow or .parquet file.

    Raises:
        InputError: pyarrow is not installed, or the path holds no such dataset.
    """
    pyarrow = _pyarrow(path)
    folder, told = path, "Hugging Face dataset"
    if (path / SPLITS_FILE).is_file():
        splits = [str(name) for name in _object(path / SPLITS_FILE).get("splits", [])]
        chosen = "test" if "test" in splits else splits[0] if len(splits) == 1 else None
        if chosen is None:
            raise InputError(f"{path}: has splits {', '.join(splits) or 'none'}; name the folder of one of them")
        folder, told = confined(path, chosen), f"Hugging Face dataset, split {chosen}"
    files = [path]
    if path.is_dir():
        if not (folder / STATE_FILE).is_file():
            raise InputError(f"{folder}: no dataset here ({STATE_FILE} is missing); name a file of predictions")
        listed = _object(folder / STATE_FILE).get("_data_files", [])
        files = [confined(folder, str(each["filename"])) for each in listed]
    rows: list[dict[str, Any]] = []
    for file in files:
        try:
            table = _table(pyarrow, file)
        except (pyarrow.ArrowInvalid, OSError) as error:
            raise InputError(f"{file}: cannot be read as Arrow ({' '.join(str(error).split())[:120]})") from None
        # Images and other nested columns are large, and nobody scores them.
        texts = [field.name for field in table.schema if not pyarrow.types.is_nested(field.type)]
        rows += table.select(texts).to_pylist()
    return rows, told


def write_arrow(folder: Path, rows: Sequence[Mapping[str, str]], *, overwrite: bool = False) -> None:
    """Write rows as a dataset that `datasets.load_from_disk` reads.

    Raises:
        InputError: pyarrow is not installed, or the folder is there and `overwrite` is false.
    """
    pyarrow = _pyarrow(folder)
    table = pyarrow.Table.from_pylist([dict(row) for row in rows])
    name = "data-00000-of-00001.arrow"
    with new_folder(folder, overwrite=overwrite) as temporary:
        with pyarrow.OSFile(str(temporary / name), "wb") as sink, pyarrow.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        features = {column: {"dtype": "string", "_type": "Value"} for column in table.column_names}
        write_json(temporary / "dataset_info.json", {"citation": "", "description": "", "features": features})
        state: dict[str, Any] = {
            "_data_files": [{"filename": name}],
            "_fingerprint": f"{len(rows):016x}",
            "_format_columns": None,
            "_format_kwargs": {},
            "_format_type": None,
            "_output_all_columns": False,
            "_split": None,
        }
        write_json(temporary / STATE_FILE, state)


def _table(pyarrow: Any, file: Path) -> Any:
    if file.suffix.lower() == ".parquet":
        from pyarrow import parquet

        return parquet.read_table(file)
    with pyarrow.memory_map(str(file)) as source:
        return pyarrow.ipc.open_stream(source).read_all()


def _object(path: Path) -> dict[str, Any]:
    value = read_json(path)
    if not isinstance(value, dict):
        raise InputError(f"{path}: holds a {type(value).__name__}; save the dataset again with save_to_disk")
    return value


def _pyarrow(path: Path) -> Any:
    try:
        import pyarrow
    except ImportError:
        raise InputError(f"{path}: datasets on disk need pyarrow: pip install 'xpronet[datasets]'") from None
    return pyarrow
