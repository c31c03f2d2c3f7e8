"""The card of a corpus: a README.md with where it comes from, its licence, its counts and its limits.

Its front matter is the Hugging Face hub's. The card holds counts alone: no report, no identifier.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from xpronet import __version__
from xpronet.corpora.licences import hub_licence
from xpronet.data.corpus import Corpus, each_study, read_corpus_header
from xpronet.data.study import SPLITS
from xpronet.files import write_text

DATASET_CARD_FILE = "README.md"
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
"""The hub's classes of size, each with the number of studies that it ends at."""
SETTINGS_TOLD = ("text", "missing", "unit", "unheaded", "split", "form", "reader", "prevalence", "seed", "studies")
"""Entries of corpus.json's `made` that say what the studies are; files and folders stay out."""


@dataclass(kw_only=True)
class CorpusCounts:
    """What a card counts, a study at a time."""

    studies: Counter[str] = field(default_factory=Counter)
    """Studies in each split."""
    images: Counter[str] = field(default_factory=Counter)
    """Images in each split."""
    positions: Counter[str] = field(default_factory=Counter)
    """Images of each view position, where the source states one."""
    without_images: int = 0
    """Studies without any image."""
    patients: dict[str, set[str]] = field(default_factory=dict)
    """The splits that each patient is in, where the source names patients."""

    @property
    def in_several_splits(self) -> int:
        """How many patients have studies in more than one split."""
        return sum(len(splits) > 1 for splits in self.patients.values())


def write_dataset_card(folder: Path) -> None:
    """Write the card of a corpus into its folder; its studies are read one at a time.

    Raises:
        InputError: the folder is no corpus.
    """
    corpus, counts = read_corpus_header(folder), count_corpus(folder)
    write_text(folder / DATASET_CARD_FILE, dataset_card(corpus, counts), overwrite=True)


def count_corpus(folder: Path) -> CorpusCounts:
    """Count the studies, images and patients of a corpus folder."""
    counts = CorpusCounts()
    for study in each_study(folder):
        counts.studies[study.split] += 1
        counts.images[study.split] += len(study.views)
        counts.positions.update(view.position for view in study.views if view.position)
        counts.without_images += not study.views
        if study.patient is not None:
            counts.patients.setdefault(study.patient, set()).add(study.split)
    return counts


def dataset_card(corpus: Corpus, counts: CorpusCounts) -> str:
    """Return the card of a corpus as Markdown."""
    parts = [
        _front_matter(corpus, counts),
        f"# {corpus.name}",
        *(["**Drawn X-rays: they show no person.**"] if corpus.drawn else []),
        "Chest X-ray studies with their reports, one corpus folder of xpronet: corpus.json, studies.jsonl and images/.",
        "## Source",
        _source_section(corpus),
        "## Licence",
        _licence_section(corpus),
        "## Counts",
        _counts_section(counts),
        "## Limits",
        _limits_section(corpus, counts),
    ]
    return "\n\n".join(parts) + "\n"


def _front_matter(corpus: Corpus, counts: CorpusCounts) -> str:
    from huggingface_hub import DatasetCardData

    licence, total = hub_licence(corpus.licence), counts.studies.total()
    header = DatasetCardData(
        license=licence,
        license_name=corpus.licence or "not stated" if licence == "other" else None,
        language="en",
        pretty_name=corpus.name,
        size_categories=next((name for end, name in SIZES if total < end), "n>1M"),
        task_categories=["image-to-text"],
        tags=["chest-x-ray", "radiology", *(["synthetic"] if corpus.drawn else [])],
    )
    return f"---\n{header.to_yaml().strip()}\n---"


def _source_section(corpus: Corpus) -> str:
    made: Mapping[str, object] = corpus.made
    command = str(made.get("command", "")).removeprefix("xpronet ")
    lines = [f"* Made by `xpronet {command}`, version {__version__}"] if command else ["* Not stated"]
    told = [f"{name} {made[name]}" for name in SETTINGS_TOLD if made.get(name) not in (None, "")]
    if told:
        lines.append(f"* Settings: {', '.join(told)}")
    if made.get("short_side"):
        lines.append(f"* Images: grey, short side {made['short_side']} pixels, {made.get('depth', 8)} bits")
    elif made.get("size"):
        lines.append(f"* Images: grey, {made['size']} x {made['size']} pixels, {made.get('depth', 8)} bits")
    return "\n".join(lines)


def _licence_section(corpus: Corpus) -> str:
    if not corpus.licence or corpus.licence == "unknown":
        return "Not stated. Ask whoever made the images and reports before anybody else gets them."
    return f"{corpus.licence}. It covers the images and the reports, and may cover what is learned from them."


def _counts_section(counts: CorpusCounts) -> str:
    rows = ["| | " + " | ".join(SPLITS) + " |", "| --- | " + " | ".join("---" for _ in SPLITS) + " |"]
    for name, counted in (("studies", counts.studies), ("images", counts.images)):
        rows.append(f"| {name} | " + " | ".join(f"{counted[split]:,}" for split in SPLITS) + " |")
    lines = ["\n".join(rows), ""]
    lines.append(f"* Patients: {f'{len(counts.patients):,}' if counts.patients else 'not named by the source'}")
    if counts.positions:
        views = ", ".join(f"{position} {count:,}" for position, count in counts.positions.most_common())
        lines.append(f"* Views: {views}")
    return "\n".join(lines)


def _limits_section(corpus: Corpus, counts: CorpusCounts) -> str:
    lines = [
        "* The reports are what somebody wrote about the images at the time: they hold errors, omissions and "
        "comparisons with studies that are not here.",
        "* Labels, where there are any, were read from the reports by a program, not from the images by a person.",
    ]
    if corpus.drawn:
        lines = [
            "* A program drew the images and wrote the reports: what is learned from them is worthless on patients.",
            "* The findings, their places and severities are known exactly; real ones never are.",
        ]
    if counts.in_several_splits:
        lines.append(
            f"* {counts.in_several_splits:,} patients are in more than one split: scores on this split are too good."
        )
    elif not counts.patients and not corpus.drawn:
        lines.append("* Patients are not known, so one may be in more than one split: scores may be too good.")
    if counts.without_images:
        lines.append(f"* {counts.without_images:,} studies have no image.")
    lines.append("* Not for clinical use, and not to identify anybody.")
    return "\n".join(lines)
