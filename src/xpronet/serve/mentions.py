"""Which words of a generated report speak of which finding, as the rule labeler hears them."""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from xpronet.labels.rules import RuleLabeler
from xpronet.labels.sentences import words


def find_mentions(tokens: Sequence[str]) -> list[dict[str, Any]]:
    """Return every mention of a finding: its name, its state in words, and the numbers of the words that make it.

    Args:
        tokens: the report's words and full stops.
    """
    labeler = _labeler()
    mentions = []
    start = 0
    for end in sentence_ends(tokens):
        for evidence in labeler.explain(" ".join(tokens[start:end])):
            said = set(evidence.mention.split()) | set(evidence.cue.split())
            numbers = [number for number in range(start, end) if said.intersection(words(tokens[number]))]
            state = evidence.state.name.lower()
            mentions.append({"finding": evidence.finding, "state": state, "words": numbers})
        start = end
    return mentions


def sentence_ends(tokens: Sequence[str]) -> Iterator[int]:
    """Yield the number behind the last token of each sentence; a text cut off in one ends it."""
    for number, token in enumerate(tokens, 1):
        if token == "." or number == len(tokens):
            yield number


@cache
def _labeler() -> RuleLabeler:
    return RuleLabeler()
