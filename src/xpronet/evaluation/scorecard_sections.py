"""What a scorecard says of the model beyond its texts: a table and a caption for each examination."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from xpronet.evaluation.calibration import Calibration, Reliability
from xpronet.evaluation.cells import Cells, interval, short
from xpronet.evaluation.field_f1 import FieldF1
from xpronet.evaluation.grounding import Grounding
from xpronet.evaluation.head_scores import HeadScores
from xpronet.evaluation.image_dependence import SCORES, Probe
from xpronet.evaluation.intervals import Difference
from xpronet.evaluation.scorecard import Scorecard
from xpronet.pretrain.scores import FEWEST


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of a scorecard, for a terminal and for Markdown alike."""

    title: str
    """Its heading."""
    header: Cells
    """Of the table."""
    rows: list[Cells]
    """Of the table; there is none where this is empty."""
    caption: str
    """What stands below it."""


def sections(card: Scorecard) -> list[Section]:
    """Return the parts that a scorecard has."""
    made = []
    if card.field_f1:
        made.append(_field_f1(card.field_f1))
    if card.head is not None:
        made.append(_head(card.head))
    if card.calibration is not None:
        made.append(_calibration(card.calibration))
    if card.grounding is not None:
        made.append(_grounding(card.grounding))
    if card.probe is not None:
        made.append(_probe(card.probe))
    return made


def _field_f1(rows: Sequence[FieldF1]) -> Section:
    return Section(
        title="F1 as other papers print it",
        header=("findings", "average", "precision", "recall", "F1"),
        rows=[
            (one.findings, one.average, *(f"{value:.3f}" for value in (one.precision, one.recall, one.f1)))
            for one in rows
        ],
        caption=(
            "scikit-learn's averages with zero_division=0: unlike in the table of scores, a finding that neither side "
            "has counts as 0 in the macro mean, and so does a study without findings in the example mean."
        ),
    )


def _head(head: HeadScores) -> Section:
    rows: list[Cells] = [
        (
            row.finding,
            str(row.present),
            str(row.predicted),
            "" if row.auroc is None else short(row.auroc, signed=False),
            interval(row.f1),
        )
        for row in head.findings
    ]
    rows.append(("mean (AUROC), macro of 13 (F1)", "", "", interval(head.auroc), interval(head.macro_f1)))
    return Section(
        title="The model's findings without its text",
        header=("finding", "there", "given", "AUROC", "F1"),
        rows=rows,
        caption=(
            "given: the probability reaches the finding's threshold; the mean AUROC is that of the abnormal findings "
            f"with at least {FEWEST} studies of both kinds."
        ),
    )


def _calibration(calibration: Calibration) -> Section:
    rows: list[Cells] = [
        (row.finding, interval(row.error), short(row.by_chance, signed=False), _extremes(row))
        for row in (calibration.overall, *calibration.findings)
    ]
    curve = ", ".join(
        f"{short(one.said, signed=False)} → {short(one.seen, signed=False)} ({one.cases})"
        for one in calibration.overall.bins
        if one.said is not None and one.seen is not None
    )
    return Section(
        title="Whether the findings' probabilities are frequencies",
        header=("finding", "calibration error", "if right", "widest bin"),
        rows=rows,
        caption=(
            "calibration error (ECE): mean distance of said and seen over ten bins; if right: what probabilities that "
            "are frequencies would show on as many cases; widest bin: said → seen of the bin that adds most. "
            f"All findings, said → seen (cases): {curve}."
        ),
    )


def _grounding(grounding: Grounding) -> Section:
    kinds = list(grounding.how)

    def cells(values: Iterable[float]) -> Cells:
        return tuple(short(value, signed=False) for value in values)

    rows: list[Cells] = [
        (
            each.finding,
            str(each.mentions),
            *cells([each.by_chance, each.fixed_place]),
            *(
                cell
                for kind in kinds
                for cell in cells([each.methods[kind].pointing.value, each.methods[kind].overlap.value])
            ),
        )
        for each in grounding.findings
    ]
    macro = grounding.macro
    pointed = (cell for kind in kinds for cell in (short(macro[kind], signed=False), ""))
    rows.append(("mean of findings", "", *cells([macro["by chance"], macro["fixed place"]]), *pointed))
    return Section(
        title=f"Where the model looks: {grounding.studies} studies",
        header=("finding", "named", "chance", "fixed", *(cell for kind in kinds for cell in (kind, "IoU"))),
        rows=rows,
        caption=(
            "Share of maps whose peak lies in the finding's region, of findings that are there and named. chance: a "
            "peak anywhere; fixed: the best single place for all studies, without an image. IoU: of the regions with "
            f"half of the peak or more. {'; '.join(f'{kind}: {how}' for kind, how in grounding.how.items())}."
        ),
    )


def _extremes(row: Reliability) -> str:
    known = [
        (one.cases * abs(one.said - one.seen), one.said, one.seen)
        for one in row.bins
        if one.said is not None and one.seen is not None
    ]
    if not known:
        return ""
    _, said, seen = max(known)
    return f"{short(said, signed=False)} → {short(seen, signed=False)}"


def _probe(probe: Probe) -> Section:
    rows: list[Cells] = [
        (
            altered.name,
            *(cell for name in SCORES for cell in (interval(altered.scores.get(name)), _lost(altered.lost, name))),
        )
        for altered in probe.altered
    ]
    told = "; ".join(f"{altered.name}: {altered.how}" for altered in probe.altered)
    caption = f"{told}. lost: unchanged minus this, paired."
    if probe.chance is not None:
        caption += f" {SCORES[1]} of the model's own reports dealt out at random: {interval(probe.chance)}."
    if probe.sides.followed is not None:
        caption += (
            f" Of {probe.sides.studies} reports that name one side, the side follows the mirrored image in "
            f"{interval(probe.sides.followed)}."
        )
    header = ("pictures", *(cell for name in SCORES for cell in (name.replace(" of ", " "), "lost")))
    return Section(title=f"What the image is worth: {probe.studies} studies", header=header, rows=rows, caption=caption)


def _lost(lost: Mapping[str, Difference], name: str) -> str:
    return interval(lost.get(name), signed=True)
