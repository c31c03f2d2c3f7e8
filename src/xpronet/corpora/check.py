"""Verify a corpus folder, and sum up what is in it."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from xpronet.corpora.duplicates import Thumbnail, same_images, stack, thumbnail
from xpronet.corpora.source import in_several_splits
from xpronet.data.corpus import CORPUS_FILE, IMAGES_FOLDER, Corpus, open_corpus
from xpronet.data.study import SPLITS, Study, View
from xpronet.errors import InputError
from xpronet.files import read_json
from xpronet.images.read import read_grey, read_header
from xpronet.progress import Tracker, silent
from xpronet.text.cleaning import clean
from xpronet.text.sections import is_blank
from xpronet.text.vocabulary import VocabularySettings, reference_vocabulary

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
    """What is wrong, a line for each kind of problem that names the first of it; empty where all is well."""
    studies: Counter[str]
    """Studies in each split."""
    patients: int
    """Distinct patients; 0 where the source names none."""
    positions: Counter[str]
    """Views by position; "unknown" where the source does not say."""
    without_images: int
    """Studies without an image."""
    lengths: dict[str, list[int]]
    """Words of each report, cleaned, by split."""
    unknown: dict[str, float]
    """Share of the words of each split that a vocabulary of the train reports, with its default settings, lacks."""
    repeated: dict[str, int]
    """Reports of val and test that are word for word (cleaned) in train as well."""
    distinct: dict[str, int]
    """Distinct reports (cleaned) of each split."""


def check_corpus(folder: Path, *, decode: bool = True, track: Tracker = silent) -> CorpusCheck:
    """Verify files, sizes, depth, ids and splits of a corpus folder; look for images that are in several splits.

    Args:
        folder: the corpus.
        decode: read every image to its last pixel; without, only the headers, and no image is compared.
        track: shows progress.

    Raises:
        InputError: the folder is no corpus, or a record is malformed.
    """
    corpus = open_corpus(folder)
    studies = corpus.studies
    problems = [*_count_problems(corpus), *_text_problems(studies), *_patient_problems(studies)]
    problems += _image_problems(corpus, decode, track)
    texts = {split: [clean(study.report) for study in studies if study.split == split] for split in SPLITS}
    known = set(texts["train"])
    learned = reference_vocabulary((study.report for study in studies if study.split == "train"), VocabularySettings())
    return CorpusCheck(
        corpus=corpus,
        problems=problems,
        studies=Counter(study.split for study in studies),
        patients=len({study.patient for study in studies} - {None}),
        positions=Counter(view.position or "unknown" for study in studies for view in study.views),
        without_images=sum(not study.views for study in studies),
        lengths={split: [sum(word != FULL_STOP for word in text.split()) for text in texts[split]] for split in SPLITS},
        unknown={split: learned.unknown_share(texts[split]) for split in SPLITS},
        repeated={split: sum(text in known for text in texts[split]) for split in SPLITS if split != "train"},
        distinct={split: len(set(texts[split])) for split in SPLITS},
    )


def length_bins(lengths: Sequence[int]) -> list[tuple[str, int]]:
    """Return a histogram of report lengths: the name of each bin, and how many reports are in it."""
    last = LONGEST_BIN // BIN_WIDTH
    counts = Counter(min(length // BIN_WIDTH, last) for length in lengths)
    names = [f"{first}-{first + BIN_WIDTH - 1}" for first in range(0, LONGEST_BIN, BIN_WIDTH)] + [f"{LONGEST_BIN}+"]
    return [(name, counts[number]) for number, name in enumerate(names)]


def stored_depth(corpus: Corpus) -> int:
    """Return the bits of a grey value that a corpus states for its images; 8 where it states none."""
    depth = corpus.made.get("depth", 8)
    return depth if isinstance(depth, int) else 8


def _count_problems(corpus: Corpus) -> Iterator[str]:
    written = read_json(corpus.folder / CORPUS_FILE).get("studies")
    counted = Counter(study.split for study in corpus.studies)
    if written != {split: counted[split] for split in SPLITS}:
        yield f"{CORPUS_FILE} counts {written}, the folder holds {dict(counted)}; make the corpus again"


def _text_problems(studies: Sequence[Study]) -> Iterator[str]:
    yield from _summed(
        'studies have no report (empty, "nan", "None" or the like)',
        [study.id for study in studies if is_blank(study.report)],
    )


def _patient_problems(studies: Sequence[Study]) -> Iterator[str]:
    patients = in_several_splits((study.patient, study.split) for study in studies)
    yield from _summed("patients are in more than one split, so scores are too good", patients)


def _image_problems(corpus: Corpus, decode: bool, track: Tracker) -> Iterator[str]:
    wrong: dict[str, list[str]] = {}
    views = [(study.split, view) for study in corpus.studies for view in study.views]
    uses = Counter(view.path for _, view in views)
    thumbnails: dict[str, tuple[list[str], list[Thumbnail]]] = {split: ([], []) for split in SPLITS}
    depth = stored_depth(corpus)
    with ThreadPoolExecutor() as readers:
        inspected = readers.map(lambda item: _inspect(corpus, item[1], depth, decode), views)
        for (split, view), found in zip(views, track(inspected, "Check images", len(views)), strict=True):
            if isinstance(found, str):
                wrong.setdefault(found, []).append(view.path)
            elif found is not None:
                thumbnails[split][0].append(view.path)
                thumbnails[split][1].append(found)
    for problem, paths in wrong.items():
        yield from _summed(f"images {problem}", paths)
    yield from _summed("images are used twice", [path for path, count in uses.items() if count > 1])
    yield from _summed("files in images/ belong to no study", _orphans(corpus.folder, uses))
    stacked = {split: (paths, stack(vectors)) for split, (paths, vectors) in thumbnails.items()}
    same = [
        f"{stacked[one][0][first]} in {one} and {stacked[other][0][second]} in {other}"
        for one, other in combinations(SPLITS, 2)
        for first, second in same_images(stacked[one][1], stacked[other][1])
    ]
    yield from _summed("images are in more than one split, so scores are too good", same)


def _inspect(corpus: Corpus, view: View, depth: int, decode: bool) -> str | Thumbnail | None:
    """Return what is wrong with an image, else, where it is decoded, its thumbnail."""
    path = corpus.view_path(view)
    if not path.is_file():
        return "are missing"
    try:
        found = read_header(path)
        small = thumbnail(read_grey(path)) if decode else None
    except InputError:
        return "cannot be read"
    if found[:2] != (view.width, view.height):
        return "have another size than their record says"
    if found.depth != depth:
        return f"have {found.depth} bits, not the {depth} of {CORPUS_FILE}"
    return small


def _orphans(folder: Path, used: Counter[str]) -> list[str]:
    paths = (
        Path(inside, file).relative_to(folder).as_posix()
        for inside, _, files in os.walk(folder / IMAGES_FOLDER)
        for file in files
    )
    return sorted(path for path in paths if path not in used)


def _summed(what: str, names: Sequence[str]) -> Iterator[str]:
    if names:
        yield f"{len(names):,} {what} (first {', '.join(names[:3])})"
