"""`xpronet prepare check`: verify a corpus folder and print a summary of one page."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich import box
from rich.console import Console
from rich.table import Column, Table

from xpronet.corpora.check import CorpusCheck, check_corpus, length_bins, stored_depth
from xpronet.data.corpus import LABELS_FILE
from xpronet.data.study import SPLITS
from xpronet.errors import InputError
from xpronet.labels.findings import FINDINGS, State
from xpronet.labels.label_tables import read_labels
from xpronet.progress import on_console

BAR = 40
"""Characters of the longest bar."""


def check(corpus: Path, *, decode: Annotated[bool, Parameter(negative="--headers-only")] = True) -> None:
    """Verify files, sizes, depth, ids and splits of a corpus folder, and print a summary of one page.

    Images that are in two splits are found even where one copy was encoded anew.

    For example:

        xpronet prepare check corpus
        xpronet prepare check corpus --headers-only

    Args:
        corpus: a corpus folder.
        decode: read every image to its last pixel and compare the splits' images; without, only headers are read.
    """
    checked = check_corpus(corpus, decode=decode, track=on_console)
    console = Console(highlight=False, markup=False)
    _print_counts(console, checked)
    _print_lengths(console, checked)
    _print_prevalence(console, checked)
    if checked.problems:
        raise InputError(f"{corpus}: {len(checked.problems)} problems: {'; '.join(checked.problems)}")
    console.print(f"{corpus}: no problems", soft_wrap=True)


def _print_counts(console: Console, checked: CorpusCheck) -> None:
    corpus = checked.corpus
    console.print(f"{corpus.name}: {len(corpus.studies):,} studies; licence: {corpus.licence or 'not stated'}")
    table = Table("", *SPLITS, box=box.SIMPLE)
    table.add_row("studies", *(f"{checked.studies[split]:,}" for split in SPLITS))
    table.add_row("distinct reports", *(f"{checked.distinct[split]:,}" for split in SPLITS))
    shares = (_share(checked.repeated[split], checked.studies[split]) for split in SPLITS[1:])
    table.add_row("reports word for word in train", "", *shares)
    table.add_row("words unknown to a vocabulary of train", *(f"{checked.unknown[split]:.1%}" for split in SPLITS))
    table.add_row("words a report (mean)", *(_mean(checked.lengths[split]) for split in SPLITS))
    console.print(table)
    console.print(f"patients: {f'{checked.patients:,}' if checked.patients else 'not named by the source'}")
    views = ", ".join(f"{position} {count:,}" for position, count in checked.positions.most_common())
    console.print(f"views: {checked.positions.total():,}{f' ({views})' if views else ''}")
    if checked.positions:
        console.print(f"images: grey, {stored_depth(corpus)} bits")
    if checked.without_images:
        console.print(f"studies without an image: {checked.without_images:,}")


def _print_lengths(console: Console, checked: CorpusCheck) -> None:
    bins = length_bins([length for lengths in checked.lengths.values() for length in lengths])
    longest = max(count for _, count in bins)
    console.print("words a report:")
    for name, count in bins:
        console.print(f"  {name:>6} {count:>8,} {'█' * -(-BAR * count // max(1, longest))}")


def _print_prevalence(console: Console, checked: CorpusCheck) -> None:
    path = checked.corpus.folder / LABELS_FILE
    if not path.is_file():
        console.print(f"findings: no {LABELS_FILE}; make it with `xpronet label {checked.corpus.folder}`")
        return
    labels = read_labels(path, [study.id for study in checked.corpus.studies])
    counts = _count_states(checked, labels)
    table = Table(Column("finding", no_wrap=True), box=box.SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("positive", "uncertain", "negative", *SPLITS):
        table.add_column(name, justify="right", no_wrap=True)
    for finding in FINDINGS:
        totals: Counter[State] = sum((counts[split, finding] for split in SPLITS), Counter())
        states = (totals[state] for state in (State.POSITIVE, State.UNCERTAIN, State.NEGATIVE))
        shares = (
            _percent(
                counts[split, finding][State.POSITIVE] + counts[split, finding][State.UNCERTAIN], checked.studies[split]
            )
            for split in SPLITS
        )
        table.add_row(finding, *(f"{count:,}" for count in states), *shares)
    console.print(table)
    console.print("train, val, test: positive or uncertain, of the split's studies")


def _count_states(
    checked: CorpusCheck, labels: Mapping[str, Mapping[str, State]]
) -> dict[tuple[str, str], Counter[State]]:
    counts: dict[tuple[str, str], Counter[State]] = {
        (split, finding): Counter() for split in SPLITS for finding in FINDINGS
    }
    for study in checked.corpus.studies:
        for finding, state in labels[study.id].items():
            counts[study.split, finding][state] += 1
    return counts


def _share(count: int, total: int) -> str:
    return f"{count:,} ({count / total:.1%})" if total else ""


def _percent(count: int, total: int) -> str:
    return f"{count / total:.1%}" if total else ""


def _mean(lengths: list[int]) -> str:
    return f"{sum(lengths) / len(lengths):.1f}" if lengths else ""
