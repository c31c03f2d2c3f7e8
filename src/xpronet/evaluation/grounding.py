"""Whether the model looks where a finding is: its maps against the regions that a drawn corpus knows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from xpronet.data.corpus import relative_path
from xpronet.data.study import Study
from xpronet.errors import InputError
from xpronet.evaluation.intervals import Estimate, Scores, StudyStatistics, Sums, intervals
from xpronet.evaluation.scored_model import ScoredModel
from xpronet.files import confined
from xpronet.generation.report import Report
from xpronet.images.transforms import ImageSettings, test_view
from xpronet.labels.findings import ABNORMALITIES, FINDINGS, State
from xpronet.labels.rules import RuleLabeler
from xpronet.phantom.regions import read_regions, region_path

TOUCHES = 0.1
"""A region of the network belongs to a finding where the finding fills this share of it, or has this share in it."""
BRIGHT = 0.5
"""What a map shows: the regions with at least this share of its peak."""
ATTENTION, OPENING, HEAD = "words", "sentence opening", "findings head"
METHODS = {
    ATTENTION: "cross-attention of the words that name the finding, mean of layers and heads",
    OPENING: "the same of the first word of their sentence, where the model decides what to speak of",
    HEAD: "what each region adds to the findings head's logit",
}
Maps = Float[np.ndarray, "views rows columns"]
Mask = Bool[np.ndarray, "views height width"]


@dataclass(frozen=True, kw_only=True)
class Pointing:
    """How well one kind of map points at one finding, or at all."""

    pointing: Estimate
    """Share of mentions whose map has its peak in a region of the finding (pointing game)."""
    overlap: Estimate
    """Mean intersection over union of the mask and of the regions that the map shows, in pixels."""


@dataclass(frozen=True, kw_only=True)
class GroundedFinding:
    """One finding."""

    finding: str
    """Its name."""
    mentions: int
    """Studies that have it, show it and whose generated report says so."""
    by_chance: float
    """Mean share of the regions that belong to it: what a peak put anywhere would score."""
    fixed_place: float
    """What the one region that hits most of these very studies scores: an oracle without an image."""
    area: float
    """Mean share of the pixels that belong to it."""
    methods: Mapping[str, Pointing]
    """By kind of map."""


@dataclass(frozen=True, kw_only=True)
class Grounding:
    """Whether the model looks where the findings are."""

    studies: int
    """Studies with at least one mention that could be checked."""
    how: Mapping[str, str]
    """What each kind of map is."""
    macro: Mapping[str, float]
    """Mean share of hits over the findings, by kind of map, and by chance and from fixed places."""
    findings: tuple[GroundedFinding, ...]
    """Each finding that was mentioned where it is."""


@dataclass(frozen=True)
class _Row:
    finding: str
    study: str
    area: float
    belongs: Bool[np.ndarray, " regions"]
    hits: Mapping[str, bool]
    overlaps: Mapping[str, float]


def ground(source: ScoredModel, *, seed: int = 0, limit: int | None = None, batch: int = 16) -> Grounding:
    """Compare where the model looks with where the findings are.

    Checked are the findings that a study has, that its mask shows in the images as the network sees them, and that
    the generated report says are there.

    Args:
        source: the model and the predicted studies.
        seed: of the choice of studies and the intervals.
        limit: look at no more studies than that, drawn at random.
        batch: studies at a time.

    Raises:
        InputError: the corpus has no regions, or no study has a finding that was mentioned.
    """
    studies = _with_regions(source)
    if limit is not None and limit < len(studies):
        drawn = np.random.default_rng([seed, 8]).permutation(len(studies))[:limit]
        studies = [studies[number] for number in np.sort(drawn)]
    labeler = RuleLabeler()
    rows: list[_Row] = []
    for start in range(0, len(studies), batch):
        rows += _rows(source, studies[start : start + batch], labeler)
    if not rows:
        raise InputError("no generated report names a finding that is there; train longer before grounding is measured")
    found = tuple(
        _finding(name, [row for row in rows if row.finding == name], seed)
        for name in ABNORMALITIES
        if any(row.finding == name for row in rows)
    )
    kinds = list(found[0].methods)
    macro = {kind: float(np.mean([each.methods[kind].pointing.value for each in found])) for kind in kinds}
    macro["by chance"] = float(np.mean([each.by_chance for each in found]))
    macro["fixed place"] = float(np.mean([each.fixed_place for each in found]))
    return Grounding(
        studies=len({row.study for row in rows}),
        how={kind: METHODS[kind] for kind in kinds},
        macro=macro,
        findings=found,
    )


def belonging(mask: Mask, rows: int, columns: int) -> Bool[np.ndarray, "views rows columns"]:
    """Return which regions of the network's grid belong to a finding; see `TOUCHES`."""
    views, height, width = mask.shape
    pixels = np.zeros((views, rows, columns))
    view, y, x = np.nonzero(mask)
    np.add.at(pixels, (view, y * rows // height, x * columns // width), 1.0)
    of_region = pixels / (height * width / (rows * columns))
    of_finding = pixels / np.maximum(pixels.sum((1, 2), keepdims=True), 1.0)
    return (of_region >= TOUCHES) | (of_finding >= TOUCHES)


def overlap(shown: Maps, mask: Mask) -> float:
    """Return the intersection over union of a mask and of the regions with at least `BRIGHT` of a map's peak."""
    _, rows, columns = shown.shape
    _, height, width = mask.shape
    bright = shown >= BRIGHT * shown.max()
    pixels = bright[:, np.arange(height)[:, None] * rows // height, np.arange(width)[None] * columns // width]
    return float((pixels & mask).sum() / (pixels | mask).sum())


def mentioned(tokens: Sequence[str], labeler: RuleLabeler) -> dict[str, list[tuple[int, int]]]:
    """Return for each finding that a report says is present its words' positions, with where their sentence opens."""
    found: dict[str, list[tuple[int, int]]] = {}
    opening = 0
    for place, token in enumerate([*tokens, "."]):
        if token != ".":
            continue
        for finding, state, positions in labeler.locate(tokens[opening:place]):
            if state is State.POSITIVE:
                found.setdefault(finding, []).extend((opening + position, opening) for position in positions)
        opening = place + 1
    return found


def study_masks(source: ScoredModel, study: Study) -> Bool[np.ndarray, "views findings height width"]:
    """Return where each finding is in the images of a study, as the network sees them."""
    checkpoint = source.generator.checkpoint
    views = study.views[: checkpoint.max_views]
    return np.stack(
        [
            np.stack(
                [_seen(regions, checkpoint.images) for regions in read_regions(_region_path(source, study, number))]
            )
            for number in range(len(views))
        ]
    )


def _seen(region: Bool[np.ndarray, "height width"], images: ImageSettings) -> Bool[np.ndarray, "size size"]:
    return test_view((region * 255).astype(np.uint8), images) > 127


def _with_regions(source: ScoredModel) -> list[Study]:
    studies = [
        study
        for study in source.studies
        if study.views and study.views[0].position and _region_path(source, study, 0).is_file()
    ]
    if not studies:
        raise InputError(
            f"{source.corpus.folder}: no regions of findings to compare with; drawn corpora have them "
            "(`xpronet prepare phantom`)"
        )
    return studies


def _region_path(source: ScoredModel, study: Study, view: int) -> Path:
    # Through the corpus's guard: neither id nor position may lead out of its folder.
    path = region_path(source.corpus.folder, study.id, study.views[view].position or "none")
    return confined(source.corpus.folder, relative_path(path, source.corpus.folder))


def _rows(source: ScoredModel, studies: Sequence[Study], labeler: RuleLabeler) -> list[_Row]:
    return [
        row
        for study, report in zip(studies, source.explained(studies), strict=True)
        for row in _study_rows(source, study, report, _head_maps(report), labeler)
    ]


def _head_maps(report: Report) -> Float[np.ndarray, "findings views rows columns"] | None:
    """Return what each region adds to each finding; None of a model without a findings head."""
    grids = [finding.regions for finding in report.findings if finding.regions is not None]
    return np.stack(grids) if grids else None


def _study_rows(
    source: ScoredModel,
    study: Study,
    report: Report,
    heads: Float[np.ndarray, "findings views rows columns"] | None,
    labeler: RuleLabeler,
) -> Iterator[_Row]:
    said = mentioned([word.text for word in report.words], labeler)
    if not said:
        return
    masks = study_masks(source, study)
    for finding, places in said.items():
        mask = masks[:, FINDINGS.index(finding)]
        if not mask.any():
            continue
        attention = np.stack([word.attention for word in report.words])[:, : len(masks)]
        maps = {
            ATTENTION: attention[[word for word, _ in places]].mean(0),
            OPENING: attention[sorted({opening for _, opening in places})].mean(0),
        }
        if heads is not None:
            maps[HEAD] = heads[FINDINGS.index(finding)]
        belongs = belonging(mask, *attention.shape[2:])
        yield _Row(
            finding=finding,
            study=study.id,
            area=float(mask.mean()),
            belongs=belongs.ravel(),
            hits={kind: bool(belongs.ravel()[int(shown.argmax())]) for kind, shown in maps.items()},
            overlaps={kind: overlap(shown, mask) for kind, shown in maps.items()},
        )


def _finding(name: str, rows: Sequence[_Row], seed: int) -> GroundedFinding:
    def mean(values: Sequence[float]) -> Estimate:
        columns = np.stack([np.array(values, dtype=np.float64), np.ones(len(values))], axis=1)
        return intervals(StudyStatistics(values=columns, score=_mean), seed=seed)["mean"]

    # Studies with fewer views than others have fewer regions: those count as not belonging.
    most = max(len(row.belongs) for row in rows)
    belongs = np.array([np.pad(row.belongs, (0, most - len(row.belongs))) for row in rows])
    return GroundedFinding(
        finding=name,
        mentions=len(rows),
        by_chance=float(np.mean([row.belongs.mean() for row in rows])),
        fixed_place=float(belongs.mean(0).max()),
        area=float(np.mean([row.area for row in rows])),
        methods={
            kind: Pointing(
                pointing=mean([float(row.hits[kind]) for row in rows]),
                overlap=mean([row.overlaps[kind] for row in rows]),
            )
            for kind in rows[0].hits
        },
    )


def _mean(sums: Sums) -> Scores:
    return {"mean": sums[:, 0] / sums[:, 1]}
