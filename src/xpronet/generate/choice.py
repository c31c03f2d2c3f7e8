"""Choose one of the finished reports that the search met.

A finding that can be said in ten ways is less probable in each of them than the one way to deny it, so the likeliest
text leaves findings out that the network sees. Among the candidates there often is one that says them.
"""

from collections.abc import Mapping, Sequence

from xpronet.labels.findings import ABNORMALITIES, State
from xpronet.labels.rules import RuleLabeler


def disagreements(states: Mapping[str, State], present: Mapping[str, bool]) -> int:
    """Return for how many of the thirteen abnormalities a text says something else than a list of findings.

    Args:
        states: what the text says of each; an uncertain one counts as said to be there.
        present: what the list says of each.
    """
    said = (State.POSITIVE, State.UNCERTAIN)
    return sum((states[name] in said) != present[name] for name in ABNORMALITIES)


def most_agreeing(texts: Sequence[str], present: Mapping[str, bool], labeler: RuleLabeler) -> int:
    """Return which of the texts, the likeliest first, disagrees least with the findings; of equals the first.

    Args:
        texts: candidates, at least one.
        present: for each finding, whether the search was told that it is there.
        labeler: reads the texts.
    """
    return min(range(len(texts)), key=lambda number: disagreements(labeler.label(texts[number]), present))
