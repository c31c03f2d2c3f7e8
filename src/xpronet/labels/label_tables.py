"""Label tables: one row a study, one column a finding, joined by name."""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from xpronet.csv_files import read_cells
from xpronet.errors import InputError
from xpronet.files import new_file
from xpronet.labels.findings import FINDINGS, IGNORED, SCHEMAS, State, Uncertain, collapse
from xpronet.labels.pickled_tables import read_pickled

STUDY_COLUMN = "study_id"
IMAGE_COLUMN = "Path"
"""CheXpert's table has a row an image; the image's folder is the study."""

_STATES = {
    "1": State.POSITIVE,
    "1.0": State.POSITIVE,
    "0": State.NEGATIVE,
    "0.0": State.NEGATIVE,
    "-1": State.UNCERTAIN,
    "-1.0": State.UNCERTAIN,
    "": State.NOT_MENTIONED,
}


def read_labels(path: Path, study_ids: Sequence[str], schema: str | None = None) -> dict[str, dict[str, State]]:
    """Read the labels of the studies asked for, from our labels.csv, CheXpert's or MIMIC-CXR-JPG's table or a pickle.

    Columns are joined by name and studies by id; other columns and other studies are passed over. An id finds its row
    with or without MIMIC-CXR's leading "s".

    Args:
        path: a .csv, .csv.gz, .pkl or .pickle file.
        study_ids: the studies whose labels are wanted.
        schema: the order of a pickle's values, one of `SCHEMAS`; tables with column names take none.

    Returns:
        All fourteen states for each study, in the order asked for.

    Raises:
        InputError: the file is no such table, or has no row for a study; the message has the count and the first three.
    """
    pickled = path.suffix.lower() in (".pkl", ".pickle")
    if schema is not None and not pickled:
        raise InputError(f"{path}: its columns have names; leave the schema {schema!r} away")
    wanted = {key: study_id for study_id in study_ids for key in _keys(study_id, pickled)}
    rows = _pickled_rows(path, schema) if pickled else _csv_rows(path)
    found: dict[str, dict[str, State]] = {}
    for key, states in rows:
        study_id = wanted.get(key)
        if study_id is not None:
            found[study_id] = states
    missing = [study_id for study_id in study_ids if study_id not in found]
    if missing:
        which = _counted(missing, f"of {len(study_ids)} studies")
        raise InputError(f"{path}: no labels for {which}; label them with `xpronet label`")
    return {study_id: found[study_id] for study_id in study_ids}


def write_labels(path: Path, rows: Iterable[tuple[str, Mapping[str, State]]], *, overwrite: bool = False) -> int:
    """Write labels.csv, whole or not at all, and return the number of studies; `rows` may be a generator.

    Raises:
        InputError: the file exists and `overwrite` is false, or a name is none of the fourteen, or a study comes twice.
    """
    seen: set[str] = set()
    with new_file(path, overwrite=overwrite) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow((STUDY_COLUMN, *FINDINGS))
        for study_id, states in rows:
            unknown = [name for name in states if name not in FINDINGS]
            if unknown:
                raise InputError(f"study {study_id}: {_counted(unknown, 'labels')} are none of the findings")
            if study_id in seen:
                raise InputError(f"{path}: study {study_id} comes twice; give each study one row")
            seen.add(study_id)
            table.writerow((study_id, *(states.get(name, State.NOT_MENTIONED).value for name in FINDINGS)))
    return len(seen)


def label_matrix(
    labels: Mapping[str, Mapping[str, State]], study_ids: Sequence[str], uncertain: Uncertain = "positive"
) -> Float32[np.ndarray, "studies findings"]:
    """Collapse labels to a matrix, studies as asked for and findings in the order of `FINDINGS`; ignored is NaN."""
    rows = [list(collapse(labels[study_id], uncertain).values()) for study_id in study_ids]
    matrix = np.array(rows, dtype=np.float32).reshape(len(study_ids), len(FINDINGS))
    matrix[matrix == IGNORED] = np.nan
    return matrix


def _keys(study_id: str, pickled: bool) -> tuple[str, ...]:
    """Return the ways a table may write a study's id."""
    bare = study_id[1:] if study_id[:1] == "s" and study_id[1:].isdigit() else study_id
    if pickled:  # The published IU X-Ray labels are kept under the first two parts of an image's name.
        return (study_id, bare, "-".join(study_id.split("-")[:2]))
    return (study_id, bare)


def _csv_rows(path: Path) -> Iterator[tuple[str, dict[str, State]]]:
    """Yield id and states of each study of a table with column names."""
    lines = read_cells(path)
    header = [name.strip() for name in next(lines, ([], ""))[0]]
    id_column, columns = _columns(path, header)
    per_image = header[id_column] == IMAGE_COLUMN
    bad: list[str] = []
    first_rows: dict[str, list[str]] = {}
    repeated: list[str] = []
    for row, where in lines:
        if len(row) != len(header):
            raise InputError(f"{where}: {len(row)} values under {len(header)} columns")
        study_id = row[id_column].strip()
        if per_image:
            study_id = study_id.rpartition("/")[0]
        values = [row[column].strip() for column in columns]
        if study_id in first_rows:
            # CheXpert's table says the same of each image of a study.
            if not per_image or first_rows[study_id] != values:
                repeated.append(study_id)
            continue
        first_rows[study_id] = values if per_image else []
        wrong = [value for value in values if value not in _STATES]
        if wrong:
            bad.append(f"{wrong[0]!r} for {study_id}")
            continue
        yield study_id, {name: _STATES[value] for name, value in zip(FINDINGS, values, strict=True)}
    if bad:
        raise InputError(f"{path}: {_counted(bad, 'studies')} have a label that is none of 1, 0, -1 and blank")
    if repeated:
        raise InputError(f"{path}: {_counted(repeated, 'studies')} stand twice; keep one row for each")


def _columns(path: Path, header: list[str]) -> tuple[int, list[int]]:
    """Return where the study's name and where each finding stands."""
    missing = [name for name in FINDINGS if name not in header]
    if missing:
        others = [name for name in header if name not in (*FINDINGS, STUDY_COLUMN, "split", "subject_id")]
        unknown = f" and has unknown {', '.join(map(repr, others[:3]))}" if others else ""
        raise InputError(f"{path}: lacks {_counted(missing, f'of {len(FINDINGS)} findings')}{unknown}")
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise InputError(f"{path}: {_counted(twice, 'columns')} stand twice; keep one of each")
    for name in (STUDY_COLUMN, IMAGE_COLUMN):
        if name in header:
            return header.index(name), [header.index(finding) for finding in FINDINGS]
    raise InputError(f"{path}: no column {STUDY_COLUMN!r} (or {IMAGE_COLUMN!r}) to join the studies by")


def _pickled_rows(path: Path, schema: str | None) -> Iterator[tuple[str, dict[str, State]]]:
    """Yield id and states of each study of a pickled mapping from id to fourteen numbers."""
    if schema is None or schema not in SCHEMAS:
        raise InputError(f"{path}: a pickle has no column names; say its schema, one of {', '.join(SCHEMAS)}")
    table = read_pickled(path)
    if not isinstance(table, dict):
        raise InputError(f"{path}: holds a {type(table).__name__}, not a mapping from study to labels")
    names = SCHEMAS[schema]
    bad: list[str] = []
    for study_id, values in table.items():
        states = _numbered_states(values, names)
        if states is None:
            bad.append(str(study_id))
        else:
            yield str(study_id), states
    if bad:
        raise InputError(f"{path}: {_counted(bad, 'studies')} have other labels than {len(names)} of 1, 0, -1 and nan")


def _numbered_states(values: Any, names: tuple[str, ...]) -> dict[str, State] | None:
    """Return the states that fourteen numbers stand for, None where they are no such numbers."""
    numbers = np.asarray(values)
    if numbers.shape != (len(names),) or numbers.dtype.kind not in "biuf":
        return None
    texts = ["" if np.isnan(number) else str(float(number)) for number in numbers.astype(np.float64)]
    if any(text not in _STATES for text in texts):
        return None
    by_name = {name: _STATES[text] for name, text in zip(names, texts, strict=True)}
    return {name: by_name[name] for name in FINDINGS}


def _counted(names: Sequence[str], noun: str) -> str:
    """Return how many of what, and which come first: "7 studies (a, b, c, ...)"."""
    return f"{len(names)} {noun} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
