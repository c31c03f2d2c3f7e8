"""Which words of a report a figure shows: those that name a finding, deny it or place it, the telling ones first."""

from collections.abc import Sequence

from xpronet.labels.findings import NO_FINDING, State
from xpronet.labels.places import PLACES
from xpronet.labels.rules import RuleLabeler


def telling_words(tokens: Sequence[str], *, most: int | None = None) -> tuple[int, ...]:
    """Return the numbers of the words worth showing, in reading order.

    Words that name a finding that is there come first, then the places in such sentences, then words that name a denied
    finding. A word that comes again with the same meaning is shown once.

    Args:
        tokens: the report's words and full stops.
        most: no more words than that.
    """
    rank: dict[int, int] = {}
    meant: dict[int, str] = {}
    for claim in RuleLabeler().token_claims(tokens):
        if claim.finding == NO_FINDING:
            continue
        stated = claim.state in (State.POSITIVE, State.UNCERTAIN)
        for number in claim.mention:
            rank[number] = min(rank.get(number, 9), 0 if stated else 2)
            meant[number] = f"{claim.finding} {stated}"
    stated_sentences = {_sentence(tokens, number) for number, place in rank.items() if place == 0}
    for number, token in enumerate(tokens):
        if token.lower() in PLACES and _sentence(tokens, number) in stated_sentences:
            rank.setdefault(number, 1)
    once: dict[tuple[str, str], int] = {}
    for number in sorted(rank):
        once.setdefault((tokens[number].lower(), meant.get(number, f"sentence {_sentence(tokens, number)}")), number)
    chosen = sorted(once.values(), key=lambda number: (rank[number], number))
    return tuple(sorted(chosen[:most]))


def _sentence(tokens: Sequence[str], number: int) -> int:
    """Return the number of a word's sentence."""
    return sum(token == "." for token in tokens[:number])
