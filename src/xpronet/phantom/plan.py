"""Findings and split of each study, planned in blocks, so that a longer corpus begins with a shorter one's studies."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from xpronet.labels.findings import ABNORMALITIES

Prevalence = Literal["natural", "balanced"]

BLOCK = 100
MOST_FINDINGS = 5
TRIALS = 200

BALANCED_COUNTS = (7, 16, 29, 25, 17, 6)
"""Studies of a block with 0, 1, ... 5 findings: 247 findings, 19 studies for each of the thirteen."""

SPLIT_OF_TEN = ("train",) * 7 + ("val",) + ("test",) * 2

ILLNESSES: tuple[tuple[float, dict[str, float]], ...] = (
    (0.09, {"Cardiomegaly": 0.75, "Edema": 0.6, "Pleural Effusion": 0.55, "Enlarged Cardiomediastinum": 0.12}),
    (0.06, {"Pneumonia": 0.65, "Consolidation": 0.4, "Lung Opacity": 0.45, "Pleural Effusion": 0.25}),
    (0.08, {"Support Devices": 0.9, "Atelectasis": 0.5, "Pleural Effusion": 0.35, "Pneumothorax": 0.15}),
    (0.03, {"Fracture": 0.85, "Pneumothorax": 0.35, "Pleural Effusion": 0.25, "Atelectasis": 0.3}),
    (0.05, {"Pleural Other": 0.45, "Lung Lesion": 0.4, "Lung Opacity": 0.35, "Enlarged Cardiomediastinum": 0.15}),
)
"""The probability of each illness, and of each finding given the illness: heart failure, infection, intensive care,
injury, long exposure to dust and smoke."""

ALONE = 0.16
"""The probability of a finding without an illness."""

ALONE_WEIGHTS = {
    "Enlarged Cardiomediastinum": 1,
    "Cardiomegaly": 4,
    "Lung Opacity": 4,
    "Lung Lesion": 3,
    "Edema": 1,
    "Consolidation": 1,
    "Pneumonia": 2,
    "Atelectasis": 4,
    "Pneumothorax": 1,
    "Pleural Effusion": 3,
    "Pleural Other": 2,
    "Fracture": 2,
    "Support Devices": 3,
}


def plan_studies(studies: int, prevalence: Prevalence, seed: int) -> list[tuple[frozenset[str], str]]:
    """Return the findings and the split of each study.

    A longer plan of the same seed begins with the shorter one. Splits are 70, 10 and 20 % of each ten studies, and
    within each block the findings fall on the splits as evenly as the best of many shuffles.
    """
    plan: list[tuple[frozenset[str], str]] = []
    for block in range(-(-studies // BLOCK)):
        rng = np.random.default_rng([seed, block, 1])
        present = _balanced_block(rng) if prevalence == "balanced" else [_natural_study(rng) for _ in range(BLOCK)]
        plan.extend(zip(present, _splits(present, rng), strict=True))
    return plan[:studies]


def _balanced_block(rng: np.random.Generator) -> list[frozenset[str]]:
    """Give each finding to about a fifth of the studies, without any order among findings or studies."""
    left = np.full(len(ABNORMALITIES), sum(count * many for many, count in enumerate(BALANCED_COUNTS)))
    left = left // len(ABNORMALITIES)
    present = []
    for many in range(MOST_FINDINGS, -1, -1):
        for _ in range(BALANCED_COUNTS[many]):
            # Findings that still need the most studies come first, or some would be left over at the end.
            chosen = np.argsort(-(left + rng.uniform(0, 5, len(left))), kind="stable")[:many]
            left[chosen] -= 1
            present.append(frozenset(ABNORMALITIES[index] for index in chosen))
    return [present[index] for index in rng.permutation(BLOCK)]


def _natural_study(rng: np.random.Generator) -> frozenset[str]:
    present: set[str] = set()
    for probability, findings in ILLNESSES:
        ill = rng.random() < probability
        chances = rng.random(len(findings))
        if ill:
            present.update(name for name, chance in zip(findings, chances, strict=True) if chance < findings[name])
    if rng.random() < ALONE:
        weights = np.array(list(ALONE_WEIGHTS.values()), dtype=np.float64)
        present.add(list(ALONE_WEIGHTS)[rng.choice(len(weights), p=weights / weights.sum())])
    kept = sorted(present)
    return frozenset(kept[index] for index in rng.permutation(len(kept))[:MOST_FINDINGS])


def _splits(present: Sequence[frozenset[str]], rng: np.random.Generator) -> list[str]:
    has = np.array([[finding in findings for finding in ABNORMALITIES] for findings in present], dtype=np.float64)
    orders = np.array([[rng.permutation(SPLIT_OF_TEN) for _ in range(BLOCK // 10)] for _ in range(TRIALS)])
    orders = orders.reshape(TRIALS, BLOCK)
    uneven = np.zeros(TRIALS)
    for split in ("val", "test"):
        chosen = (orders == split).astype(np.float64)
        uneven += np.square(chosen @ has - has.mean(axis=0) * chosen.sum(axis=1, keepdims=True)).sum(axis=1)
    return [str(split) for split in orders[int(uneven.argmin())]]
