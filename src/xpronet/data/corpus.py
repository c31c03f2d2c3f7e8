"""The corpus folder: corpus.json, studies.jsonl, images/ and labels.csv."""

import dataclasses
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from types import UnionType
from typing import Any

from xpronet.data.study import SPLITS, Study, View
from xpronet.errors import InputError
from xpronet.files import confined, each_json_line, read_json, write_json, write_json_lines

CORPUS_FILE = "corpus.json"
STUDIES_FILE = "studies.jsonl"
LABELS_FILE = "labels.csv"
IMAGES_FOLDER = "images"
FORMAT = 1
VIEW_TYPES = {"path": str, "position": str | None, "width": int, "height": int}
STUDY_TYPES = {
    "id": str,
    "split": str,
    "views": list,
    "report": str,
    "sections": dict,
    "patient": str | None,
    "source": str,
}


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """A corpus folder that has been read."""

    folder: Path
    """The folder on disk."""
    name: str
    """The name of the corpus."""
    licence: str
    """The terms under which its images and texts may be used."""
    made: Mapping[str, Any] = field(default_factory=dict)
    """The command and settings that made it."""
    studies: tuple[Study, ...] = ()
    """All studies, in file order; none where it was only opened."""

    @property
    def drawn(self) -> bool:
        """Whether its images were drawn by `xpronet prepare phantom`: they show no person."""
        return self.made.get("command") == "xpronet prepare phantom"

    @property
    def counts(self) -> dict[str, int]:
        """The number of studies in each split; all 0 where it was only opened."""
        counted = Counter(study.split for study in self.studies)
        return {split: counted[split] for split in SPLITS}

    def split(self, name: str) -> tuple[Study, ...]:
        """Return the studies of one split.

        Raises:
            InputError: the corpus has no study in that split.
        """
        studies = tuple(study for study in self.studies if study.split == name)
        if not studies:
            present = ", ".join(sorted({study.split for study in self.studies}))
            raise InputError(f"{self.folder}: no study in split {name!r}; it has {present}")
        return studies

    def _repr_html_(self) -> str:
        """Return name, counts and licence, for a notebook."""
        counts = Counter(study.split for study in self.studies)
        rows = "".join(f"<tr><td>{split}</td><td>{counts[split]}</td></tr>" for split in SPLITS if counts[split])
        return (
            f"<p><strong>Corpus {escape(self.name)}</strong>, {len(self.studies)} studies, "
            f"licence: {escape(self.licence)}</p><table><tbody>{rows}</tbody></table>"
        )

    def view_path(self, view: View) -> Path:
        """Return the path of a view's image, confined to the corpus folder."""
        return confined(self.folder, view.path)


def write_corpus(
    folder: Path, studies: Iterable[Study], *, name: str, licence: str, made: Mapping[str, Any]
) -> Counter[str]:
    """Write corpus.json and studies.jsonl into `folder` and return the number of studies in each split."""
    counts: Counter[str] = Counter()

    def records() -> Iterable[dict[str, Any]]:
        for study in studies:
            counts[study.split] += 1
            yield dataclasses.asdict(study)

    write_json_lines(folder / STUDIES_FILE, records(), overwrite=True)
    record = {
        "format": FORMAT,
        "name": name,
        "licence": licence,
        "made": dict(made),
        "studies": {split: counts[split] for split in SPLITS},
    }
    write_json(folder / CORPUS_FILE, record, overwrite=True)
    return counts


def open_corpus(folder: str | Path, *, with_sections: bool = True) -> Corpus:
    """Read a corpus folder with all its studies; images are not opened.

    Args:
        folder: the corpus.
        with_sections: keep the sections as well as the reports; without, a study takes about half the memory.

    Raises:
        InputError: the folder is no corpus, or a study is malformed; the message names the line.
    """
    folder = Path(folder)
    corpus = read_corpus_header(folder)
    path = folder / STUDIES_FILE
    found = each_study(folder)
    studies = tuple(found if with_sections else (dataclasses.replace(study, sections={}) for study in found))
    if not studies:
        raise InputError(f"{path}: no studies")
    repeated = [study_id for study_id, count in Counter(study.id for study in studies).items() if count > 1]
    if repeated:
        raise InputError(
            f"{path}: {len(repeated)} study ids are repeated (first {', '.join(repeated[:3])}); make the corpus again"
        )
    return dataclasses.replace(corpus, studies=studies)


def read_corpus_header(folder: Path) -> Corpus:
    """Read what a corpus folder says of itself, without its studies: for corpora too large to hold in memory.

    Raises:
        InputError: the folder is no corpus.
    """
    if not (folder / CORPUS_FILE).is_file():
        raise InputError(f"{folder}: no corpus here ({CORPUS_FILE} is missing); make one with `xpronet prepare`")
    info = read_json(folder / CORPUS_FILE)
    if not isinstance(info, dict) or info.get("format") != FORMAT:
        raise InputError(
            f"{folder / CORPUS_FILE}: not a corpus of format {FORMAT}; make it again with `xpronet prepare`"
        )
    return Corpus(
        folder=folder,
        name=str(info.get("name", folder.name)),
        licence=str(info.get("licence", "")),
        made=info.get("made", {}),
    )


def each_study(folder: Path, split: str | None = None) -> Iterator[Study]:
    """Yield the studies of a corpus folder in file order, all or those of one split, one at a time.

    Raises:
        InputError: a study is malformed; the message names the line.
    """
    path = folder / STUDIES_FILE
    for number, record in enumerate(each_json_line(path), 1):
        study = _study(record, f"{path}, study {number}")
        if split is None or study.split == split:
            yield study


def relative_path(path: Path, folder: Path) -> str:
    """Return `path` as a corpus stores it: relative to `folder`, with forward slashes."""
    return os.path.relpath(path, folder).replace(os.sep, "/")


def _study(record: Any, where: str) -> Study:
    try:
        _check_types(record, STUDY_TYPES, where)
        for view in record["views"]:
            _check_types(view, VIEW_TYPES, where)
        study = Study(**{**record, "views": tuple(View(**view) for view in record["views"])})
    except (TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{where}: not a study record ({error})") from None
    if study.split not in SPLITS:
        raise InputError(f"{where}: split {study.split!r} is none of {', '.join(SPLITS)}")
    return study


def _check_types(record: dict[str, Any], types: Mapping[str, type | UnionType], where: str) -> None:
    for name, value in record.items():
        if name in types and not isinstance(value, types[name]):
            raise InputError(f"{where}: {name} is a {type(value).__name__}; make the corpus again")
