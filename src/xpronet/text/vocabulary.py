"""Words and their ids."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from xpronet.errors import InputError
from xpronet.text.cleaning import CLEANINGS, clean, readable

UNKNOWN = "<unk>"
SPECIAL = ("<pad>", "<begin>", "<end>", UNKNOWN)


@dataclass(frozen=True, kw_only=True)
class VocabularySettings:
    """Which words are learned, and how long a report may be."""

    cleaning: Literal["xpronet", "published-iu", "published-mimic"] = "xpronet"
    """The rule that turns a report into words."""
    lower_case: bool = True
    """Learn and write words in lower case; false keeps their case, which only the rule xpronet can."""
    min_count: int = 3
    """Words seen less often than this in the train reports are unknown."""
    max_words: int = 60
    """Longest report to learn or write; IU X-Ray 60, MIMIC-CXR 100 (paper, appendix 1)."""
    ids: Literal["separate", "published"] = "separate"
    """Separate ids for padding, begin and end, or 0 for all three as published."""

    def __post_init__(self) -> None:
        if self.cleaning not in CLEANINGS:
            raise InputError(f"vocabulary.cleaning = {self.cleaning!r}: choose one of {', '.join(CLEANINGS)}")
        if not self.lower_case and self.cleaning != "xpronet":
            raise InputError(
                f"vocabulary.lower_case = false: the rule {self.cleaning} always makes lower case; "
                'set vocabulary.cleaning = "xpronet" or leave lower_case away'
            )
        if self.min_count < 1 or self.max_words < 2:
            raise InputError("vocabulary: min_count must be at least 1 and max_words at least 2")
        if self.ids not in ("separate", "published"):
            raise InputError(f"vocabulary.ids = {self.ids!r}: choose separate or published")


class Vocabulary:
    """A two-way table of words and ids with the settings it was made by."""

    def __init__(self, words: Sequence[str], settings: VocabularySettings) -> None:
        """Number `words` in their order, after the special words of the settings' id scheme."""
        self.settings = settings
        self.words = tuple(words)
        if settings.ids == "published":
            self.padding = self.begin = self.end = 0
            self._by_id = ("<end>", *self.words)
        else:
            self.padding, self.begin, self.end = 0, 1, 2
            self._by_id = (*SPECIAL, *self.words)
        self._by_word = {word: number for number, word in enumerate(self._by_id)}
        if len(self._by_word) != len(self._by_id) or UNKNOWN not in self._by_word:
            raise InputError(f"vocabulary: words must be distinct, with {UNKNOWN} among the published ones")
        self.unknown = self._by_word[UNKNOWN]

    def __len__(self) -> int:
        return len(self._by_id)

    def clean(self, report: str) -> str:
        """Return the report under the vocabulary's cleaning rule."""
        return _cleaned(report, self.settings)

    def encode(self, report: str) -> list[int]:
        """Return a report's ids, from begin to EOS, at most `max_words` in all.

        A report that is too long keeps its EOS under separate ids and loses it under published ones.
        """
        words = self.clean(report).split()
        ids = [self.begin, *(self._by_word.get(word, self.unknown) for word in words), self.end]
        limit = self.settings.max_words
        if len(ids) <= limit:
            return ids
        return ids[:limit] if self.settings.ids == "published" else [*ids[: limit - 1], self.end]

    def ids_of(self, words: Sequence[str]) -> list[int]:
        """Return the ids of words that `word_list` returned, without marks."""
        return [self._by_word[word] for word in words]

    def decode(self, ids: Iterable[int]) -> str:
        """Return the words of ids up to the first end or padding mark, separated by spaces; begin is passed over."""
        return " ".join(self.word_list(ids))

    def word_list(self, ids: Iterable[int]) -> list[str]:
        """Return the words of ids up to the first end or padding mark; a leading BOS is passed over."""
        words: list[str] = []
        for position, number in enumerate(ids):
            if position == 0 and number == self.begin:
                continue
            if number in (self.end, self.padding):
                break
            words.append(self._by_id[number])
        return words

    def readable(self, ids: Iterable[int]) -> str:
        """Return ids as text for people."""
        return readable(self.decode(ids))

    def record(self) -> dict[str, Any]:
        """Return the vocabulary as JSON values."""
        return {**vars(self.settings), "words": list(self.words)}


def build_vocabulary(reports: Iterable[str], settings: VocabularySettings) -> Vocabulary:
    """Collect the words of the train reports, in alphabetical order.

    Raises:
        InputError: the reports hold no word often enough.
    """
    counts: Counter[str] = Counter()
    for report in reports:
        counts.update(_cleaned(report, settings).split())
    words = {word for word, count in counts.items() if count >= settings.min_count}
    if not words:
        raise InputError(
            f"vocabulary.min_count = {settings.min_count}: none of the {len(counts)} words of the train reports is "
            "seen that often; lower it"
        )
    if settings.ids == "published":
        words.add(UNKNOWN)
    return Vocabulary(sorted(words), settings)


def read_vocabulary(record: Any, where: str) -> Vocabulary:
    """Return the vocabulary of a JSON record.

    Raises:
        InputError: the record is no vocabulary; `where` names its file.
    """
    try:
        values = dict(record)
        words = values.pop("words")
        return Vocabulary([str(word) for word in words], VocabularySettings(**values))
    except (TypeError, KeyError, ValueError) as error:
        raise InputError(f"{where}: not a vocabulary ({error})") from None


def _cleaned(report: str, settings: VocabularySettings) -> str:
    # The settings allow case for our own rule only.
    return CLEANINGS[settings.cleaning](report) if settings.lower_case else clean(report, lower_case=False)
