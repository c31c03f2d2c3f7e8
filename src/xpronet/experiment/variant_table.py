"""Scores of variants of one model side by side: means over seeds, intervals, and the best constant baselines."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, stdev
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from xpronet.errors import InputError
from xpronet.evaluation.finding_f1 import MAIN
from xpronet.evaluation.language import BLEU_NAMES
from xpronet.evaluation.scorecard import ORACLE_TITLE

SCORES = (*BLEU_NAMES, "ROUGE-L", "METEOR", "CIDEr", MAIN)
"""The scores of the paper's table 2, and two on which constant reports do badly."""
NOTES = ("model", "findings at test from", "how exact", "what differs from the original")
ON_A_LINE = 4
"""Scores per table, so that it fits a terminal of 80 columns."""
CAPTION = "In brackets: 95 % intervals over studies"
CAPTION_OF_SEEDS = "; each is a mean over {seeds} seeds, ± their standard deviation"
CAPTION_OF_ONE_SEED = "; all of one seed: another may change a score by more than that, --seeds shows by how much"
ORACLE_CAPTION = (
    "ORACLE: the model was given findings read from the reference reports, which do not exist in clinical use."
)


@dataclass(frozen=True, kw_only=True)
class SeedsScore:
    """One score of a variant, over the seeds it was trained with."""

    value: float
    """Mean over seeds."""
    low: float
    """Lower end of the 95 % interval over studies, mean over seeds."""
    high: float
    """Its upper end, mean over seeds."""
    spread: float | None
    """Sample standard deviation over seeds; None with a single one."""
    each: tuple[float, ...]
    """The score of each seed."""


@dataclass(frozen=True, kw_only=True)
class RowNotes:
    """What a reader must know of a row before comparing it."""

    findings_from: str
    """Where its findings come from when a report about a test study is written."""
    exactness: str
    """How exactly it is what its name says: exact, close or nearest; empty of what has no original."""
    differs: str
    """What differs from the original."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """The scores of a variant, or of a constant report."""

    name: str
    """Its name."""
    oracle: bool
    """Whether it was given findings read from the references."""
    scores: Mapping[str, SeedsScore]
    """By name."""
    notes: RowNotes | None = None
    """What a reader must know of it, in tables that compare models of different origin."""


@dataclass(frozen=True, kw_only=True)
class VariantTable:
    """Variants and constants side by side."""

    title: str
    """What is compared, on how many studies."""
    stamp: Mapping[str, str]
    """How all of them were measured."""
    variants: tuple[Variant, ...]
    """The trained models."""
    constants: tuple[Variant, ...]
    """The constant baselines, one report for all studies: the best by BLEU-4, and the best by macro-F1."""

    @property
    def rows(self) -> tuple[Variant, ...]:
        """Return all rows in the order in which they are shown."""
        return (*self.variants, *self.constants)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the scores that some row has."""
        return tuple(name for name in SCORES if any(name in row.scores for row in self.rows))

    def record(self) -> dict[str, Any]:
        """Return the table as JSON values."""
        return asdict(self)


def read_variant_table(record: Mapping[str, Any], *, where: str) -> VariantTable:
    """Return the table that `record` gave.

    Args:
        record: JSON values.
        where: the file that they are from, for messages.

    Raises:
        InputError: they are not those of a table.
    """
    try:
        variants, constants = (tuple(_read_variant(row) for row in record[rows]) for rows in ("variants", "constants"))
        return VariantTable(title=record["title"], stamp=dict(record["stamp"]), variants=variants, constants=constants)
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{where}: not a table of variants ({error}); make it again") from None


def _read_variant(row: Mapping[str, Any]) -> Variant:
    scores = {name: SeedsScore(**{**score, "each": tuple(score["each"])}) for name, score in row["scores"].items()}
    notes = row.get("notes")
    return Variant(
        name=row["name"], oracle=row["oracle"], scores=scores, notes=None if notes is None else RowNotes(**notes)
    )


def make_variant(name: str, cards: Sequence[Mapping[str, Any]], notes: RowNotes | None = None) -> Variant:
    """Combine the scorecards of one variant, one for each seed.

    Args:
        name: of the variant.
        cards: as in scorecard.json.
        notes: of the variant.
    """
    return Variant(
        name=name,
        notes=notes,
        oracle=any(card["title"] == ORACLE_TITLE for card in cards),
        scores=_joined([card["model"]["scores"] for card in cards]),
    )


def best_constants(card: Mapping[str, Any]) -> tuple[Variant, ...]:
    """Return the best constant baselines of a scorecard: by BLEU-4, and by macro-F1 of the findings."""
    rows = {row["name"]: row for row in card["baselines"]}
    lifts = [card[name] for name in ("language_lift", "findings_lift") if card[name] is not None]
    return tuple(
        Variant(name=lift["constant"], oracle=False, scores=_joined([rows[lift["constant"]]["scores"]]))
        for lift in lifts
    )


def baseline_rows(cards: Sequence[Mapping[str, Any]], names: Mapping[str, RowNotes]) -> tuple[Variant, ...]:
    """Return the baselines of these names; they are the same in all scorecards of a split that have them."""
    found: dict[str, Variant] = {}
    for card in cards:
        for row in card["baselines"]:
            name = row["name"]
            if name in names and name not in found:
                found[name] = Variant(name=name, oracle=False, scores=_joined([row["scores"]]), notes=names[name])
    return tuple(found[name] for name in names if name in found)


def variants_view(table: VariantTable) -> RenderableType:
    """Return variants and constants for a terminal of 80 columns."""
    parts: list[RenderableType] = [Text(table.title, style="bold")]
    for start in range(0, len(table.names), ON_A_LINE):
        chosen = table.names[start : start + ON_A_LINE]
        grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True, padding=(0, 1))
        grid.add_column("model")
        for name in chosen:
            grid.add_column(name.replace(" of ", " "), justify="right", no_wrap=True)
        for number, row in enumerate(table.rows):
            cells = ("\n".join(_cell(row.scores.get(name))) for name in chosen)
            grid.add_row(_shown(row), *cells, end_section=number == len(table.variants) - 1)
        parts.append(grid)
    if any(row.notes is not None for row in table.rows):
        parts.append(_notes_view(table))
    return Group(*parts, Text(_caption(table), style="dim"))


def _notes_view(table: VariantTable) -> Table:
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True, padding=(0, 1))
    for name in NOTES:
        grid.add_column(name)
    for number, row in enumerate(table.rows):
        grid.add_row(*_notes(row), end_section=number == len(table.variants) - 1)
    return grid


def _notes(row: Variant) -> tuple[str, ...]:
    if row.notes is None:
        return _shown(row), "", "", ""
    return _shown(row), row.notes.findings_from, row.notes.exactness or "–", row.notes.differs or "–"


def variants_markdown(table: VariantTable) -> str:
    """Return variants and constants as a Markdown page."""
    lines = [("model", *table.names), ("---", *("---:" for _ in table.names))]
    lines += [(_shown(row), *(" ".join(_cell(row.scores.get(name))) for name in table.names)) for row in table.rows]
    noted = []
    if any(row.notes is not None for row in table.rows):
        noted = [_markdown_grid([NOTES, ("---",) * len(NOTES), *(_notes(row) for row in table.rows)])]
    parts = [
        f"# {table.title}",
        _markdown_grid(lines),
        *noted,
        _caption(table),
        "\n".join(f"* {name}: {value}" for name, value in table.stamp.items()),
    ]
    return "\n\n".join(parts) + "\n"


def _markdown_grid(lines: Sequence[tuple[str, ...]]) -> str:
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _joined(scores: Sequence[Mapping[str, Mapping[str, float]]]) -> dict[str, SeedsScore]:
    """Combine the estimates of several seeds; a score that one of them lacks is left out."""
    return {
        name: SeedsScore(
            value=fmean(one[name]["value"] for one in scores),
            low=fmean(one[name]["low"] for one in scores),
            high=fmean(one[name]["high"] for one in scores),
            spread=stdev(one[name]["value"] for one in scores) if len(scores) > 1 else None,
            each=tuple(one[name]["value"] for one in scores),
        )
        for name in SCORES
        if all(name in one for one in scores)
    }


def _shown(row: Variant) -> str:
    return f"{row.name} (ORACLE)" if row.oracle else row.name


def _cell(score: SeedsScore | None) -> tuple[str, ...]:
    """Return value and interval, which a narrow table puts on lines of their own."""
    if score is None:
        return ("",)
    value = f"{score.value:.3f}"
    if score.spread is not None:
        value += f" ± {_short(score.spread)}"
    return value, f"({_short(score.low)}–{_short(score.high)})"


def _short(value: float) -> str:
    return f"{value:.3f}".removeprefix("0")


def _caption(table: VariantTable) -> str:
    seeds = max((len(score.each) for row in table.variants for score in row.scores.values()), default=1)
    caption = CAPTION + (CAPTION_OF_SEEDS.format(seeds=seeds) if seeds > 1 else CAPTION_OF_ONE_SEED) + "."
    return f"{caption} {ORACLE_CAPTION}" if any(row.oracle for row in table.variants) else caption
