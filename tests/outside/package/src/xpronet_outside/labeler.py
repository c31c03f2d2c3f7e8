"""A labeler: a finding is positive where one of its words occurs, and negative where the sentence denies it."""

import re
from collections.abc import Iterable, Iterator

from xpronet.labels.findings import ABNORMALITIES, NO_FINDING, State

KEYWORDS = {
    "Cardiomegaly": ("cardiomegaly", "enlarged heart", "heart is enlarged"),
    "Edema": ("edema",),
    "Consolidation": ("consolidation",),
    "Pneumonia": ("pneumonia",),
    "Atelectasis": ("atelectasis",),
    "Pneumothorax": ("pneumothorax",),
    "Pleural Effusion": ("effusion", "effusions"),
    "Fracture": ("fracture", "fractures"),
    "Support Devices": ("tube", "catheter", "pacemaker"),
}
DENIAL = re.compile(r"\b(no|without)\b")


class KeywordLabeler:
    """Reads the findings from their names."""

    name = "keywords 1"

    def label(self, report: str) -> dict[str, State]:
        """Return the state of all fourteen findings."""
        states = dict.fromkeys((*ABNORMALITIES, NO_FINDING), State.NOT_MENTIONED)
        for sentence in report.lower().split("."):
            state = State.NEGATIVE if DENIAL.search(sentence) else State.POSITIVE
            for finding, words in KEYWORDS.items():
                mentioned = any(re.search(rf"\b{word}\b", sentence) for word in words)
                if mentioned and states[finding] is not State.POSITIVE:
                    states[finding] = state
        if State.POSITIVE not in states.values():
            states[NO_FINDING] = State.POSITIVE
        return states

    def label_many(self, texts: Iterable[tuple[str, str]]) -> Iterator[tuple[str, dict[str, State]]]:
        """Yield the id and labels of each id and report, in order."""
        for study_id, report in texts:
            yield study_id, self.label(report)
