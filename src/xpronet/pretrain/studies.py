"""Labelled studies: of a corpus folder, of NIH ChestX-ray14, of the covid-chestxray-dataset."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from xpronet.csv_files import read_rows
from xpronet.data.corpus import open_corpus
from xpronet.errors import InputError
from xpronet.files import confined
from xpronet.labels.findings import FINDINGS, IGNORED, NO_FINDING, State, collapse
from xpronet.labels.label_tables import read_labels
from xpronet.pretrain.settings import LabelSettings

Targets = Float32[np.ndarray, " findings"]
"""1 where a finding is present, 0 where it is absent, NaN where nobody knows; in the order of `FINDINGS`."""

NIH_FINDINGS: Mapping[str, str] = {
    "Atelectasis": "Atelectasis",
    "Cardiomegaly": "Cardiomegaly",
    "Consolidation": "Consolidation",
    "Edema": "Edema",
    "Effusion": "Pleural Effusion",
    "Infiltration": "Lung Opacity",
    "Mass": "Lung Lesion",
    "Nodule": "Lung Lesion",
    "Pleural_Thickening": "Pleural Other",
    "Pneumonia": "Pneumonia",
    "Pneumothorax": "Pneumothorax",
}
"""CheXpert's finding that stands for each of NIH's; Emphysema, Fibrosis and Hernia have none."""

NIH_OPACITIES = ("Atelectasis", "Consolidation", "Edema", "Mass", "Nodule", "Pneumonia", "Fibrosis")
"""Findings that are opacities, too: beside them nobody knows whether a reader would have said opacity as well."""

COVID_PNEUMONIAS = (
    *("COVID-19", "SARS", "Pneumocystis", "Streptococcus", "COVID-19, ARDS", "Pneumonia", "Klebsiella"),
    *("Mycoplasma Bacterial Pneumonia", "Varicella", "E.Coli", "Legionella", "Bacterial", "Influenza"),
)
"""Diagnoses of the covid-chestxray-dataset that are pneumonias."""


@dataclass(frozen=True, kw_only=True)
class LabelledStudy:
    """Films that share their labels."""

    id: str
    """Unique in its source."""
    films: tuple[Path, ...]
    """In reading order."""
    targets: Targets
    """What is to be learned, or what predictions are compared with."""


def corpus_studies(
    folder: Path, split: str, settings: LabelSettings, *, max_views: int, table: Path | None = None
) -> list[LabelledStudy]:
    """Return the labelled studies of a split of a corpus.

    Args:
        folder: the corpus.
        split: train, val or test.
        settings: the table of labels, and what uncertain and blank ones become.
        max_views: films used of each study.
        table: another table of labels than the settings'.

    Raises:
        InputError: the folder is no corpus, has no films or no labels.
    """
    corpus = open_corpus(folder, with_sections=False)
    studies = corpus.split(split)
    without = [study.id for study in studies if not study.views]
    if without:
        raise InputError(f"{folder}: {len(without)} studies of {split} have no film, first {', '.join(without[:3])}")
    path = table or confined(folder, settings.table)
    if not path.is_file():
        raise InputError(f"{folder}: no {path.name}; make it with `xpronet label {folder}`")
    labels = read_labels(path, [study.id for study in studies])
    return [
        LabelledStudy(
            id=study.id,
            films=tuple(corpus.view_path(view) for view in study.views[:max_views]),
            targets=make_targets(labels[study.id], settings),
        )
        for study in studies
    ]


def make_targets(states: Mapping[str, State], settings: LabelSettings) -> Targets:
    """Reduce a study's states to targets; No Finding is always known from the others, as `collapse` says."""
    values = collapse(states, settings.uncertain)
    if settings.blank == "ignore":
        for name in FINDINGS:
            if name != NO_FINDING and states.get(name, State.NOT_MENTIONED) is State.NOT_MENTIONED:
                values[name] = IGNORED
    targets = np.array([values[name] for name in FINDINGS], np.float32)
    targets[targets == IGNORED] = np.nan
    return targets


def nih_studies(folder: Path, split: str) -> list[LabelledStudy]:
    """Return the films of a split of NIH ChestX-ray14, each a study of its own.

    The folder has images.csv with the columns image, id, labels (separated by |) and split. Findings that NIH has no
    label for are unknown.

    Raises:
        InputError: the folder has no such table, a label is none of NIH's, or the split is empty.
    """
    return _table_studies(folder, "images.csv", ("image", "id", "labels", "split"), _nih_row(split), f"split {split!r}")


def nih_targets(labels: Sequence[str]) -> Targets:
    """Return the targets of NIH's labels of a film."""
    targets = dict.fromkeys(FINDINGS, np.nan)
    for finding in NIH_FINDINGS.values():
        targets[finding] = 0.0
    if any(label in NIH_OPACITIES for label in labels):
        targets["Lung Opacity"] = np.nan
    for label in labels:
        if label in NIH_FINDINGS:
            targets[NIH_FINDINGS[label]] = 1.0
    targets[NO_FINDING] = float(list(labels) == [NO_FINDING])
    return np.array(list(targets.values()), np.float32)


def covid_studies(folder: Path) -> list[LabelledStudy]:
    """Return the frontal films of the covid-chestxray-dataset whose diagnosis says whether there is a pneumonia.

    Only Pneumonia and No Finding are known, and where there is nothing, that all else is absent.

    Raises:
        InputError: the folder has no metadata.csv of that kind.
    """
    return _table_studies(folder, "metadata.csv", ("image", "finding", "view"), _covid_row, "frontal film")


Row = Mapping[str, str]


def _nih_row(split: str) -> Callable[[Row, str], tuple[str, Targets] | None]:
    known = {*NIH_FINDINGS, "Emphysema", "Fibrosis", "Hernia", NO_FINDING}

    def read(row: Row, where: str) -> tuple[str, Targets] | None:
        if row["split"] != split:
            return None
        labels = row["labels"].split("|")
        unknown = [label for label in labels if label not in known]
        if unknown:
            raise InputError(f"{where}: label {unknown[0]!r} is none of NIH ChestX-ray14's; correct it")
        return row["id"], nih_targets(labels)

    return read


def _covid_row(row: Row, where: str) -> tuple[str, Targets] | None:
    if not row["view"].startswith(("PA", "AP")):
        return None
    targets = np.full(len(FINDINGS), np.nan, np.float32)
    if row["finding"] in COVID_PNEUMONIAS:
        targets[FINDINGS.index("Pneumonia")] = 1
        targets[FINDINGS.index(NO_FINDING)] = 0
    elif row["finding"] == NO_FINDING:
        targets[:] = 0
        targets[FINDINGS.index(NO_FINDING)] = 1
    else:
        return None
    return Path(row["image"]).stem, targets


def _table_studies(
    folder: Path,
    name: str,
    columns: Sequence[str],
    read: Callable[[Row, str], tuple[str, Targets] | None],
    wanted: str,
) -> list[LabelledStudy]:
    studies = []
    for row, where in read_rows(folder / name, columns):
        found = read(row, where)
        if found is not None:
            studies.append(LabelledStudy(id=found[0], films=(confined(folder, row["image"]),), targets=found[1]))
    if not studies:
        raise InputError(f"{folder / name}: no {wanted}; name another folder")
    return studies
