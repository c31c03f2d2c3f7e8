"""Checks of the field cases about corpora: each takes a case's folder and returns how many of its cases are right."""

import contextlib
import io
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from xpronet.cli import run
from xpronet.data.corpus import open_corpus


@contextlib.contextmanager
def _copied(folder: Path) -> Iterator[Path]:
    """Yield a copy of the case that may be written to, with everything in it."""
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(temporary) / folder.name
        shutil.copytree(folder, copy, symlinks=True)
        for path in [copy, *copy.rglob("*")]:
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() else 0o644)
        yield copy


def _run(*arguments: object) -> tuple[int, str]:
    """Run a command; return its exit status and all that it printed, on one line."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        status = run([str(argument) for argument in arguments])
    return status, " ".join(output.getvalue().split())


def _prepare(case: Path, table: str, images: str = ".", *more: str) -> tuple[int, str]:
    return _run(
        "prepare", "table", "--csv", case / table, "--images", case / images, "--out", case / "c", "--overwrite", *more
    )


def _count(*right: bool) -> tuple[int, int]:
    return sum(right), len(right)


def check_table_nan(folder: Path) -> tuple[int, int]:
    """Reports "nan" and "NaN" are no reports: named, and left out with --tolerate."""
    with _copied(folder) as case:
        status, output = _prepare(case, "studies.csv")
        refused = status == 2 and "2 with no report" in output and "nan" in output
        with (case / "studies.csv").open("a") as stream:
            stream.write("c,pa3.png,Normal.,train\n")
        status, output = _prepare(case, "studies.csv", ".", "--tolerate", "2")
        studies = open_corpus(case / "c").studies if status == 0 else ()
    return _count(refused, [study.report for study in studies] == ["Normal."])


def check_check_same_picture(folder: Path) -> tuple[int, int]:
    """One image in train and in test is a problem."""
    with _copied(folder) as case:
        prepared, _ = _prepare(case, "studies.csv")
        status, output = _run("prepare", "check", case / "c")
    return _count(prepared == 0 and status == 2 and "images are in more than one split" in output)


def check_vocabulary_empty(folder: Path) -> tuple[int, int]:
    """A vocabulary that would know no word but the full stop is refused before training."""
    with _copied(folder) as case:
        prepared, _ = _prepare(case, "studies.csv")
        labelled, _ = _run("label", case / "c")
        recipe = Path(__file__).parents[1] / "recipes" / "phantom.toml"
        settings = ("--set", "train.epochs=1", "--set", "train.precision=fp32")
        status, output = _run("train", recipe, "--corpus", case / "c", "--out", case / "r", *settings)
    return _count(prepared == labelled == 0 and status == 2 and "vocabulary.min_count = 2: 100% of the words" in output)


def check_mimic_sections(folder: Path) -> tuple[int, int]:
    """Recommendations are apart from the impression; a comparison film leaves the comment as the findings."""
    with _copied(folder) as case:
        subprocess.run([sys.executable, "make_root.py"], cwd=case, check=True)
        choices = ("--no-images", "--text", "both", "--missing", "other")
        status, _ = _run("prepare", "mimic-cxr", "--root", case / "root", *choices, "--out", case / "c")
        studies = {study.id: study for study in open_corpus(case / "c").studies} if status == 0 else {}
    if not studies:
        return 0, 2
    first, second = studies["s50000001"], studies["s50000007"]
    return _count(
        first.sections["impression"] == "No acute process."
        and first.sections["recommendation"] == "CT chest to exclude a nodule in three months."
        and first.report == "Heart size is normal. The lungs are clear.\n\nNo acute process.",
        second.sections["findings"] == "PA and lateral views. There is a large left effusion.",
    )


def check_table_messages(folder: Path) -> tuple[int, int]:
    """The line names the image that is missing; of a table with semicolons, the columns found."""
    with _copied(folder) as case:
        missing, missing_line = _prepare(case, "missing.csv")
        semicolon, semicolon_line = _prepare(case, "semicolon.csv")
    return _count(
        missing == 2 and "missing.csv" in missing_line and "https://example.org/x.png" in missing_line,
        semicolon == 2 and "semicolon.csv" in semicolon_line and "id;image;report;split" in semicolon_line,
    )


def check_table_symlinks(folder: Path) -> tuple[int, int]:
    """Links inside the folder of images are followed; paths that climb out by .. are refused."""
    with _copied(folder) as case:
        image = case / "pics" / "pa.png"
        if not image.is_symlink():  # a copy without links leaves their text
            image.unlink()
            image.symlink_to("../elsewhere/pa.png")
        status, _ = _prepare(case, "studies.csv", "pics")
        followed = status == 0 and len(open_corpus(case / "c").studies) == 1
        table = (case / "studies.csv").read_text()
        (case / "studies.csv").write_text(table.replace("pa.png", "../elsewhere/pa.png"))
        status, output = _prepare(case, "studies.csv", "pics")
    return _count(followed, status == 2 and "studies.csv, line 2" in output and "leads out of" in output)


if __name__ == "__main__":
    cases = Path(sys.argv[1])
    for name, check in list(globals().items()):
        if name.startswith("check_"):
            found = check(cases / name.removeprefix("check_").replace("_", "-"))
            sys.stdout.write(json.dumps({name: found}) + "\n")
