"""Measure what one image, one record and one step cost, and reckon what large corpora would take.

    python benchmarks/scale.py [--small] [--device cpu|cuda] [--source FOLDER] [--write]

`--source` caches real films (PNG, JPEG, DICOM) in place of drawn ones. Measured on this machine: bytes and seconds of a
cached image, images read a second, bytes of a study's record, a training step and the writing of a report with
ResNet-101. Counted: the operations of both, from which the GPU rows are computed at a utilisation that is assumed.
`--write` puts the table into docs/how_to/scale.md, between its two marks. Prints one JSON object.
"""

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from corpora import TESTS
from decode import LENGTH, write
from measuring import Studies, count_flops, machine, paper_network, paper_studies, show
from PIL import Image
from step import full_step

from xpronet.corpora.image_cache import make_cache
from xpronet.data.corpus import each_study, write_corpus
from xpronet.data.study import View
from xpronet.images.read import read_grey
from xpronet.images.transforms import ImageSettings, train_view
from xpronet.progress import format_duration

PAGE = Path(__file__).parents[1] / "docs" / "how_to" / "scale.md"
BEGIN, END = "<!-- written by benchmarks/scale.py -->", "<!-- end -->"
CORPORA = {"MIMIC-CXR": 377_110, "100 million": 100_000_000}
STUDIES_PER_PICTURE = 227_835 / 377_110
"""Of MIMIC-CXR."""
EPOCHS = 30
PEAK, UTILISATION = 312e12, 0.2
"""Dense bf16 operations a second of an A100, and the share of them that training a ResNet is assumed to reach."""
MOST_FILMS = 250
REPEATS = 2
RECORDS = """
import gc, json, os, sys
from pathlib import Path
from xpronet.experiment.recipe_parts import recipe_corpus
from xpronet.experiment.recipe import make_recipe

def resident():
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

recipe = make_recipe({"corpus": sys.argv[1]}, where="benchmark")
before = resident()
corpus = recipe_corpus(recipe)
print(json.dumps({"bytes": resident() - before, "studies": len(corpus.studies)}))
"""


def main() -> None:
    """Measure, reckon, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="fewer films and records, smaller batches")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--source", type=Path, help="folder of films to cache")
    parser.add_argument("--write", action="store_true", help="rewrite the table in docs/how_to/scale.md")
    options = parser.parse_args()
    device = torch.device(options.device)
    with tempfile.TemporaryDirectory() as folder:
        films = measure_films(Path(folder), options.source, 32 if options.small else MOST_FILMS)
        records = measure_records(Path(folder), 2_000 if options.small else 100_000)
    network = measure_network(device, 2 if options.small else 4)
    measured = {**films, **records, **network}
    about = {"benchmark": "scale", "machine": machine(device)}
    assumed = {"peak operations a second": PEAK, "utilisation": UTILISATION, "epochs": EPOCHS}
    rows = table(measured)
    show({**about, "measured": measured, "assumed": assumed, "table": rows})
    if options.write:
        rewrite(rows)


def measure_films(folder: Path, source: Path | None, most: int) -> dict[str, float]:
    """Cache films alone on one core, and read them as training does."""
    if source is None:
        source = draw_films(folder / "films", 24)
    known = {".png", ".jpg", ".jpeg", ".dcm"}
    films = sorted(path for path in source.rglob("*") if path.suffix.lower() in known)
    if not films:
        raise SystemExit(f"{source}: no films")
    films = films[:: -(-len(films) // most)]  # from all over the folder
    pairs = [(film, folder / "cache" / f"{number}.png") for number, film in enumerate(films)]
    # The first film of each kind pays for loading its decoder, which a corpus pays once.
    kinds = {film.suffix: film for film in films}
    make_cache([(film, folder / "warm" / f"{suffix}.png") for suffix, film in kinds.items()], workers=1)
    started = time.process_time()
    unreadable = make_cache(pairs, workers=1)
    preparing = time.process_time() - started
    cached = sorted((folder / "cache").iterdir())
    settings, rng = ImageSettings(size=224, short_side=256), np.random.default_rng(0)
    started = time.process_time()
    for path in cached:
        train_view(read_grey(path), settings, rng)
    reading = time.process_time() - started
    return {
        "films": len(films),
        "films unreadable": len(unreadable),
        "bytes a cached image": round(sum(path.stat().st_size for path in cached) / len(cached)),
        "images prepared a second and core": round(len(films) / preparing, 1),
        "images read a second and core": round(len(cached) / reading, 1),
    }


def draw_films(folder: Path, count: int) -> Path:
    """Draw films of about the size of radiographs: a shade with grain."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    shade = np.add.outer(np.linspace(20, 120, 2048), np.linspace(0, 100, 2048))
    for number in range(count):
        Image.fromarray((shade + rng.normal(0, 4, shade.shape)).clip(0, 255).astype(np.uint8)).save(
            folder / f"{number}.png"
        )
    return folder


def measure_records(folder: Path, count: int) -> dict[str, float]:
    """Prepare reports and tables in MIMIC-CXR's layout, and see how much a training process grows by reading them."""
    sys.path.insert(0, str(TESTS))
    from mimic_tree import write_tree

    write_tree(folder / "mimic", studies=count, pictures=False)
    corpus = folder / "corpus"
    command = ["prepare", "mimic-cxr", "--root", folder / "mimic", "--out", corpus, "--no-images"]
    subprocess.run([sys.executable, "-m", "xpronet", *command], check=True, stdout=subprocess.DEVNULL)
    # With views, as the images would have been named: five in three studies.
    studies = (replace(study, views=views(study.id, 1 + (n % 3 > 0))) for n, study in enumerate(each_study(corpus)))
    write_corpus(folder / "records", studies, name="records", licence="", made={})
    done = subprocess.run(
        [sys.executable, "-c", RECORDS, folder / "records"], check=True, text=True, stdout=subprocess.PIPE
    )
    found = json.loads(done.stdout)
    return {
        "records": found["studies"],
        "bytes a record in memory": round(found["bytes"] / found["studies"]),
    }


def views(study: str, count: int) -> tuple[View, ...]:
    """Return so many views of a study."""
    names = (f"images/p10/{study}/02aa804e-bde0afdd-112c0b34-7bc16630-{number:08x}.png" for number in range(count))
    return tuple(View(path=name, position="PA", width=312, height=256) for name in names)


def measure_network(device: torch.device, count: int) -> dict[str, float]:
    """Time and count a training step and the writing of reports, one view a study as MIMIC-CXR is trained.

    On a CPU one core works and its own time counts: what else the machine does changes little.
    """
    torch.set_num_threads(1)
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    network = paper_network(device)
    network.backbone.to(memory_format=torch.channels_last)
    studies = one_view(paper_studies(count, device))
    precision = "bf16" if device.type == "cuda" else "fp32"
    learn = full_step(network, studies, precision)
    operations = count_flops(learn)
    learning = seconds(learn, device, clock)
    network.eval().requires_grad_(False)

    def report() -> None:
        with torch.inference_mode():
            patches = network.encode_images(studies.images, studies.view_mask)
        write(network, replace(studies, patches=patches), precision)

    writing = seconds(report, device, clock)
    return {
        "studies in a batch": count,
        "words": LENGTH,
        "images learned a second and core": round(count / learning, 3),
        "images written about a second and core": round(count / writing, 3),
        "operations of an image learned": operations // count,
        "operations of an image written about": count_flops(report) // count,
    }


def seconds(way: Callable[[], None], device: torch.device, clock: Callable[[], float]) -> float:
    """Return the fastest of a few runs, the first not counted."""
    found = []
    for _ in range(REPEATS + 1):
        started = clock()
        way()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        found.append(clock() - started)
    return min(found[1:])


def one_view(studies: Studies) -> Studies:
    """Return the studies with their first view alone."""
    return replace(studies, images=studies.images[:, :1], view_mask=studies.view_mask[:, :1])


def table(of: Mapping[str, Any]) -> list[str]:
    """Reckon from per-image figures what each corpus takes; return the lines of a Markdown table."""
    computed = PEAK * UTILISATION / of["operations of an image learned"]
    written = PEAK * UTILISATION / of["operations of an image written about"]
    stored, prepared = of["bytes a cached image"], of["images prepared a second and core"]
    read, learned = of["images read a second and core"], of["images learned a second and core"]
    reports, record = of["images written about a second and core"], of["bytes a record in memory"]
    gpus = f"computed: {computed:,.0f} pictures/s a GPU"
    lines = {
        f"8-bit cache, {stored / 1000:.0f} kB an image": lambda n: in_bytes(n * stored),
        f"preparing it on 64 cores, {prepared:.0f} pictures/s a core": lambda n: format_duration(n / prepared / 64),
        f"records in each process, {record / 1000:.1f} kB a study": lambda n: in_bytes(
            n * STUDIES_PER_PICTURE * record
        ),
        f"one epoch on 64 CPU cores, {learned:.2f} pictures/s a core": lambda n: in_years(n / learned / 64),
        f"reports on them, {reports:.2f} pictures/s a core": lambda n: in_years(n / reports / 64),
        f"one epoch on 8 GPUs, {gpus}": lambda n: format_duration(n / computed / 8),
        f"{EPOCHS} epochs on 8 GPUs": lambda n: format_duration(EPOCHS * n / computed / 8),
        f"{EPOCHS} epochs on 64 GPUs": lambda n: format_duration(EPOCHS * n / computed / 64),
        f"reports on 64 GPUs, computed: {written:,.0f} pictures/s a GPU": lambda n: format_duration(n / written / 64),
        f"cores to read for 8 GPUs, {read:.0f} pictures/s a core": lambda n: f"{8 * computed / read:.0f}",
    }
    head = [f"| | {' | '.join(CORPORA)} |", f"| --- |{' --- |' * len(CORPORA)}"]
    pictures = f"| images | {' | '.join(f'{n:,}' for n in CORPORA.values())} |"
    return [*head, pictures, *(f"| {what} | {' | '.join(map(way, CORPORA.values()))} |" for what, way in lines.items())]


def in_bytes(count: float) -> str:
    """Return a size in the unit that gives it one to three digits before the point."""
    for unit, size in (("TB", 1e12), ("GB", 1e9)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count / 1e6:.0f} MB"


def in_years(seconds: float) -> str:
    """Return a duration, in years where it is long."""
    years = seconds / (365.25 * 86400)
    return f"{years:.1f} years" if years >= 1 else format_duration(seconds)


def rewrite(rows: list[str]) -> None:
    """Put the table between the page's marks."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise SystemExit(f"{PAGE}: the marks of the table are missing")
    PAGE.write_text("\n".join(itertools.chain([before + BEGIN, ""], rows, ["", END + after])), encoding="utf-8")


if __name__ == "__main__":
    main()
