"""Read the fourteen findings from a report by rules: mentions, then denial and doubt with their reach.

The language lies in rules.toml; here is only what is done with it. Every label comes with the words that led to it.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from xpronet.labels.claims import Claim, SentenceClaims, Span, TokenClaim
from xpronet.labels.conventions import CHEXPERT, Conventions
from xpronet.labels.findings import FINDINGS, NO_FINDING, State
from xpronet.labels.language_check import has_foreign_words, seems_english
from xpronet.labels.rulebook import read_rulebook
from xpronet.labels.scope import Clauses, PhraseMatch
from xpronet.labels.sentences import sentence_spans
from xpronet.labels.word_forms import END, Words

LONGEST_SENTENCE = 120
"""Words; a text without full stops is read in pieces, so that the time it takes stays in proportion to its length."""

MOST_SENTENCES = 20_000
"""Sentences whose reading is kept, since reports repeat each other's; about 10 MB."""

LONGEST_KEPT = 500
"""Letters of a sentence whose reading is kept; longer ones hardly ever come again."""

_SOMETHING = (State.POSITIVE, State.UNCERTAIN)

_Heard = tuple[bool, tuple[tuple[str, State], ...]]
"""Of a sentence: whether it has foreign words; findings and states."""

_STRENGTH = (State.POSITIVE, State.UNCERTAIN, State.NEGATIVE)
"""Where a report says several things of one finding, the first of these counts."""


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
        rules = read_rulebook(conventions)
        self._book, self._clauses = rules.book, rules.clauses
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
            if len(sentence) <= LONGEST_KEPT:
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

    def token_claims(self, tokens: Sequence[str]) -> Iterator[TokenClaim]:
        """Yield each claim of a text that is given as tokens, with the tokens that make it, in reading order.

        Args:
            tokens: such as a vocabulary has them, full stops among them; one token may hold several words, or none.
        """
        text = " ".join(tokens)
        starts = [0]
        for token in tokens:
            starts.append(starts[-1] + len(token) + 1)
        for sentence in self.claims(text):
            for claim in sentence.claims:
                mention, cue = _numbers(claim.mention, starts), _numbers(claim.cue, starts)
                yield TokenClaim(finding=claim.finding, state=claim.state, mention=mention, cue=cue)

    def locate(self, tokens: Sequence[str]) -> Iterator[tuple[str, State, tuple[int, ...]]]:
        """Yield each mention of an abnormality in tokens: finding, state, and the tokens that name it."""
        for claim in self.token_claims(tokens):
            if claim.finding != NO_FINDING:
                yield claim.finding, claim.state, claim.mention

    def _claims(self, report: str, start: int, end: int) -> Iterator[Claim]:
        sentence = report[start:end]
        words, places = self._words.of(sentence), self._words.spans(sentence)
        for first in range(0, len(words), LONGEST_SENTENCE):
            spans = [
                _trimmed(report, start + opens, start + closes)
                for opens, closes in places[first : first + LONGEST_SENTENCE]
            ]
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
        matches = self._book.find(words)
        if not any(match.meaning.kind == "mention" for match in matches):
            return
        clauses = Clauses(words, matches, self._clauses)
        for mention in clauses.mentions:
            yield mention, *clauses.judge(mention)


def _stronger(first: State, second: State) -> State:
    return next((state for state in _STRENGTH if state in (first, second)), State.NOT_MENTIONED)


def _said(spans: Iterable[Span], report: str) -> str:
    return " ".join(" ".join(span.of(report) for span in spans).split())


def _trimmed(report: str, start: int, end: int) -> Span:
    """Return a stretch without white space at its ends: a question mark is read with what stands before it."""
    text = report[start:end]
    return Span(end - len(text.lstrip()), start + len(text.rstrip()))


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


def _numbers(spans: Iterable[Span], starts: Sequence[int]) -> tuple[int, ...]:
    """Return the numbers of the tokens that spans of their joined text lie in; `starts`: where each token begins."""
    found = {
        number
        for span in spans
        for number in range(bisect_right(starts, span.start) - 1, bisect_left(starts, span.end))
    }
    return tuple(sorted(found))


@cache
def _labeler(conventions: Conventions) -> RuleLabeler:
    return RuleLabeler(conventions)


def find_claims(report: str, conventions: Conventions = CHEXPERT) -> tuple[SentenceClaims, ...]:
    """Return what each sentence of a report claims of which finding, and where in the text the words for it stand.

    The one place that locates words: what explains, underlines or grounds a label uses this.

    Args:
        report: as somebody or a model wrote it.
        conventions: whose labels to follow where authors differ.
    """
    return _labeler(conventions).claims(report)
