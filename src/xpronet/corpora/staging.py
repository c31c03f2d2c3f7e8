"""Studies on their way into a corpus, before and while their images are looked at."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from xpronet.data.study import SPLITS
from xpronet.errors import InputError

VALIDATION_SHARE, TEST_SHARE = 0.1, 0.2
"""Of the patients, where a split is drawn; the rest is for training, as in the field's split of IU X-Ray."""


@dataclass(kw_only=True, slots=True)
class Draft:
    """A study as its source has it, before its images are looked at."""

    id: str
    """As in the source."""
    where: str
    """The file and line it was read from."""
    report: str
    """Empty where the source has none."""
    split: str | None
    """One of train, val, test; None where the source does not say."""
    patient: str | None
    """Who was examined; None where the source does not say."""
    sections: dict[str, str]
    """The report's sections by lower-case name."""
    pictures: list[tuple[str, str | None]] = field(default_factory=list)
    """Path under the folder of images, and view position in capitals where the source says."""
    problem: str | None = None
    """Why the study cannot be used, as a noun: "no report"."""


def draw_splits(drafts: Sequence[Draft], seed: int, where: str) -> None:
    """Give every study a split; all studies of a patient get the same one.

    Args:
        drafts: the studies; splits that they have are replaced.
        seed: the same seed and the same patients give the same split, in whatever order they come.
        where: what the message calls the source.

    Raises:
        InputError: there are fewer patients than splits.
    """
    owners = sorted({_owner(draft) for draft in drafts})
    if len(owners) < len(SPLITS):
        raise InputError(f"{where}: too few studies to draw a split from; give the split of each")
    shuffled = [owners[place] for place in np.random.default_rng(seed).permutation(len(owners))]
    test = max(1, round(TEST_SHARE * len(owners)))
    validation = max(1, round(VALIDATION_SHARE * len(owners)))
    splits = dict.fromkeys(shuffled, "train")
    splits |= dict.fromkeys(shuffled[:test], "test")
    splits |= dict.fromkeys(shuffled[test : test + validation], "val")
    for draft in drafts:
        draft.split = splits[_owner(draft)]


def straddling(studies: Sequence[tuple[str | None, str | None]]) -> list[str]:
    """Return the patients who are on more than one side of a split, from each study's patient and split."""
    sides: dict[str, set[str | None]] = {}
    for patient, split in studies:
        if patient is not None:
            sides.setdefault(patient, set()).add(split)
    return sorted(patient for patient, splits in sides.items() if len(splits) > 1)


def _owner(draft: Draft) -> tuple[str, str]:
    return ("study", draft.id) if draft.patient is None else ("patient", draft.patient)
