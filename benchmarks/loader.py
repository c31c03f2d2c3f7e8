"""Measure whether training waits for images: studies a second from the image cache, and as many as a step takes.

    python benchmarks/loader.py [--small] [--device cpu|cuda] [--repeats N]

Draws a corpus of two views of 256 pixels and reads it with random crops, as training does, in the main process and
with workers; beside it, forward and backward pass of ResNet-101, the largest part of a step, in the fastest arithmetic
that the machine has. Prints one JSON object.
"""

import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from measuring import SIDE, machine, paper_network, paper_studies, precisions, read_options, show, spread, timed
from step import backbone_step

from xpronet.data.corpus import open_corpus
from xpronet.data.dataset import BatchSettings, StudyDataset
from xpronet.data.loader import load_batches
from xpronet.images.transforms import ImageSettings
from xpronet.phantom.make_corpus import PhantomSettings, make_phantom
from xpronet.text.vocabulary import VocabularySettings, build_vocabulary

WORKERS = (0, 1, 2)


def main() -> None:
    """Measure and print."""
    options = read_options(__doc__)
    num_studies = 48 if options.small else 192
    rates = {}
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder) / "phantom"
        make_phantom(where, PhantomSettings(studies=num_studies, seed=0, size=256))
        corpus = open_corpus(where)
        vocabulary = build_vocabulary((study.report for study in corpus.studies), VocabularySettings(min_count=1))
        dataset = StudyDataset(
            corpus,
            corpus.studies,
            vocabulary=vocabulary,
            findings=np.zeros((len(corpus.studies), 14), np.float32),
            images=ImageSettings(size=SIDE, short_side=256),
            max_views=2,
            augment=True,
        )
        for workers in WORKERS:
            settings = BatchSettings(size=16, max_views=2, workers=workers)
            rates[f"workers: {workers}"] = spread(
                [studies_per_second(dataset, settings, vocabulary.padding, epoch) for epoch in range(options.repeats)]
            )
    count = 4 if options.device.type == "cpu" else 64
    network = paper_network(options.device)
    network.backbone.to(memory_format=torch.channels_last)
    step = backbone_step(network, paper_studies(count, options.device), precisions(options.device)[-1])
    seconds = timed({"step": step}, device=options.device, repeats=options.repeats)["step"]["median"]
    wanted = count / seconds
    best = max(found["median"] for found in rates.values())
    show(
        {
            "benchmark": "loader",
            "machine": machine(options.device),
            "sizes": {"studies": len(corpus.studies), "views": 2, "side": SIDE},
            "studies_per_second": rates,
            "studies_per_second_of_training": round(wanted, 2),
            "ratios": {"loading to training (above 1: never starves)": round(best / wanted, 1)},
        }
    )


def studies_per_second(dataset: StudyDataset, settings: BatchSettings, padding: int, epoch: int) -> float:
    """Read an epoch; with workers, from the first batch on, which their start delays."""
    batches = iter(load_batches(dataset, settings, padding=padding, epoch=epoch, seed=0))
    first = len(next(batches).ids) if settings.workers else 0
    started = time.perf_counter()
    read = sum(len(batch.ids) for batch in batches)
    assert read + first == len(dataset)
    return read / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
