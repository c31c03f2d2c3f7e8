"""Where a report says that a finding is: the sides and the zones of the lung that its sentences name."""

from collections.abc import Mapping

from xpronet.labels.findings import NO_FINDING, State
from xpronet.labels.rules import MOST_SENTENCES, RuleLabeler
from xpronet.labels.sentences import sentence_spans

_BOTH = ("left", "right")
PLACES: Mapping[str, tuple[str, ...]] = {
    "left": ("left",),
    "right": ("right",),
    "both": _BOTH,
    "bilateral": _BOTH,
    "bilaterally": _BOTH,
    "upper": ("upper",),
    "apical": ("upper",),
    "apex": ("upper",),
    "apices": ("upper",),
    "mid": ("mid",),
    "middle": ("mid",),
    "lower": ("lower",),
    "basal": ("lower",),
    "base": ("lower",),
    "bases": ("lower",),
    "basilar": ("lower",),
    "bibasilar": (*_BOTH, "lower"),
    "bibasal": (*_BOTH, "lower"),
}
"""The sides, which are the patient's, and the zones of the lung that a word names."""

_SAID = (State.POSITIVE, State.UNCERTAIN)

Stated = dict[str, frozenset[str]]
"""For each finding that a report states as present, certain or not, the sides and zones of those sentences."""


class PlaceReader:
    """Reads stated findings with their places; one instance reads any number of reports.

    A place belongs to all findings that its sentence states. Sentences repeat from report to report and are read once.
    """

    def __init__(self, labeler: RuleLabeler) -> None:
        """Keep the labeler that says what a sentence states."""
        self._labeler = labeler
        self._read: dict[str, tuple[frozenset[str], frozenset[str]]] = {}

    def places(self, report: str) -> Stated:
        """Return the findings that a report states as present, each with the places it gives."""
        stated: Stated = {}
        for start, end in sentence_spans(report):
            findings, places = self._sentence(report[start:end])
            for finding in findings:
                stated[finding] = stated.get(finding, frozenset()) | places
        return stated

    def _sentence(self, sentence: str) -> tuple[frozenset[str], frozenset[str]]:
        """Return the findings that a sentence states, and its places."""
        read = self._read.get(sentence)
        if read is None:
            states = self._labeler.label(sentence)
            findings = frozenset(name for name, state in states.items() if state in _SAID and name != NO_FINDING)
            words = sentence.lower().replace("-", " ").replace(",", " ").strip(".").split()
            read = findings, frozenset(place for word in words for place in PLACES.get(word, ()))
            if len(self._read) >= MOST_SENTENCES:
                self._read.clear()
            self._read[sentence] = read
        return read


def misplaced(said: Stated, reference: Stated) -> float:
    """Return how many of the findings that both state are said to be somewhere else, 0 or more.

    A finding whose reference gives a place counts by the share of places, of those that either side names, that only
    one of them names: the right side in the wrong zone is two thirds of a misplaced finding.
    """
    total = 0.0
    for finding, places in reference.items():
        if places and finding in said:
            total += len(places ^ said[finding]) / len(places | said[finding])
    return total
