"""A metric: how many words a report and its reference share."""

from collections.abc import Sequence


class WordOverlap:
    """The Jaccard index of the sets of words: shared words over all words of either text."""

    name = "word overlap"
    higher_is_better = True
    citation = "Jaccard index of lower-case words, xpronet_outside 0.1"

    def score(self, references: Sequence[str], reports: Sequence[str]) -> list[float]:
        """Return one score for each study, from 0 to 1."""
        return [_overlap(*pair) for pair in zip(references, reports, strict=True)]


def _overlap(reference: str, report: str) -> float:
    ours, theirs = set(report.lower().split()), set(reference.lower().split())
    return len(ours & theirs) / max(len(ours | theirs), 1)
