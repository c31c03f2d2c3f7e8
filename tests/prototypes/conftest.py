"""A small corpus of drawn images: round hearts of two sizes, with reports and labels to match."""

from pathlib import Path

import numpy as np
import pytest

from xpronet.data.corpus import Corpus, open_corpus, write_corpus
from xpronet.data.study import Study, View
from xpronet.images.read import write_grey
from xpronet.labels.findings import State
from xpronet.labels.label_tables import write_labels

SIDE = 64


def picture(radius: int, rng: np.random.Generator) -> np.ndarray:
    rows, columns = np.mgrid[:SIDE, :SIDE]
    middle = SIDE / 2 + rng.uniform(-3, 3)
    heart = (rows - middle) ** 2 + (columns - 0.6 * SIDE) ** 2 < radius**2
    return (60 + 140 * heart + rng.integers(0, 20, (SIDE, SIDE))).astype(np.uint8)


def write_hearts(folder: Path, *, train: int = 12) -> Corpus:
    """Write a corpus whose even studies have a large heart, with one or two views and two splits."""
    rng = np.random.default_rng(0)
    studies = []
    for number in range(train + 2):
        views = []
        for view in range(1 + number % 3 // 2):
            path = f"images/{number}-{view}.png"
            write_grey(folder / path, picture(8 if number % 2 else 20, rng))
            views.append(View(path=path, width=SIDE, height=SIDE))
        report = "The heart is normal. No effusion." if number % 2 else f"Large heart, {number} cm. No effusion."
        split = "train" if number < train else "test"
        studies.append(Study(id=f"s{number}", split=split, views=tuple(views), report=report))
    write_corpus(folder, studies, name="hearts", licence="CC0-1.0", made={"by": "tests"})
    labels = {
        0: {"Cardiomegaly": State.POSITIVE, "Pleural Effusion": State.NEGATIVE},
        1: {"No Finding": State.POSITIVE},
    }
    write_labels(folder / "labels.csv", [(study.id, labels[number % 2]) for number, study in enumerate(studies)])
    return open_corpus(folder)


@pytest.fixture(scope="session")
def hearts(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return write_hearts(tmp_path_factory.mktemp("hearts"))
