"""Which form of the texts is compared: cleaning, truncation and rare words, by name."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from xpronet.errors import InputError
from xpronet.text.cleaning import CLEANINGS
from xpronet.text.vocabulary import UNKNOWN, VocabularySettings, reference_vocabulary

ProtocolName = Literal["full-text", "published-iu", "published-mimic"]

_SHELTER = "zzunknownzz"
"""Stands for the unknown word while a cleaning rule that would eat its brackets is at work."""


@dataclass(frozen=True, kw_only=True)
class TextProtocol:
    """One way to make two texts comparable; scores under different protocols are different scores."""

    name: ProtocolName
    """What the scorecard is stamped with."""
    cleaning: Literal["xpronet", "published-iu", "published-mimic"]
    """The rule of text/cleaning.py applied to both sides; all rules make lower case."""
    max_words: int | None
    """Both sides are cut after this many words; None cuts nothing."""
    min_count: int | None
    """Words of a reference seen less often in the train reports become the unknown word; None keeps all words."""

    def reports(self, texts: Sequence[str]) -> list[str]:
        """Return generated reports in the form that is compared: words separated by single spaces."""
        return [self._words(text) for text in texts]

    def references(self, texts: Sequence[str], train_reports: Sequence[str] | None = None) -> list[str]:
        """Return references in the form that is compared.

        The published evaluation compares with what its vocabulary can say, so that an unknown word of the model's
        matches a rare word of the reference. That needs the train reports; without them rare words are kept.
        """
        if self.min_count is None or self.max_words is None or train_reports is None:
            return self.reports(texts)
        settings = VocabularySettings(
            cleaning=self.cleaning, min_count=self.min_count, max_words=self.max_words + 1, ids="published"
        )
        vocabulary = reference_vocabulary(train_reports, settings)
        return [vocabulary.decode(vocabulary.encode(text)) for text in texts]

    def stamp(self, *, with_train: bool) -> dict[str, str]:
        """Return the protocol in words for a scorecard."""
        rare = "kept"
        if self.min_count is not None:
            unknown = f"seen less than {self.min_count} times in train become {UNKNOWN}"
            rare = f"of references {unknown}" if with_train else "kept (no train reports given)"
        return {
            "protocol": self.name,
            "cleaning": self.cleaning,
            "case": "lower",
            "truncation": "none" if self.max_words is None else f"after {self.max_words} words",
            "rare words": rare,
        }

    def _words(self, text: str) -> str:
        sheltered = CLEANINGS[self.cleaning](text.replace(UNKNOWN, _SHELTER))
        words = sheltered.replace(_SHELTER, UNKNOWN).split()
        return " ".join(words if self.max_words is None else words[: self.max_words])


PROTOCOLS: dict[str, TextProtocol] = {
    protocol.name: protocol
    for protocol in (
        TextProtocol(name="full-text", cleaning="xpronet", max_words=None, min_count=None),
        # The published limits of 60 and 100 count the BOS, so that 59 and 99 words remain.
        TextProtocol(name="published-iu", cleaning="published-iu", max_words=59, min_count=3),
        TextProtocol(name="published-mimic", cleaning="published-mimic", max_words=99, min_count=10),
    )
}


def find_protocol(name: str) -> TextProtocol:
    """Return the protocol of that name.

    Raises:
        InputError: there is none.
    """
    if name not in PROTOCOLS:
        raise InputError(f"protocol {name!r}: choose one of {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]
