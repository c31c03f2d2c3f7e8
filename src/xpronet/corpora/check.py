"""Verify a corpus folder, and sum up what is in it."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from xpronet.corpora.staging import straddling
from xpronet.data.corpus import CORPUS_FILE, IMAGES_FOLDER, Corpus, open_corpus
from xpronet.data.study import SPLITS, Study
from xpronet.errors import InputError
from xpronet.files import read_json
from xpronet.images.read import read_grey, read_header
from xpronet.progress import Tracker, silent
from xpronet.text.cleaning import clean

LONGEST_BIN = 100
BIN_WIDTH = 10
"""Words; what is as long as the longest bin or longer shares one."""
FULL_STOP = "."


@dataclass(frozen=True, kw_only=True)
class CorpusCheck:
    """What a corpus folder holds and what is wrong with it."""

    corpus: Corpus
    """The corpus."""
    problems: Sequence[str]
    """What is wrong, a line each, the first of a kind named; empty where all is well."""
    studies: Counter[str]
    """Studies in each split."""
    patients: int
    """Distinct patients; 0 where the source names none."""
    positions: Counter[str]
    """Views by position; "unknown" where the source does not say."""
    pictureless: int
    """Studies without an image."""
    lengths: dict[str, list[int]]
    """Words of each report, cleaned, by split."""
    repeated: dict[str, int]
    """Reports of val and test that stand word for word (cleaned) in train as well."""
    distinct: dict[str, int]
    """Distinct reports (cleaned) of each split."""


def check_corpus(folder: Path, *, decode: bool = False, track: Tracker = silent) -> CorpusCheck:
    """Verify files, sizes, depth, ids and splits of a corpus folder.

    Args:
        folder: the corpus.
        decode: read every image to its last pixel, not only its header.
        track: told of each study.

    Raises:
        InputError: the folder is no corpus, or a record is malformed.
    """
    corpus = open_corpus(folder)
    studies = corpus.studies
    problems = [*_count_problems(corpus), *_text_problems(studies), *_patient_problems(studies)]
    problems += _picture_problems(corpus, decode, track)
    texts = {split: [clean(study.report) for study in studies if study.split == split] for split in SPLITS}
    known = set(texts["train"])
    return CorpusCheck(
        corpus=corpus,
        problems=problems,
        studies=Counter(study.split for study in studies),
        patients=len({study.patient for study in studies} - {None}),
        positions=Counter(view.position or "unknown" for study in studies for view in study.views),
        pictureless=sum(not study.views for study in studies),
        lengths={split: [sum(word != FULL_STOP for word in text.split()) for text in texts[split]] for split in SPLITS},
        repeated={split: sum(text in known for text in texts[split]) for split in SPLITS if split != "train"},
        distinct={split: len(set(texts[split])) for split in SPLITS},
    )


def length_bins(lengths: Sequence[int]) -> list[tuple[str, int]]:
    """Return a histogram of report lengths: what each bin is called, and how many reports are in it."""
    last = LONGEST_BIN // BIN_WIDTH
    counts = Counter(min(length // BIN_WIDTH, last) for length in lengths)
    names = [f"{first}-{first + BIN_WIDTH - 1}" for first in range(0, LONGEST_BIN, BIN_WIDTH)] + [f"{LONGEST_BIN}+"]
    return [(name, counts[number]) for number, name in enumerate(names)]


def stored_depth(corpus: Corpus) -> int:
    """Return the bits of a grey value that a corpus states for its images; 8 where it was made without a choice."""
    depth = corpus.made.get("depth", 8)
    return depth if isinstance(depth, int) else 8


def _count_problems(corpus: Corpus) -> Iterator[str]:
    written = read_json(corpus.folder / CORPUS_FILE).get("studies")
    counted = Counter(study.split for study in corpus.studies)
    if written != {split: counted[split] for split in SPLITS}:
        yield f"{CORPUS_FILE} counts {written}, the folder holds {dict(counted)}; make the corpus again"


def _text_problems(studies: Sequence[Study]) -> Iterator[str]:
    yield from _summed("studies have no report", [study.id for study in studies if not study.report.strip()])


def _patient_problems(studies: Sequence[Study]) -> Iterator[str]:
    sides = straddling([(study.patient, study.split) for study in studies])
    yield from _summed("patients are in more than one split, so scores are too good", sides)


def _picture_problems(corpus: Corpus, decode: bool, track: Tracker) -> Iterator[str]:
    wrong: dict[str, list[str]] = {}
    seen: Counter[str] = Counter()
    depth = stored_depth(corpus)
    for study in track(corpus.studies, "Check images", len(corpus.studies)):
        for view in study.views:
            seen[view.path] += 1
            problem = _view_problem(corpus.view_path(view), (view.width, view.height, depth), decode)
            if problem is not None:
                wrong.setdefault(problem, []).append(view.path)
    for problem, paths in wrong.items():
        yield from _summed(f"images {problem}", paths)
    yield from _summed("images stand in two places", [path for path, count in seen.items() if count > 1])
    yield from _summed("files in images/ belong to no study", _orphans(corpus.folder, seen))


def _view_problem(path: Path, recorded: tuple[int, int, int], decode: bool) -> str | None:
    if not path.is_file():
        return "are missing"
    try:
        found = read_header(path)
        if decode:
            read_grey(path)
    except InputError:
        return "cannot be read"
    if found[:2] != recorded[:2]:
        return "have another size than their record says"
    if found.depth != recorded[2]:
        return f"have {found.depth} bits, not the {recorded[2]} of {CORPUS_FILE}"
    return None


def _orphans(folder: Path, seen: Counter[str]) -> list[str]:
    paths = (
        Path(inside, file).relative_to(folder).as_posix()
        for inside, _, files in os.walk(folder / IMAGES_FOLDER)
        for file in files
    )
    return sorted(path for path in paths if path not in seen)


def _summed(what: str, names: Sequence[str]) -> Iterator[str]:
    if names:
        yield f"{len(names):,} {what} (first {', '.join(names[:3])})"
