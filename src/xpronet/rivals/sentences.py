"""Reports as sentences: what a model that writes sentence by sentence learns to write, in flat ids.

A boundary is where a sentence may begin: before the first word, and behind each full stop. A report of such a model
ends at a boundary only; it has at most `MOST_SENTENCES` sentences, or as many as a train report has, of at most
`MOST_WORDS` words before the full stop. A phrase of the vocabulary stands in place of a whole sentence (a template) or,
written as nothing, before one.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xpronet.errors import InputError
from xpronet.model.report_model import DerivedData, TrainStudies
from xpronet.text.vocabulary import Phrase, Vocabulary

STOP = "."
MOST_SENTENCES = 10
"""Unless a train report has more; of IU X-Ray's 95 % have at most 7, and one has 13."""
MOST_WORDS = 30
"""Before the full stop; of IU X-Ray's sentences 95 % have at most 13."""

Choose = Callable[[str], int | None]
"""Which phrase stands for or before a sentence, that ends with its full stop; None for none."""


def sentences_of(cleaned: str) -> Iterator[list[str]]:
    """Yield the sentences of a cleaned report as words, each with its full stop; a long one comes in pieces."""
    sentence: list[str] = []
    for word in cleaned.split():
        if word != STOP and len(sentence) == MOST_WORDS:
            yield [*sentence, STOP]
            sentence = []
        sentence.append(word)
        if word == STOP:
            yield sentence
            sentence = []
    if sentence:
        yield [*sentence, STOP]


@dataclass(frozen=True, kw_only=True)
class SentenceEncoder:
    """Turns a report into ids from BOS to EOS, whole sentences only; a long report is cut behind one of them."""

    vocabulary: Vocabulary
    """With the phrases."""
    choose: Choose | None = None
    """The phrase of each sentence, by its number among the phrases."""
    most_sentences: int = MOST_SENTENCES
    """The others are left out."""

    def __call__(self, report: str) -> list[int]:
        """Return the ids."""
        room = self.vocabulary.settings.max_words - 2
        ids = [self.vocabulary.bos]
        for number, sentence in enumerate(sentences_of(self.vocabulary.clean(report))):
            written, length = self._sentence(sentence)
            if number == self.most_sentences or length > room:
                if number == 0 and room > 0:
                    ids += self._sentence([*sentence[: room - 1], STOP])[0]
                break
            ids += written
            room -= length
        return [*ids, self.vocabulary.eos]

    def _sentence(self, words: list[str]) -> tuple[list[int], int]:
        """Return the ids of a sentence, and how many words it counts."""
        plain = [self.vocabulary.number(word) for word in words]
        number = self.choose(" ".join(words)) if self.choose is not None else None
        if number is None:
            return plain, len(words)
        phrase, text = self.vocabulary.first_phrase + number, self.vocabulary.phrases[number].text
        return ([phrase], len(text.split())) if text else ([phrase, *plain], len(words))


def derive_sentences(
    studies: TrainStudies,
    *,
    name: str,
    phrases: Sequence[Phrase] = (),
    choose: Choose | None = None,
    record: Mapping[str, Any] | None = None,
    summary: Sequence[str] = (),
) -> DerivedData:
    """Return what a model that writes sentence by sentence needs to know of the vocabulary, beside its own data.

    Args:
        studies: the train split.
        name: of the model, for messages.
        phrases: that it writes.
        choose: which of them belongs to a sentence.
        record: the model's own data.
        summary: of the model's own data.

    Raises:
        InputError: no train report has two sentences, or the vocabulary has no full stop.
    """
    vocabulary = studies.vocabulary.with_phrases(phrases)
    counts = [sum(1 for _ in sentences_of(vocabulary.clean(report))) for report in studies.reports]
    if max(counts, default=0) < 2 or STOP not in vocabulary.words:
        raise InputError(
            f"model.name = {name!r}: no train report has two sentences, and this model writes sentence by sentence; "
            "choose another model"
        )
    most_sentences = max(MOST_SENTENCES, *counts)
    marks = {
        "bos": vocabulary.bos,
        "eos": vocabulary.eos,
        "full_stop": vocabulary.ids_of([STOP])[0],
        "phrases": [[phrase.name, phrase.text] for phrase in phrases],
        "most_sentences": most_sentences,
        "most_words": MOST_WORDS,
    }
    line = f"Sentences: {sum(counts) / len(counts):.1f} a train report, {max(counts)} at most"
    return DerivedData(
        record={"sentences": marks, **(record or {})},
        vocabulary=vocabulary,
        encode=SentenceEncoder(vocabulary=vocabulary, choose=choose, most_sentences=most_sentences),
        summary=(line, *summary),
    )
