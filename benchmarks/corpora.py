"""Measure preparation: a release of 100,000 studies without images, and the image cache's cores and memory.

`python benchmarks/corpora.py` writes a tree in MIMIC-CXR's layout and drawn images into a temporary folder, prepares
them, and prints seconds, peak memory and cores, and what 1,000 images cost in time and disk at both depths.
`--studies` and `--images` make it smaller; `--source FOLDER` costs real images (PNG, JPEG, DICOM) and nothing else.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

TESTS = Path(__file__).parents[1] / "tests" / "corpora"
SIZE = 1024
"""Side of the drawn images in pixels; Open-i's are half as wide and as high again."""


def run_alone(arguments: list[str]) -> tuple[float, float, float]:
    """Run a command in a process of its own; return its seconds, CPU seconds and peak memory in GiB."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    if status:
        raise SystemExit(f"{' '.join(arguments)}: status {status}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, processor, usage.ru_maxrss / 2**20


def measure_metadata(folder: Path, studies: int) -> None:
    """Prepare a tree of reports and tables."""
    sys.path.insert(0, str(TESTS))
    from mimic_tree import write_tree

    started = time.perf_counter()
    write_tree(folder / "mimic", studies=studies, images=False)
    print(f"tree of {studies:,} studies written in {time.perf_counter() - started:.0f} s")
    command = ["prepare", "mimic-cxr", "--root", str(folder / "mimic"), "--out", str(folder / "corpus"), "--no-images"]
    seconds, _, memory = run_alone([sys.executable, "-m", "xpronet", *command])
    print(f"prepare mimic-cxr: {studies:,} studies in {seconds:.1f} s, peak {memory:.2f} GiB")


def measure_cache(folder: Path, images: int) -> None:
    """Cache drawn images, and four times as many, and compare cores and memory."""
    rng = np.random.default_rng(0)
    source = folder / "source"
    source.mkdir()
    noise = rng.normal(0, 4, (SIZE, SIZE))
    shade = np.add.outer(np.linspace(20, 120, SIZE), np.linspace(0, 100, SIZE))
    for number in range(8):
        Image.fromarray((shade + np.roll(noise, number)).clip(0, 255).astype(np.uint8)).save(source / f"{number}.png")
    for count in (images, 4 * images):
        table = folder / f"{count}.csv"
        for number in range(8, count):
            (source / f"{number}.png").unlink(missing_ok=True)
            os.link(source / f"{number % 8}.png", source / f"{number}.png")
        rows = [f"{number},Clear.,{number}.png" for number in range(count)]
        table.write_text("\n".join(["id,report,image", *rows]))
        command = ["prepare", "table", "--csv", str(table), "--images", str(source), "--out", str(folder / f"c{count}")]
        seconds, processor, memory = run_alone([sys.executable, "-m", "xpronet", *command])
        print(
            f"image cache: {count:,} images of {SIZE} x {SIZE} in {seconds:.1f} s, {count / seconds:.0f} a second, "
            f"{processor / seconds:.2f} cores, largest process {memory:.2f} GiB"
        )
    for number in range(8, 4 * images):
        (source / f"{number}.png").unlink(missing_ok=True)
    measure_cost(source)


def measure_cost(source: Path) -> None:
    """Store each image under `source` alone, at both depths, and print what 1,000 such images would cost."""
    from xpronet.corpora.image_cache import ImageFormat, make_cache

    images = sorted(path for path in source.rglob("*") if path.suffix.lower() in {".png", ".jpg", ".jpeg", ".dcm"})
    if not images:
        raise SystemExit(f"{source}: no images")
    # The first image of each kind pays for loading its decoder, which 1,000 images pay once.
    kinds = {path.suffix: path for path in images}
    for depth in (8, 16):
        with tempfile.TemporaryDirectory() as folder:
            image_format = ImageFormat(depth=depth)
            make_cache(
                [(path, Path(folder, "warm", f"{n}.png")) for n, path in enumerate(kinds.values())],
                image_format,
                workers=1,
            )
            pairs = [(path, Path(folder, "cache", f"{number}.png")) for number, path in enumerate(images)]
            started = time.process_time()
            unreadable = make_cache(pairs, image_format, workers=1)
            seconds = time.process_time() - started
            stored = [path.stat().st_size for path in Path(folder, "cache").iterdir()]
        print(
            f"{len(stored):,} images of {source.name} at {depth} bits ({len(unreadable)} unreadable): 1,000 cost "
            f"{1000 * seconds / len(pairs):.0f} s of one core and {sum(stored) / len(stored) / 1000:.0f} MB"
        )


def main() -> None:
    """Measure all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=100_000)
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--source", type=Path)
    chosen = parser.parse_args()
    if chosen.source is not None:
        measure_cost(chosen.source)
        return
    with tempfile.TemporaryDirectory() as folder:
        measure_metadata(Path(folder), chosen.studies)
    with tempfile.TemporaryDirectory() as folder:
        measure_cache(Path(folder), chosen.images)


if __name__ == "__main__":
    main()
