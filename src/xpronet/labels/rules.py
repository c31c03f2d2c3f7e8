"""Read the fourteen findings from a report by rules: mentions, then denial and doubt with their reach.

The language lies in rules.toml; here is only what is done with it. Every label comes with the words that led to it.
"""

import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from xpronet.labels.claims import Claim, SentenceClaims, Span
from xpronet.labels.conventions import CHEXPERT, Conventions, Reading
from xpronet.labels.findings import ABNORMALITIES, FINDINGS, NO_FINDING, State
from xpronet.labels.language import ENGLISH, FOREIGN, has_foreign_words, seems_english
from xpronet.labels.phrases import PhraseBook
from xpronet.labels.scope import Clauses, Meaning, PhraseMatch
from xpronet.labels.sentences import sentence_spans
from xpronet.labels.spelling import Spelling
from xpronet.labels.words import END, Words

LONGEST_SENTENCE = 120
"""Words; a text without full stops is read in pieces, so that the time it takes stays in proportion to its length."""

MOST_SENTENCES = 20_000
"""Sentences whose reading is kept, since reports repeat each other's; about 10 MB."""

_SOMETHING = (State.POSITIVE, State.UNCERTAIN)

_Heard = tuple[bool, tuple[tuple[str, State], ...]]
"""Of a sentence: whether it has foreign words; findings and states."""

_STRENGTH = (State.POSITIVE, State.UNCERTAIN, State.NEGATIVE)
"""Where a report says several things of one finding, the first of these counts."""

_CUES: Mapping[str, State] = {
    "negation": State.NEGATIVE,
    "aside": State.NOT_MENTIONED,
    "uncertainty": State.UNCERTAIN,
    "probable": State.UNCERTAIN,
    "alternatives": State.UNCERTAIN,
}
"""What each kind of cue makes of a mention."""

_ANSWERS: Mapping[str, State] = {
    "negation": State.NEGATIVE,
    "affirmation": State.POSITIVE,
    "uncertainty": State.UNCERTAIN,
}
"""What each kind of answer says of the finding that it is asked for."""

_READINGS: Mapping[Reading, State | None] = {
    "positive": State.POSITIVE,
    "uncertain": State.UNCERTAIN,
    "negative": State.NEGATIVE,
    "blank": None,
}


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why a finding got its state."""

    finding: str
    """One of the thirteen abnormalities; or No Finding, of which a mention of something else says that it isn't so."""
    state: State
    """What this mention says."""
    sentence: str
    """The sentence, as written."""
    mention: str
    """The words that name the finding, in small letters."""
    cue: str
    """The words that deny it or doubt it; empty where nothing does."""


class RuleLabeler:
    """Reads findings from reports by the phrases and cues of rules.toml; one instance reads any number."""

    name = "rules"

    def __init__(self, conventions: Conventions = CHEXPERT) -> None:
        """Read the phrases, which takes a fifth of a second the first time.

        Args:
            conventions: whose labels to follow where authors differ.
        """
        rules = _rules(conventions)
        self._book = rules.book
        self._words = Words(rules.spelling)
        self._opening, self._closing = rules.opening, rules.closing
        self._heard: dict[str, _Heard] = {}

    def label(self, report: str) -> dict[str, State]:
        """Return the state of all fourteen findings, in the order of `FINDINGS`.

        No Finding is positive where no other finding but Support Devices is positive or uncertain and the report names
        no other abnormality; else it is not mentioned. A report that is not English says nothing of any finding.
        """
        states = dict.fromkeys(FINDINGS, State.NOT_MENTIONED)
        heard = [self._hear(report[start:end]) for start, end in sentence_spans(report)]
        if not self._english(report, heard):
            return states
        nothing = True
        for _, said in heard:
            for finding, state in said:
                if state in _SOMETHING and finding != "Support Devices":
                    nothing = False
                if finding != NO_FINDING and state is not states[finding]:
                    states[finding] = _stronger(states[finding], state)
        if nothing:
            states[NO_FINDING] = State.POSITIVE
        return states

    def label_many(self, texts: Iterable[tuple[str, str]]) -> Iterator[tuple[str, dict[str, State]]]:
        """Yield the id and labels of each id and report, in order; one is held at a time."""
        for study_id, report in texts:
            yield study_id, self.label(report)

    def reads(self, report: str) -> bool:
        """Tell whether a report seems to be in English, the only language that the rules know."""
        return self._english(report, [self._hear(report[start:end]) for start, end in sentence_spans(report)])

    def _english(self, report: str, heard: Sequence[_Heard]) -> bool:
        if not any(foreign for foreign, _ in heard):
            return True
        return seems_english([self._words.of(report[start:end]) for start, end in sentence_spans(report)])

    def _hear(self, sentence: str) -> _Heard:
        """Return whether a sentence has foreign words, and what it says; reports repeat each other's sentences."""
        heard = self._heard.get(sentence)
        if heard is None:
            words = self._words.of(sentence)
            said = tuple((mention.meaning.finding, state) for mention, state, _ in self._judge(words))
            heard = (has_foreign_words(words), said)
            if len(self._heard) >= MOST_SENTENCES:
                self._heard.clear()
            self._heard[sentence] = heard
        return heard

    def claims(self, report: str) -> tuple[SentenceClaims, ...]:
        """Return what each sentence of a report claims of which finding, and by which of its words.

        Sentences under the headings of the question, the history and the comparison are left out; sentences without a
        mention have no claims. A report that is not English has no sentences.
        """
        if not self.reads(report):
            return ()
        return tuple(
            SentenceClaims(span=Span(start, end), claims=tuple(self._claims(report, start, end)))
            for start, end in sentence_spans(report)
        )

    def explain(self, report: str) -> list[Evidence]:
        """Return every mention of a finding with its state and cue, in reading order."""
        return [
            Evidence(
                finding=claim.finding,
                state=claim.state,
                sentence=_said((sentence.span,), report),
                mention=_said(claim.mention, report).lower(),
                cue=_said(claim.cue, report).lower(),
            )
            for sentence in self.claims(report)
            for claim in sentence.claims
        ]

    def locate(self, tokens: Sequence[str]) -> Iterator[tuple[str, State, tuple[int, ...]]]:
        """Yield each mention in a sentence that is given as tokens: finding, state, and the tokens that name it.

        Args:
            tokens: of one sentence, such as a vocabulary has them; one token may hold several words, or none.
        """
        text = " ".join(tokens)
        ends: list[int] = []
        for token in tokens:
            ends.append((ends[-1] + 1 if ends else 0) + len(token))
        for claim in self._claims(text, 0, len(text)):
            if claim.finding != NO_FINDING:
                numbers = {
                    number
                    for span in claim.mention
                    for number, end in enumerate(ends)
                    if span.start < end and span.end > end - len(tokens[number])
                }
                yield claim.finding, claim.state, tuple(sorted(numbers))

    def _claims(self, report: str, start: int, end: int) -> Iterator[Claim]:
        sentence = report[start:end]
        words, places = self._words.of(sentence), self._words.spans(sentence)
        for first in range(0, len(words), LONGEST_SENTENCE):
            spans = [Span(start + opens, start + closes) for opens, closes in places[first : first + LONGEST_SENTENCE]]
            for mention, state, cue in self._judge_piece(words[first : first + LONGEST_SENTENCE]):
                yield Claim(
                    finding=mention.meaning.finding,
                    state=state,
                    mention=_spans(mention, spans, report),
                    cue=_spans(cue, spans, report),
                )

    def _judge(self, words: list[str]) -> Iterator[tuple[PhraseMatch, State, PhraseMatch | None]]:
        for start in range(0, len(words), LONGEST_SENTENCE):
            yield from self._judge_piece(words[start : start + LONGEST_SENTENCE])

    def _judge_piece(self, words: list[str]) -> Iterator[tuple[PhraseMatch, State, PhraseMatch | None]]:
        if self._opening.isdisjoint(words) or self._closing.isdisjoint(words):
            return
        words = [*words, END]
        clauses = Clauses(words, self._book.find(words))
        for mention in clauses.mentions:
            yield mention, *clauses.judge(mention)


def _takes(longer: Meaning, shorter: Meaning) -> bool:
    """Tell whether a phrase takes its words away from a shorter one: "may be due to" from "due to"."""
    if longer.kind in ("stop", "list stop", "answer") or shorter.kind == "answer":
        return False
    if longer.kind == "neutral" and shorter.kind == "cue":
        return False  # unless its words name a finding, of which the clause as a whole knows
    doubt_in_front = shorter.kind == "cue" and shorter.before and shorter.state is State.UNCERTAIN
    return not (doubt_in_front and longer.kind == "cue" and not longer.before)


def _stronger(first: State, second: State) -> State:
    return next((state for state in _STRENGTH if state in (first, second)), State.NOT_MENTIONED)


def _said(spans: Iterable[Span], report: str) -> str:
    return " ".join(" ".join(span.of(report) for span in spans).split())


def _spans(match: PhraseMatch | None, places: Sequence[Span], report: str) -> tuple[Span, ...]:
    """Return where the words of a match stand; words with only white space between them are one span."""
    found: list[Span] = []
    for index, place in enumerate(places):
        if match is None or not match.taken >> index & 1:
            continue
        if found and (place == found[-1] or not report[found[-1].end : place.start].strip(" \t\r\n-")):
            found[-1] = Span(found[-1].start, max(place.end, found[-1].end))
        else:
            found.append(place)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Rules:
    book: PhraseBook[Meaning]
    spelling: Spelling
    opening: frozenset[str]
    """Words that mentions begin with; a sentence without any of them names nothing."""
    closing: frozenset[str]
    """Words that mentions end with."""


@cache
def _rules(conventions: Conventions) -> _Rules:
    """Return the phrases of rules.toml as some conventions read them; nobody changes them after."""
    rules = _read("rules.toml")
    book: PhraseBook[Meaning] = PhraseBook(
        rules["words"],
        rules["barriers"],
        rules["fillers"],
        takes=_takes,
    )

    def enter(phrases: Iterable[str], meaning: Meaning) -> None:
        for phrase in phrases:
            book.add(phrase, meaning)

    for finding in ABNORMALITIES:
        phrases = rules["findings"][finding]
        enter(phrases["mentions"], Meaning("mention", finding))
        enter(phrases["normal"], Meaning("mention", finding, State.NEGATIVE))
    enter(rules["other_abnormalities"]["mentions"], Meaning("mention", NO_FINDING))
    for group in rules["conventions"]:
        state = _READINGS[getattr(conventions, group["setting"])]
        meaning = Meaning("ignored") if state is None else Meaning("mention", group["finding"], state)
        enter(group["mentions"], meaning)
    opening, closing = frozenset(book.first_words), frozenset(book.last_words)
    for key, state in _CUES.items():
        if getattr(conventions, key, "uncertain") == "uncertain":
            _enter_cues(enter, rules["cues"][key], state, alternative=key == "alternatives")
    for key, state in _ANSWERS.items():
        enter(rules["answers"][key], Meaning("answer", state=state))
    enter(rules["cues"]["stops"], Meaning("stop"))
    enter(rules["cues"]["list_stops"], Meaning("list stop"))
    enter(rules["cues"]["neutral"], Meaning("neutral"))
    enter(rules["ignored"]["phrases"], Meaning("ignored"))
    spelling = _read("spelling.toml")
    return _Rules(
        book=book,
        spelling=Spelling(
            book.vocabulary, spelling["short"], spelling["mended"], FOREIGN | ENGLISH | frozenset(spelling["right"])
        ),
        opening=opening,
        closing=closing,
    )


def _enter_cues(
    enter: Callable[[Iterable[str], Meaning], None], cues: Mapping[str, Sequence[str]], state: State, *, alternative: bool
) -> None:
    for key, phrases in cues.items():
        nearest, side = key.startswith("nearest_"), key.removeprefix("nearest_")
        enter(phrases, Meaning("cue", state=state, before=side == "before", nearest=nearest, alternative=alternative))


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads(resources.files(__package__).joinpath(name).read_text(encoding="utf-8"))
