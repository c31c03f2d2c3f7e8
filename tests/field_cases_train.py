"""Checks of the field cases on training runs and shards; each takes a case's folder and returns (right, total)."""

import contextlib
import io
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from xpronet.cli import run as xpronet
from xpronet.files import read_json_lines
from xpronet.phantom.make_corpus import PhantomSettings, make_phantom

RECIPE = """
[images]
size = 64
short_side = 64
[vocabulary]
min_count = 1
max_words = 20
[batches]
size = 8
[backbone]
depth = 18
[text]
width = 8
[prototypes]
per_finding = 2
restarts = 1
[model]
width = 16
feed_forward = 16
heads = 2
layers = 1
gamma = 2
[train]
epochs = 1
[generate]
max_words = 8
beams = 1
"""


@contextmanager
def _trained() -> Iterator[Path]:
    """Yield a folder with recipe.toml, corpus/ and a run of one epoch, run/, whose backbone has width 8."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_phantom(folder / "corpus", PhantomSettings(studies=40, seed=3, prevalence="balanced", size=64))
        (folder / "recipe.toml").write_text(RECIPE)
        status, _, message = _call(*_train(folder), "--set", "backbone.width=8")
        assert status == 0, message
        yield folder


def _train(folder: Path) -> tuple[str, ...]:
    return ("train", f"{folder / 'recipe.toml'}", "--corpus", f"{folder / 'corpus'}", "--out", f"{folder / 'run'}")


def _call(*arguments: str) -> tuple[int, str, str]:
    """Return a command's status, output and error output."""
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        status = xpronet(list(arguments))
    return status, out.getvalue(), err.getvalue()


def check_resume_blames_checkpoint(folder: Path) -> tuple[int, int]:
    """`--resume` with another recipe names the setting that differs, in one line."""
    with _trained() as place:
        more = ("--set", "backbone.width=32", "--set", "train.epochs=2", "--resume")
        status, _, message = _call(*_train(place), *more)
        line = [line for line in message.splitlines() if line.startswith("xpronet: ")]
        named = len(line) == 1 and "backbone.width is 8 in the run and 32 in the recipe" in line[0]
        # The run's own settings are taken.
        resumed, *_ = _call(*_train(place), "--set", "backbone.width=8", *more[2:])
    return (status == 2 and named) + (resumed == 0), 2


def check_run_without_links(folder: Path) -> tuple[int, int]:
    """A run that lost its symbolic links, or has folders or text files in their place, loads and resumes."""
    right = total = 0
    with _trained() as place:
        original = place / "original"
        (place / "run").rename(original)
        images = sorted((place / "corpus/images").rglob("*.png"))[:2]
        for kind in ("removed", "folders", "text"):
            run = Path(shutil.copytree(original, place / "run", symlinks=kind != "folders"))
            for link in () if kind == "folders" else ("best", "last"):
                target = (run / "checkpoints" / link).readlink()
                (run / "checkpoints" / link).unlink()
                if kind == "text":
                    (run / "checkpoints" / link).write_text(str(target))
            reported, *_ = _call("report", str(run), *map(str, images))
            resumed, *_ = _call(*_train(place), "--set", "backbone.width=8", "--set", "train.epochs=2", "--resume")
            last = run / "checkpoints/last"
            right += (reported == 0) + (resumed == 0 and last.is_symlink() and last.exists())
            total += 2
            shutil.rmtree(run)
    return right, total


def check_shard_uneven(folder: Path) -> tuple[int, int]:
    """Every shard of eight has its share of a small split, and together they are the whole."""
    right = 0
    with _trained() as place:
        generate = ("generate", f"{place / 'run'}", "--corpus", f"{place / 'corpus'}", "--split", "train")
        out = ("--out", f"{place / 'shards.jsonl'}")
        shares = []
        for number in range(1, 9):
            status, text, _ = _call(*generate, *out, "--shard", f"{number}/8")
            shares.append(int(text.split()[1]) if status == 0 else -1)
        right += sum(shares) == 28 and max(shares) - min(shares) <= 1
        joined, *_ = _call(*generate, *out)
        alone, *_ = _call(*generate, "--out", f"{place / 'alone.jsonl'}")
        if joined == alone == 0:
            one, other = (
                [(line["id"], line["report"]) for line in read_json_lines(place / name)]
                for name in ("shards.jsonl", "alone.jsonl")
            )
            right += one == other
    return right, 2


if __name__ == "__main__":
    for name, check in sorted(globals().items()):
        if name.startswith("check_"):
            print(name.removeprefix("check_").replace("_", "-"), *check(Path()))
