"""Invented reports for the tests of this folder."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from xpronet.evaluation.prediction_files import Prediction

NORMAL = ("The lungs are clear.", "The heart is normal in size.", "No pneumothorax.", "No acute bony abnormality.")
ABNORMAL = (
    "There is a small left pleural effusion.",
    "The heart is enlarged.",
    "There is a right pneumothorax.",
    "Patchy atelectasis at the left base.",
)


@pytest.fixture(scope="session")
def reports_of() -> Callable[[int, int], list[str]]:
    """Make (count, seed) reports of three or four sentences, a third of them with an abnormal one."""

    def make(count: int, seed: int) -> list[str]:
        random = np.random.default_rng(seed)
        reports = []
        for number in range(count):
            sentences = [NORMAL[index] for index in random.permutation(4)[:3]]
            if number % 3 == 0:
                sentences.append(ABNORMAL[int(random.integers(4))])
            reports.append(" ".join(sentences))
        return reports

    return make


@pytest.fixture(scope="session")
def predict() -> Callable[..., list[Prediction]]:
    """Make predictions of reports and references, with invented ids."""

    def make(reports: Sequence[str], references: Sequence[str], labels_from: str = "predicted") -> list[Prediction]:
        return [
            Prediction(id=f"s{number}", report=report, reference=reference, labels_from=labels_from)
            for number, (report, reference) in enumerate(zip(reports, references, strict=True))
        ]

    return make
