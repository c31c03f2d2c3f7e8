"""Tell English reports from others, in which words that are spelt alike would be read for what they are not."""

import tomllib
from collections.abc import Sequence
from importlib import resources

_LANGUAGES = tomllib.loads(resources.files(__package__).joinpath("languages.toml").read_text(encoding="utf-8"))

FOREIGN = frozenset(word for words in _LANGUAGES["foreign"].values() for word in words)
"""Words of other languages that no English report has."""

_SHARED = frozenset(_LANGUAGES["shared"])
"""Words of other languages that an English report may have, though seldom: names, Latin, abbreviations."""

ENGLISH = frozenset(_LANGUAGES["english"])
"""Words that only English has."""


def has_foreign_words(words: Sequence[str]) -> bool:
    """Tell whether words in small letters have some of another language among them, or letters beyond a to z."""
    return not (FOREIGN.isdisjoint(words) and _SHARED.isdisjoint(words)) or not "".join(words).isascii()


def seems_english(sentences: Sequence[Sequence[str]]) -> bool:
    """Tell whether a report is in English: it has hardly a foreign word, or more English ones.

    Args:
        sentences: its words, in small letters.
    """
    words = [word for sentence in sentences for word in sentence if word.isalpha()]
    foreign = sum(1.0 for word in words if word in FOREIGN or not word.isascii())
    foreign += sum(0.5 for word in words if word in _SHARED)
    return foreign < 1 or foreign < sum(word in ENGLISH for word in words)
