"""Make a phantom corpus: drawn studies with reports, labels, and the exact place and region of each finding."""

import dataclasses
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
from jaxtyping import UInt16
from PIL import Image

from xpronet.corpora.dataset_card import write_dataset_card
from xpronet.data.corpus import IMAGES_FOLDER, LABELS_FILE, write_corpus
from xpronet.data.study import SPLITS, Study, View
from xpronet.errors import InputError
from xpronet.files import new_folder, write_json_lines
from xpronet.images.read import Depth, Grey
from xpronet.labels.findings import State
from xpronet.labels.label_tables import write_labels
from xpronet.launch import num_cores
from xpronet.phantom.draw_views import POSITIONS, draw_study
from xpronet.phantom.plan import Prevalence, plan_studies
from xpronet.phantom.record import Record, draw_record, truth
from xpronet.phantom.regions import region_path
from xpronet.phantom.report_text import write_report
from xpronet.progress import Tracker, silent

TRUTH_FILE = "truth.jsonl"
LICENCE = "Apache-2.0; drawn by a program, shows no person"

FEWEST_STUDIES, MOST_STUDIES = 10, 1_000_000
SMALLEST, LARGEST = 64, 1024
STUDIES_PER_WORKER = 25
"""For fewer studies, a second process takes longer to start than it saves."""


@dataclass(frozen=True, kw_only=True)
class PhantomSettings:
    """What a phantom corpus holds."""

    studies: int = 600
    """How many studies, at least 10; splits are exactly 70, 10 and 20 % where this is a multiple of ten."""
    seed: int = 0
    """The same seed gives the same bytes, and a longer corpus begins with the shorter one's studies."""
    prevalence: Prevalence = "natural"
    """Natural: most studies are normal. Balanced: each finding is in about a fifth of the studies."""
    size: int = 256
    """Side of the images in pixels, 64 to 1024."""
    depth: Depth = 8
    """Bits of a grey value."""

    def __post_init__(self) -> None:
        if not FEWEST_STUDIES <= self.studies <= MOST_STUDIES:
            raise InputError(f"studies = {self.studies}: choose {FEWEST_STUDIES} to {MOST_STUDIES}")
        if self.seed < 0:
            raise InputError(f"seed = {self.seed}: choose 0 or more")
        if self.prevalence not in get_args(Prevalence):
            raise InputError(f"prevalence = {self.prevalence!r}: choose one of {', '.join(get_args(Prevalence))}")
        if not SMALLEST <= self.size <= LARGEST:
            raise InputError(f"size = {self.size}: choose {SMALLEST} to {LARGEST} pixels")
        if self.depth not in get_args(Depth):
            raise InputError(f"depth = {self.depth}: choose 8 or 16 bits")


@dataclass(frozen=True, kw_only=True)
class Phantom:
    """One phantom study."""

    record: Record
    """Its findings."""
    views: dict[str, tuple[Grey, UInt16[np.ndarray, "size size"]]]
    """Image and regions by view position."""
    report: str
    """The text of the report."""
    states: dict[str, State]
    """The state of each finding in the report; those not mentioned are left out."""


def draw_phantom(present: frozenset[str], number: int, settings: PhantomSettings) -> Phantom:
    """Make one study with the findings given; everything else follows from `number` and the seed."""
    record_rng, image_rng, report_rng = (np.random.default_rng([settings.seed, number, 2, part]) for part in range(3))
    record = draw_record(present, record_rng)
    views = draw_study(record, size=settings.size, rng=image_rng, depth=settings.depth)
    report, states = write_report(record, report_rng)
    return Phantom(record=record, views=views, report=report, states=states)


def make_phantom(
    folder: Path,
    settings: PhantomSettings,
    overwrite: bool = False,
    track: Tracker = silent,
    workers: int | None = None,
) -> dict[str, int]:
    """Make a phantom corpus in `folder`, whole or not at all, and return the number of studies in each split.

    Beside the usual files the folder has truth.jsonl (each finding's side, zone, severity and kind) and regions/ (see
    `read_regions`) for studies that have a finding.

    Args:
        folder: the corpus folder; it must not exist, or be empty, unless `overwrite` is true.
        settings: what the corpus holds.
        overwrite: replace what is there.
        track: shows progress.
        workers: number of processes, by default one a core; the result does not depend on it.

    Raises:
        InputError: the folder is there already or cannot be written.
    """
    with new_folder(folder, overwrite=overwrite) as temporary:
        plan = plan_studies(settings.studies, settings.prevalence, settings.seed)
        jobs = [(temporary, number, present, split, settings) for number, (present, split) in enumerate(plan)]
        made = list(track(_run(jobs, workers), "Draw studies", len(jobs)))
        write_labels(temporary / LABELS_FILE, ((study.id, states) for study, states, _ in made))
        write_json_lines(
            temporary / TRUTH_FILE, ({"id": study.id, "findings": findings} for study, _, findings in made)
        )
        record = {"command": "xpronet prepare phantom", **dataclasses.asdict(settings)}
        counts = write_corpus(temporary, (study for study, _, _ in made), name="phantom", licence=LICENCE, made=record)
        write_dataset_card(temporary)
    return {split: counts[split] for split in SPLITS}


Job = tuple[Path, int, frozenset[str], str, PhantomSettings]
Outcome = tuple[Study, dict[str, State], dict[str, list[dict[str, Any]]]]


def _run(jobs: list[Job], workers: int | None) -> Iterator[Outcome]:
    count = min(workers or num_cores(), max(1, len(jobs) // STUDIES_PER_WORKER))
    if count == 1:
        yield from map(_make, jobs)
        return
    # Spawned, not forked: the caller may hold threads (torch) whose locks a fork would copy.
    with ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn")) as pool, _cancelling(pool):
        yield from pool.map(_make, jobs, chunksize=8)


@contextmanager
def _cancelling(pool: ProcessPoolExecutor) -> Iterator[None]:
    """Cancel what has not begun when the user interrupts or a study fails."""
    try:
        yield
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _make(job: Job) -> Outcome:
    """Make one study and write its images."""
    folder, number, present, split, settings = job
    study_id = f"phantom-{number:06d}"
    phantom = draw_phantom(present, number, settings)
    views = []
    for position in POSITIONS:
        image, regions = phantom.views[position]
        path = f"{IMAGES_FOLDER}/{study_id}/{position.lower()}.png"
        _write_png(folder / path, image)
        if present:
            _write_png(region_path(folder, study_id, position), regions)
        views.append(View(path=path, position=position, width=settings.size, height=settings.size))
    study = Study(
        id=study_id,
        split=split,
        views=tuple(views),
        report=phantom.report,
        sections={"findings": phantom.report},
        patient=study_id,
        source=f"phantom, seed {settings.seed}, study {number}",
    )
    return study, phantom.states, truth(phantom.record)


def _write_png(path: Path, grey: np.ndarray) -> None:
    # The folder is new and is moved into place as a whole, so single files need no care; noise hardly compresses.
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(grey).save(path, compress_level=1)
