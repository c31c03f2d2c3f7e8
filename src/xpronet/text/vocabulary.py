"""The vocabulary: which words a model knows, and their ids."""

from collections import Counter
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from typing import Any, Literal

from xpronet.errors import InputError
from xpronet.text.cleaning import CLEANINGS, clean, readable

UNKNOWN = "<unk>"
SPECIAL = ("<pad>", "<begin>", "<end>", UNKNOWN)
MOST_UNKNOWN = 0.5
"""A vocabulary that knows fewer than half of the words it was built from can teach nothing."""


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
    """Separate ids for padding, BOS and EOS, or 0 for all three as published."""

    def __post_init__(self) -> None:
        if self.cleaning not in CLEANINGS:
            raise InputError(f"vocabulary.cleaning = {self.cleaning!r}: choose one of {', '.join(CLEANINGS)}")
        if not self.lower_case and self.cleaning != "xpronet":
            raise InputError(
                f"vocabulary.lower_case = false: the rule {self.cleaning} always makes lower case; "
                'set vocabulary.cleaning = "xpronet" or leave out lower_case'
            )
        if self.min_count < 1 or self.max_words < 2:
            raise InputError("vocabulary: min_count must be at least 1 and max_words at least 2")
        if self.ids not in ("separate", "published"):
            raise InputError(f"vocabulary.ids = {self.ids!r}: choose separate or published")


@dataclass(frozen=True)
class Phrase:
    """A word of a report model's own that stands for several words of a report, or for none."""

    name: str
    """What it is called; unlike any word of a report, such as "<normal>"."""
    text: str
    """The words that it stands for, as a cleaned report has them; empty for one that is written as nothing."""


class Vocabulary:
    """A two-way mapping between words and ids, with the settings it was built by.

    Attributes:
        settings: the settings.
        words: all words but the special ones and the phrases, in the order of their ids.
        phrases: the report model's own, behind all words.
        padding: id that fills the end of a batch's shorter reports.
        bos: id of the mark at the beginning of a report.
        eos: id of the mark at the end of a report.
        unknown: id of every word that is not in the vocabulary.
    """

    def __init__(self, words: Sequence[str], settings: VocabularySettings, phrases: Sequence[Phrase] = ()) -> None:
        """Number `words` in their order, after the special words that `settings.ids` asks for, then the phrases.

        Raises:
            InputError: a word is there twice, or published ids lack the unknown word.
        """
        self.settings = settings
        self.words = tuple(words)
        self.phrases = tuple(phrases)
        if settings.ids == "published":
            self.padding = self.bos = self.eos = 0
            self._by_id = ("<end>", *self.words)
        else:
            self.padding, self.bos, self.eos = 0, 1, 2
            self._by_id = (*SPECIAL, *self.words)
        self._by_id += tuple(phrase.name for phrase in self.phrases)
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
        """Return a report's ids from BOS to EOS, at most `max_words` in all.

        A report that is too long is cut; it keeps its EOS under separate ids and loses it under published ones.
        """
        words = self.clean(report).split()
        ids = [self.bos, *map(self.number, words), self.eos]
        limit = self.settings.max_words
        if len(ids) <= limit:
            return ids
        return ids[:limit] if self.settings.ids == "published" else [*ids[: limit - 1], self.eos]

    def ids_of(self, words: Sequence[str]) -> list[int]:
        """Return the ids of words that `word_list` returned, without BOS and EOS."""
        return [self._by_word[word] for word in words]

    def number(self, word: str) -> int:
        """Return the id of a word, that of the unknown word where the vocabulary lacks it."""
        return self._by_word.get(word, self.unknown)

    def with_phrases(self, phrases: Sequence[Phrase]) -> "Vocabulary":
        """Return the same words with these phrases behind them."""
        return Vocabulary(self.words, self.settings, phrases)

    @property
    def first_phrase(self) -> int:
        """Return the id of the first phrase; those of the others follow."""
        return len(self._by_id) - len(self.phrases)

    def spell(self, number: int) -> tuple[str, ...]:
        """Return what an id is written as: a word, the words of a phrase, or nothing."""
        if number < self.first_phrase:
            return (self._by_id[number],)
        return tuple(self.phrases[number - self.first_phrase].text.split())

    def decode(self, ids: Iterable[int]) -> str:
        """Return the words of `word_list`, separated by spaces."""
        return " ".join(self.word_list(ids))

    def text(self, ids: Iterable[int]) -> str:
        """Return ids as text to read; published words stay as they are, for scores that must compare."""
        words = self.decode(ids)
        return readable(words) if self.settings.cleaning == "xpronet" else words

    def word_list(self, ids: Iterable[int]) -> list[str]:
        """Return the words of ids up to the first EOS or padding, phrases spelled out; a leading BOS is skipped."""
        words: list[str] = []
        for position, number in enumerate(ids):
            if position == 0 and number == self.bos:
                continue
            if number in (self.eos, self.padding):
                break
            words.extend(self.spell(number))
        return words

    def unknown_share(self, reports: Iterable[str]) -> float:
        """Return the share of the words of reports, full stops aside, that the vocabulary lacks; 0 without words."""
        return _unknown_share(_count_words(reports, self.settings), set(self.words))

    def record(self) -> dict[str, Any]:
        """Return the vocabulary as JSON values, for `read_vocabulary`."""
        record: dict[str, Any] = {**vars(self.settings), "words": list(self.words)}
        if self.phrases:
            record["phrases"] = [[phrase.name, phrase.text] for phrase in self.phrases]
        return record


def build_vocabulary(reports: Iterable[str], settings: VocabularySettings) -> Vocabulary:
    """Build the vocabulary of a model from the train reports, in alphabetical order.

    Raises:
        InputError: more than half of the reports' words would be unknown; the model could not learn to write.
    """
    counts = _count_words(reports, settings)
    words = _frequent(counts, settings)
    unknown = _unknown_share(counts, words)
    if unknown > MOST_UNKNOWN or not any(map(_is_word, words)):
        raise InputError(
            f"vocabulary.min_count = {settings.min_count}: {unknown:.0%} of the words of the train reports are seen "
            "less often and would be unknown; lower it, or give more reports"
        )
    return Vocabulary(sorted(words), settings)


def reference_vocabulary(reports: Iterable[str], settings: VocabularySettings) -> Vocabulary:
    """Build the vocabulary that the published evaluation cuts references down to, however few words are left."""
    return Vocabulary(sorted(_frequent(_count_words(reports, settings), settings)), settings)


def read_vocabulary(record: Any, where: str) -> Vocabulary:
    """Return the vocabulary of a JSON record.

    Raises:
        InputError: the record is no vocabulary; `where` names its file.
    """
    try:
        values = dict(record)
        words = values.pop("words")
        phrases = [Phrase(str(name), str(text)) for name, text in values.pop("phrases", ())]
        return Vocabulary([str(word) for word in words], VocabularySettings(**values), phrases)
    except (TypeError, KeyError, ValueError) as error:
        raise InputError(f"{where}: not a vocabulary ({error})") from None


def _count_words(reports: Iterable[str], settings: VocabularySettings) -> Counter[str]:
    counts: Counter[str] = Counter()
    for report in reports:
        counts.update(_cleaned(report, settings).split())
    return counts


def _frequent(counts: Counter[str], settings: VocabularySettings) -> set[str]:
    words = {word for word, count in counts.items() if count >= settings.min_count}
    return words | {UNKNOWN} if settings.ids == "published" else words


def _unknown_share(counts: Counter[str], known: Set[str]) -> float:
    total = sum(count for word, count in counts.items() if _is_word(word))
    unknown = sum(count for word, count in counts.items() if _is_word(word) and word not in known)
    return unknown / total if total else 0.0


def _is_word(token: str) -> bool:
    """Return whether a token is a word or number, not punctuation, which every report has, nor the unknown word."""
    return token != UNKNOWN and any(map(str.isalnum, token))


def _cleaned(report: str, settings: VocabularySettings) -> str:
    # The settings allow case for our own rule only.
    return CLEANINGS[settings.cleaning](report) if settings.lower_case else clean(report, lower_case=False)
