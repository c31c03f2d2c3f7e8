"""Invented reports for the tests of this folder."""

from collections.abc import Sequence

import numpy as np

from xpronet.evaluate.predictions import Prediction

NORMAL = ("The lungs are clear.", "The heart is normal in size.", "No pneumothorax.", "No acute bony abnormality.")
ABNORMAL = (
    "There is a small left pleural effusion.",
    "The heart is enlarged.",
    "There is a right pneumothorax.",
    "Patchy atelectasis at the left base.",
)


def fabricated_reports(count: int, seed: int) -> list[str]:
    """Return reports of three to four sentences, a third of them with an abnormal one."""
    random = np.random.default_rng(seed)
    reports = []
    for number in range(count):
        sentences = [NORMAL[index] for index in random.permutation(4)[:3]]
        if number % 3 == 0:
            sentences.append(ABNORMAL[int(random.integers(4))])
        reports.append(" ".join(sentences))
    return reports


def predictions_of(reports: Sequence[str], references: Sequence[str], **fields: str) -> list[Prediction]:
    """Return predictions with made-up ids."""
    return [
        Prediction(id=f"s{number}", report=report, reference=reference, **fields)  # type: ignore[arg-type]
        for number, (report, reference) in enumerate(zip(reports, references, strict=True))
    ]
