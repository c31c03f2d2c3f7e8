"""Phrases written as data, and a matcher that finds all of them in a sentence at once.

A phrase is a row of slots. A slot is a word; several words with a bar between, any of which will do; `<name>`, one word
of a list; any of these with a question mark, which may be absent; `...`, up to five words that say nothing else; or
`~`, up to four words that change nothing.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Generic, TypeVar

from xpronet.errors import InputError

Meaning = TypeVar("Meaning")

GAP = "..."
LONGEST_GAP = 5

FILL = "~"
LONGEST_FILL = 4


@dataclass(frozen=True, slots=True)
class Match(Generic[Meaning]):
    """A phrase found in a sentence."""

    meaning: Meaning
    """What the phrase was entered for."""
    first: int
    """Index of its first word."""
    last: int
    """Index of its last word."""
    taken: int
    """Bit i is set where word i belongs to the phrase; words in a gap do not."""


@dataclass(slots=True)
class _Node(Generic[Meaning]):
    following: dict[str, "_Node[Meaning]"] = field(default_factory=dict)
    after_gap: "_Node[Meaning] | None" = None
    after_fill: "_Node[Meaning] | None" = None
    meanings: list[Meaning] = field(default_factory=list)


class PhraseBook(Generic[Meaning]):
    """All phrases of a labeler in one tree of words."""

    def __init__(
        self,
        lists: Mapping[str, Sequence[str]],
        barriers: Sequence[str],
        fillers: Sequence[str] = (),
        *,
        takes: Callable[[Meaning, Meaning], bool] = lambda _, __: True,
    ) -> None:
        """Start empty.

        Args:
            lists: the word lists that `<name>` stands for.
            barriers: words that a gap does not reach across.
            fillers: words that change nothing.
            takes: whether a phrase of the first meaning takes its words away from a shorter one of the second.
        """
        self._takes = takes
        self._lists = lists
        self._barriers = frozenset(barriers)
        self._fillers = frozenset(fillers)
        self._root: _Node[Meaning] = _Node()
        self.vocabulary: set[str] = set(fillers)
        """All words of all phrases."""
        self.first_words: set[str] = set()
        self.last_words: set[str] = set()
        """What phrases begin and end with."""

    def add(self, phrase: str, meaning: Meaning) -> None:
        """Enter a phrase.

        Raises:
            InputError: the phrase names a list that does not exist, or begins or ends with a gap.
        """
        slots = [self._choices(slot, phrase) for slot in phrase.split()]
        for path in product(*slots):
            words = " ".join(path).split()
            while words and words[0] == FILL:  # what it stands behind was optional
                words.pop(0)
            if not words or words[0] == GAP or words[-1] == GAP:
                raise InputError(f"phrase {phrase!r} begins or ends with nothing; give it a word there")
            while words[-1] == FILL:  # what it stands before was optional
                words.pop()
            self.vocabulary.update(words)
            self.first_words.add(words[0])
            self.last_words.add(words[-1])
            node = self._root
            for word in words:
                if word == GAP:
                    node.after_gap = node.after_gap or _Node()
                    node = node.after_gap
                elif word == FILL:
                    node.after_fill = node.after_fill or _Node()
                    node = node.after_fill
                else:
                    node = node.following.setdefault(word, _Node())
            if meaning not in node.meanings:
                node.meanings.append(meaning)

    def find(self, words: Sequence[str]) -> list[Match[Meaning]]:
        """Return the phrases in a sentence, in order; one whose words all belong to a longer one is left out."""
        matches: list[Match[Meaning]] = []
        root, end = self._root.following, len(words)
        for first, word in enumerate(words):
            if word not in root:
                continue
            pending = [(root[word], first, 1 << first)]
            while pending:
                node, last, taken = pending.pop()
                for meaning in node.meanings:
                    matches.append(Match(meaning, first, last, taken))
                ahead = last + 1
                if ahead == end:
                    continue
                following = node.following.get(words[ahead])
                if following is not None:
                    pending.append((following, ahead, taken | 1 << ahead))
                if node.after_gap is not None:
                    pending.extend(self._across(node.after_gap, words, ahead, taken))
                if node.after_fill is not None:
                    pending.extend(self._filled(node.after_fill, words, ahead, taken))
        return self._longest(matches)

    def _longest(self, matches: list[Match[Meaning]]) -> list[Match[Meaning]]:
        """Leave out the matches whose words all belong to another one."""
        if len(matches) < 2:
            return matches
        spans = {match.taken for match in matches}
        inside = {span for span in spans for other in spans if span != other and span & other == span}
        if not inside:
            return matches
        return [match for match in matches if match.taken not in inside or not self._swallowed(match, matches)]

    def _swallowed(self, match: Match[Meaning], matches: Sequence[Match[Meaning]]) -> bool:
        taken = match.taken
        return any(
            other.taken & taken == taken != other.taken and self._takes(other.meaning, match.meaning)
            for other in matches
        )

    def _filled(
        self, node: _Node[Meaning], words: Sequence[str], ahead: int, taken: int
    ) -> Iterator[tuple[_Node[Meaning], int, int]]:
        """Yield where a phrase goes on after words that change nothing, as `_across` does."""
        for index in range(ahead, min(ahead + LONGEST_FILL + 1, len(words))):
            word = words[index]
            if word in node.following:
                yield node.following[word], index, taken | 1 << index
            if node.after_fill is not None:  # two of them in a row, where a word between was optional
                yield from self._filled(node.after_fill, words, index, taken)
            if word not in self._fillers:
                return

    def _across(
        self, node: _Node[Meaning], words: Sequence[str], ahead: int, taken: int
    ) -> Iterator[tuple[_Node[Meaning], int, int]]:
        """Yield where a phrase goes on after its gap, with the index of that word and the words taken."""
        for index in range(ahead, min(ahead + LONGEST_GAP + 1, len(words))):
            if words[index] in node.following:
                yield node.following[words[index]], index, taken | 1 << index
            if words[index] in self._barriers:
                return

    def _choices(self, slot: str, phrase: str) -> list[str]:
        if slot in (GAP, FILL, "?"):
            return [slot]
        choices: list[str] = []
        for choice in slot.removesuffix("?").split("|"):
            if choice.startswith("<"):
                name = choice.strip("<>")
                if name not in self._lists:
                    raise InputError(f"phrase {phrase!r} uses the list {name!r}, which is not there")
                choices.extend(self._lists[name])
            else:
                choices.append(choice)
        return [*choices, ""] if slot.endswith("?") else choices
