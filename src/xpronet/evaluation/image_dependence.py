"""What the image is worth to a model: the score that it loses on other, blank and mirrored images."""

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from xpronet.data.study import Study
from xpronet.errors import InputError
from xpronet.evaluation.finding_f1 import MAIN, Labels, finding_statistics
from xpronet.evaluation.intervals import LEVEL, Difference, Estimate, Scores, StudyStatistics, Sums, compare, intervals
from xpronet.evaluation.measure import Measured, ReportSet, Yardstick, measure
from xpronet.generation.predictions import Alteration

UNCHANGED, SHUFFLED, BLANK, MIRRORED = "unchanged", "shuffled", "blank", "mirrored"
HOW = {
    UNCHANGED: "each study's own images",
    SHUFFLED: "each study gets the images of another one",
    BLANK: "an even grey in place of every image",
    MIRRORED: "left and right of every image exchanged",
}
SCORES = ("BLEU-4", MAIN)
"""What is shown of the loss; the record has all scores."""
GREY = 128
"""Of the blank image."""
DEALS = 500
"""How often the model's own reports are dealt out at random, to see what chance scores."""
AGREES = 0.95
"""Below this share of equal reports, the model asked again is not the one that wrote the file."""
Reports = Callable[[Sequence[Study], Alteration | None], Sequence[str]]
_SIDE = re.compile(r"\b(?:left|right)\b")


@dataclass(frozen=True, kw_only=True)
class Altered:
    """The model on images that were changed."""

    name: str
    """How they were changed, in a word."""
    how: str
    """The same in a clause."""
    scores: Mapping[str, Estimate]
    """Against the studies' own references."""
    lost: Mapping[str, Difference]
    """Scores on the studies' own images minus these; empty for the unchanged."""


@dataclass(frozen=True, kw_only=True)
class Sides:
    """Whether the sides in the reports follow the image when it is mirrored."""

    studies: int
    """Studies whose report names one side only, both of the image and of its mirror image."""
    followed: Estimate | None
    """Share of them whose side changes with the image; None where there is no such study."""


@dataclass(frozen=True, kw_only=True)
class Probe:
    """How far the reports depend on the images."""

    studies: int
    """How many studies were asked about."""
    altered: tuple[Altered, ...]
    """Unchanged, shuffled, blank, mirrored."""
    chance: Estimate | None
    """Macro-F1 of the model's own reports dealt out to studies at random: mean and central 95 % of `DEALS` deals."""
    sides: Sides
    """Of the mirrored images."""
    same: float
    """Share of the reports on unchanged images that are those of the file."""
    warnings: tuple[str, ...]
    """What a reader must not miss, a sentence each."""


def probe(
    reports: Reports,
    studies: Sequence[Study],
    against: Yardstick,
    written: Sequence[str],
    *,
    seed: int = 0,
    limit: int | None = None,
) -> Probe:
    """Let a model write about the same studies from four kinds of images, and compare the scores.

    Where the model is given reference labels, it keeps each study's own: only the image changes.

    Args:
        reports: the model: it writes a report about each study, from images that are changed as it is told.
        studies: which studies.
        against: the references of the same studies, in the same order.
        written: the reports in the file, in the same order.
        seed: of the choice of studies, the shuffling and the intervals.
        limit: ask about at most so many studies, drawn at random; None asks about all.

    Raises:
        InputError: there are fewer than two studies.
    """
    chosen = _chosen(len(studies), limit, seed)
    against = _part(against, chosen)
    asked = [studies[number] for number in chosen]
    texts = {
        UNCHANGED: tuple(reports(asked, None)),
        SHUFFLED: tuple(reports(exchanged(asked, seed), None)),
        BLANK: tuple(reports(asked, blank)),
        MIRRORED: tuple(reports(asked, mirror)),
    }
    sets = [ReportSet(name=name, how=HOW[name], reports=text) for name, text in texts.items()]
    measured, _ = measure(sets, against, with_meteor=False)
    altered = tuple(_altered(one, measured[0], seed) for one in measured)
    same = float(np.mean([written[number] == text for number, text in zip(chosen, texts[UNCHANGED], strict=True)]))
    return Probe(
        studies=len(chosen),
        altered=altered,
        chance=_chance(against.truth, against.reader.labels(texts[UNCHANGED]), seed),
        sides=_sides(texts[UNCHANGED], texts[MIRRORED], seed),
        same=same,
        warnings=tuple(_warnings(altered[1], same)),
    )


def exchanged(studies: Sequence[Study], seed: int) -> list[Study]:
    """Return the studies with each other's views, none with its own."""
    ring = np.random.default_rng([seed, 3]).permutation(len(studies))
    views = {int(here): studies[there].views for here, there in zip(ring, np.roll(ring, 1), strict=True)}
    return [dataclasses.replace(study, views=views[number]) for number, study in enumerate(studies)]


def blank(images: UInt8[Tensor, "studies views height width"]) -> UInt8[Tensor, "studies views height width"]:
    """Return an even grey in place of every image."""
    return torch.full_like(images, GREY)


def mirror(images: UInt8[Tensor, "studies views height width"]) -> UInt8[Tensor, "studies views height width"]:
    """Return images whose left and right are exchanged."""
    return images.flip(-1)


def _chosen(studies: int, limit: int | None, seed: int) -> Int64[np.ndarray, " chosen"]:
    if min(studies, studies if limit is None else limit) < 2:
        raise InputError("images can be shuffled among two studies or more; score more, or raise --probe-studies")
    if limit is None or limit >= studies:
        return np.arange(studies)
    return np.sort(np.random.default_rng([seed, 4]).permutation(studies)[:limit])


def _part(against: Yardstick, chosen: Int64[np.ndarray, " chosen"]) -> Yardstick:
    return dataclasses.replace(
        against,
        ids=tuple(against.ids[number] for number in chosen),
        references=tuple(against.references[number] for number in chosen),
    )


def _altered(one: Measured, unchanged: Measured, seed: int) -> Altered:
    scores: dict[str, Estimate] = {}
    lost: dict[str, Difference] = {}
    for part, whole in ((one.language, unchanged.language), (one.clinical, unchanged.clinical)):
        assert part is not None
        assert whole is not None
        scores |= intervals(part, seed=seed)
        if one is not unchanged:
            lost |= compare(whole, part, seed=seed)
    return Altered(name=one.name, how=one.how, scores=scores, lost=lost)


def _chance(truth: Labels, said: Labels, seed: int) -> Estimate | None:
    """Deal the reports' findings out at random and return their macro-F1 against the truth."""
    random = np.random.default_rng([seed, 5])
    deals = np.array(
        [finding_statistics(truth, said[random.permutation(len(said))]).totals()[MAIN] for _ in range(DEALS)]
    )
    if np.isnan(deals).all():
        return None
    low, high = np.nanquantile(deals, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(value=float(np.nanmean(deals)), low=float(low), high=float(high))


def _sides(straight: Sequence[str], mirrored: Sequence[str], seed: int) -> Sides:
    pairs = [(_side(one), _side(two)) for one, two in zip(straight, mirrored, strict=True)]
    rows = [[float(one != two), 1.0] for one, two in pairs if one and two]
    if not rows:
        return Sides(studies=0, followed=None)
    statistics = StudyStatistics(values=np.array(rows, dtype=np.float64), score=_share)
    return Sides(studies=len(rows), followed=intervals(statistics, seed=seed)["share"])


def _side(report: str) -> str:
    """Return the only side that a report names, or nothing where it names both or none."""
    named = set(_SIDE.findall(report.lower()))
    return named.pop() if len(named) == 1 else ""


def _share(sums: Sums) -> Scores:
    return {"share": sums[:, 0] / sums[:, 1]}


def _warnings(shuffled: Altered, same: float) -> list[str]:
    warnings = []
    lost = [(name, shuffled.lost[name]) for name in SCORES if name in shuffled.lost]
    blind = [(name, loss) for name, loss in lost if loss.low <= 0]
    if blind:
        losses = ", ".join(f"{name} {loss.value:+.3f} ({loss.low:+.3f} to {loss.high:+.3f})" for name, loss in blind)
        if len(blind) == len(lost):
            warnings.append(
                f"This model does not use the image: with the images of other studies it loses no more than chance "
                f"would ({losses})."
            )
        else:
            warnings.append(f"With the images of other studies, no more is lost than chance would: {losses}.")
    if same < AGREES:
        warnings.append(
            f"Asked again, the model wrote {same:.0%} of the reports as they are in the file: it is not the model, or "
            "not with the settings, that wrote them."
        )
    return warnings
