"""Run the cases from the field and print a line for each folder: how many of its cases are right.

    python tests/field_cases.py FOLDER

FOLDER holds a folder for each kind of fault, each with what is right for it. A kind is checked by the function that
`CHECKS` has for its folder's name; folders without one are named at the end. Exit status: 0 where all is right.
"""

import argparse
import csv
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path

import field_cases_corpora
import field_cases_evaluation
import field_cases_images
import field_cases_serve
import field_cases_train

from xpronet.labels.findings import State
from xpronet.labels.rules import RuleLabeler

Check = Callable[[Path], Iterator[tuple[str, str]]]
"""Yields for each case of a folder its name and what is wrong with it, nothing where it is right."""
Count = Callable[[Path], tuple[int, int]]
"""Returns how many cases of a folder are right, and how many there are."""

ROOMS = (field_cases_corpora, field_cases_evaluation, field_cases_images, field_cases_serve, field_cases_train)
"""Modules with a function `check_<folder>`, a `Count`, for each of their folders."""


def check_labels(folder: Path) -> Iterator[tuple[str, str]]:
    """Read sentences.csv and guard.csv: a report, and the states that are right, as in `Edema=1|-1;Fracture=`."""
    for table in ("sentences.csv", "guard.csv"):
        if not (folder / table).is_file():
            continue
        with (folder / table).open(encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream):
                states = _labeler().label(row["report"])
                wrong = []
                for part in row["right"].split(";"):
                    finding, allowed = part.split("=")
                    if states[finding] not in [State(value) for value in allowed.split("|")]:
                        wrong.append(f"{finding}={states[finding].value} instead of {allowed or 'nothing'}")
                yield row["id"], ", ".join(wrong)


CHECKS: Mapping[str, Check] = {
    "label-abbreviations": check_labels,
    "label-british-spelling": check_labels,
    "label-denied-in-other-words": check_labels,
    "label-devices": check_labels,
    "label-doubt-not-heard": check_labels,
    "label-headings": check_labels,
    "label-lists-without-full-stops": check_labels,
    "label-no-finding-beside-others": check_labels,
    "label-or": check_labels,
    "label-other-languages": check_labels,
    "label-partly-gone": check_labels,
    "label-reach-of-denial": check_labels,
    "label-still-there": check_labels,
    "label-template-answers": check_labels,
    "label-typos": check_labels,
}
"""What checks the cases of each folder."""


def _count(folder: str) -> Count | None:
    """Return the rooms' own check of a folder, None where no room has one."""
    name = "check_" + folder.replace("-", "_")
    return next((getattr(room, name) for room in ROOMS if hasattr(room, name)), None)


@cache
def _labeler() -> RuleLabeler:
    return RuleLabeler()


def main() -> int:
    """Print a line for each folder, and what is wrong below it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    if not options.folder.is_dir():
        parser.error(f"{options.folder} is no folder; give the one that holds the cases' folders")
    folders = sorted(path for path in options.folder.iterdir() if path.is_dir())
    counts = {name: count for path in folders if (count := _count(name := path.name)) is not None}
    unchecked = [path.name for path in folders if path.name not in CHECKS and path.name not in counts]
    right = total = 0
    for path in folders:
        if path.name in counts:
            good, all_of_them = counts[path.name](path)
            print(f"{path.name:36}{good:4}/{all_of_them}")
            right, total = right + good, total + all_of_them
        elif path.name in CHECKS:
            results = list(CHECKS[path.name](path))
            good = sum(not wrong for _, wrong in results)
            print(f"{path.name:36}{good:4}/{len(results)}")
            for name, wrong in results:
                if wrong:
                    print(f"    {name}: {wrong}")
            right, total = right + good, total + len(results)
    print(f"{'all':36}{right:4}/{total}")
    if unchecked:
        print(f"not checked: {', '.join(unchecked)}")
    return 0 if total and right == total else 1


if __name__ == "__main__":
    raise SystemExit(main())
