"""Measure the rule labeler: reports a second on one core, and memory over the number of reports.

`python benchmarks/labeler.py` reads reports of the phantom grammar, which anybody has; with `--annotation FILE` it
reads those of an annotation file in R2Gen's form.
"""

import argparse
import json
import resource
import time
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

import numpy as np

from xpronet.labels.rules import RuleLabeler
from xpronet.phantom.plan import plan_studies
from xpronet.phantom.record import draw_record
from xpronet.phantom.report_text import write_report

MIMIC_CXR_STUDIES = 227_835


def phantom_reports(count: int) -> list[str]:
    """Write reports of the phantom grammar, without images."""
    plan = plan_studies(count, "natural", 0)
    records = (draw_record(present, np.random.default_rng([0, number])) for number, (present, _) in enumerate(plan))
    return [write_report(record, np.random.default_rng([1, number]))[0] for number, record in enumerate(records)]


def annotated_reports(path: Path) -> list[str]:
    """Read the reports of an annotation file."""
    splits = json.loads(path.read_text(encoding="utf-8"))
    return [study["report"] for studies in splits.values() for study in studies]


def numbered(reports: list[str], count: int) -> Iterator[tuple[str, str]]:
    """Yield `count` reports, beginning again where there are fewer."""
    yield from ((str(number), report) for number, report in enumerate(islice(cycle(reports), count)))


def peak_megabytes() -> float:
    """Return the most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Label every report once, then many again and ten times as many, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--annotation", type=Path)
    parser.add_argument("--reports", type=int, default=10_000, help="how many, the second time")
    options = parser.parse_args()
    reports = annotated_reports(options.annotation) if options.annotation else phantom_reports(2_000)
    letters = sum(map(len, reports)) / len(reports)
    print(f"{len(reports)} different reports of {letters:.0f} letters on average")
    started = time.perf_counter()
    labeler = RuleLabeler()
    print(f"phrases read in {time.perf_counter() - started:.2f} s")
    # The labeler keeps sentences it has read; the first pass meets each report for the first time.
    for count in (len(reports), options.reports, 10 * options.reports):
        started = time.process_time()
        for _ in labeler.label_many(numbered(reports, count)):
            pass
        rate = count / (time.process_time() - started)
        minutes = MIMIC_CXR_STUDIES / rate / 60
        print(f"{count} reports: {rate:.0f} a second, peak {peak_megabytes():.1f} MB (MIMIC-CXR: {minutes:.1f} min)")


if __name__ == "__main__":
    main()
