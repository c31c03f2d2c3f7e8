"""What `xpronet prepare` prints: counts, beside the published ones of a release, and what is left out and why."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from rich import box
from rich.console import Console
from rich.table import Table

from xpronet.corpora.build import LEFT_OUT_FILE, BuildSummary
from xpronet.data.study import SPLITS
from xpronet.images.grey_range import low_range_summary


def print_studies(console: Console, out: Path, summary: BuildSummary) -> None:
    """Print the counts of a corpus made from a user's own studies."""
    counts = ", ".join(f"{split} {count}" for split, count in summary.studies.items())
    console.print(f"{out}: {sum(summary.studies.values())} studies ({counts})")
    for reason, count in summary.dropped.items():
        console.print(f"left out: {count:,} with {reason}")
    _print_warnings(console, summary)


def print_prepared(
    console: Console,
    out: Path,
    summary: BuildSummary,
    *,
    published: Mapping[str, int] | None,
    unit: Literal["studies", "images"],
    why: str,
) -> None:
    """Print the counts of a corpus.

    Args:
        console: where it is printed.
        out: the corpus folder.
        summary: what became of the release.
        published: the counts that the field reports, where they are comparable.
        unit: what the published counts count.
        why: what makes the counts differ from the published ones.
    """
    counts = {"studies": summary.studies, "images": summary.images}
    console.print(", ".join(f"{sum(count.values()):,} {name}" for name, count in counts.items()) + f" in {out}")
    table = Table("", *SPLITS, box=box.SIMPLE)
    for name, count in counts.items():
        table.add_row(name, *(f"{count[split]:,}" for split in SPLITS))
    if published is not None:
        table.add_row(f"published {unit}", *(f"{published[split]:,}" for split in SPLITS))
    console.print(table)
    if published is not None and dict(counts[unit]) != dict(published):
        console.print(f"Other counts than published: {why}.")
    for reason, studies in summary.dropped.items():
        console.print(f"left out: {studies:,} studies with {reason}")
    for reason, files in summary.files_by_reason().items():
        console.print(f"{reason}: {files:,} files of the release, listed in {LEFT_OUT_FILE}")
    if summary.without_images and any(summary.images.values()):
        console.print(
            f"warning: {summary.without_images:,} studies have no image; training refuses them, "
            "--without-images drop leaves them out"
        )
    _print_warnings(console, summary)


def _print_warnings(console: Console, summary: BuildSummary) -> None:
    if summary.low_range:
        console.print(f"warning: {low_range_summary(summary.low_range)}")
    if summary.in_several_splits:
        console.print(
            f"warning: {len(summary.in_several_splits):,} patients are in more than one split; scores will be too good"
        )
