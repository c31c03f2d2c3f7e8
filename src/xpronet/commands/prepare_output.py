"""What `xpronet prepare` prints about a release: counts beside the published ones, and what is left out and why."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from rich import box
from rich.console import Console
from rich.table import Table

from xpronet.corpora.build import LEFT_OUT_FILE, BuildSummary
from xpronet.data.study import SPLITS
from xpronet.images.grey_range import low_range_summary


def print_prepared(
    console: Console,
    out: Path,
    prepared: BuildSummary,
    *,
    published: Mapping[str, int] | None,
    unit: Literal["studies", "pictures"],
    why: str,
) -> None:
    """Print the counts of a corpus.

    Args:
        console: where to.
        out: the corpus folder.
        prepared: what became of the release.
        published: the counts that the field reports, where they are comparable.
        unit: what the published counts count.
        why: what makes the counts differ from the published ones.
    """
    counts = {"studies": prepared.studies, "pictures": prepared.pictures}
    console.print(", ".join(f"{sum(count.values()):,} {name}" for name, count in counts.items()) + f" in {out}")
    table = Table("", *SPLITS, box=box.SIMPLE)
    for name, count in counts.items():
        table.add_row(name, *(f"{count[split]:,}" for split in SPLITS))
    if published is not None:
        table.add_row(f"published {unit}", *(f"{published[split]:,}" for split in SPLITS))
    console.print(table)
    if published is not None and dict(counts[unit]) != dict(published):
        console.print(f"Other counts than published: {why}.")
    for reason, studies in prepared.dropped.items():
        console.print(f"left out: {studies:,} studies with {reason}")
    for reason, files in prepared.lost_by_reason().items():
        console.print(f"{reason}: {files:,} files of the release, listed in {LEFT_OUT_FILE}")
    if prepared.pictureless and any(prepared.pictures.values()):
        console.print(
            f"warning: {prepared.pictureless:,} studies have no image; training refuses them, "
            "--without-image drop leaves them out"
        )
    if prepared.low_range:
        console.print(f"warning: {low_range_summary(prepared.low_range)}")
    if prepared.straddling:
        console.print(
            f"warning: {len(prepared.straddling):,} patients are in more than one split; scores will be too good"
        )
