"""Read the fourteen findings from a report by rules: mentions, then negation and uncertainty with their reach.

The language lies in rules.toml; here is only what is done with it. Every label comes with the words that led to it.
"""

import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from xpronet.labels.findings import ABNORMALITIES, FINDINGS, NO_FINDING, State
from xpronet.labels.phrases import Match, PhraseBook
from xpronet.labels.sentences import sentences, words

LONGEST_SENTENCE = 120
"""Words; a text without full stops is read in pieces, so that the time it takes stays in proportion to its length."""

_STRENGTH = (State.POSITIVE, State.UNCERTAIN, State.NEGATIVE)
"""Where a report says several things of one finding, the first of these counts."""

_CUES = {"negation": State.NEGATIVE, "aside": State.NOT_MENTIONED, "uncertainty": State.UNCERTAIN}
"""What each kind of cue makes of a mention, the one that prevails first."""

_NEAREST_ONLY = frozenset({"has", "is", "was", "resolved", "removed", "cleared", "absent", "or", "versus", "vs"})
"""First words of cues that speak of one thing: the nearest."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why a finding got its state."""

    finding: str
    """One of the thirteen abnormalities."""
    state: State
    """What this mention says."""
    sentence: str
    """The sentence, as written."""
    mention: str
    """The words that name the finding."""
    cue: str
    """The words that deny it or doubt it; empty where nothing does."""


@dataclass(frozen=True, slots=True)
class _Meaning:
    kind: str
    """mention, stop, neutral, ignored, or the state that a cue gives."""
    finding: str = ""
    state: State = State.POSITIVE
    before: bool = True
    """Whether a cue stands before what it changes."""


class RuleLabeler:
    """Reads findings from reports by the phrases and cues of rules.toml; one instance reads any number."""

    name = "rules"

    def __init__(self) -> None:
        """Read the phrases, which takes a tenth of a second the first time."""
        self._book = _phrase_book()

    def label(self, report: str) -> dict[str, State]:
        """Return the state of all fourteen findings, in the order of `FINDINGS`.

        No Finding is positive where no other finding but Support Devices is positive or uncertain, else not mentioned.
        """
        states = dict.fromkeys(FINDINGS, State.NOT_MENTIONED)
        for sentence in sentences(report):
            for evidence in self._read(sentence):
                states[evidence.finding] = _stronger(states[evidence.finding], evidence.state)
        something = any(
            states[finding] in (State.POSITIVE, State.UNCERTAIN)
            for finding in ABNORMALITIES
            if finding != "Support Devices"
        )
        if not something:
            states[NO_FINDING] = State.POSITIVE
        return states

    def label_many(self, texts: Iterable[tuple[str, str]]) -> Iterator[tuple[str, dict[str, State]]]:
        """Yield the id and labels of each id and report, in order; one is held at a time."""
        for study_id, report in texts:
            yield study_id, self.label(report)

    def explain(self, report: str) -> list[Evidence]:
        """Return every mention of a finding with its state and cue, in reading order."""
        return [evidence for sentence in sentences(report) for evidence in self._read(sentence)]

    def _read(self, sentence: str) -> Iterator[Evidence]:
        spoken = words(sentence)
        for start in range(0, len(spoken), LONGEST_SENTENCE):
            yield from self._heard(spoken[start : start + LONGEST_SENTENCE], sentence)

    def locate(self, tokens: Sequence[str]) -> Iterator[tuple[str, State, tuple[int, ...]]]:
        """Yield each mention in a sentence that is given as tokens: finding, state, and the tokens that name it.

        Args:
            tokens: of one sentence, such as a vocabulary has them; one token may hold several words, or none.
        """
        pairs = [(word, number) for number, token in enumerate(tokens) for word in words(token)][:LONGEST_SENTENCE]
        spoken = [word for word, _ in pairs]
        for mention, state, _ in self._judge(spoken):
            named = {pairs[index][1] for index in range(len(spoken)) if mention.taken >> index & 1}
            yield mention.meaning.finding, state, tuple(sorted(named))

    def _heard(self, spoken: Sequence[str], sentence: str) -> Iterator[Evidence]:
        for mention, state, cue in self._judge(spoken):
            yield Evidence(mention.meaning.finding, state, sentence, _said(mention, spoken), _said(cue, spoken))

    def _judge(self, spoken: Sequence[str]) -> Iterator[tuple["_Match", State, "_Match | None"]]:
        matches = self._book.find(spoken)
        mentions = [match for match in matches if match.meaning.kind == "mention"]
        if not mentions:
            return
        cues = [match for match in matches if match.meaning.kind == "cue"]
        stops = [match for match in matches if match.meaning.kind == "stop"]
        for mention in mentions:
            state, cue = _judged(mention, mentions, cues, stops, spoken)
            yield mention, state, cue


_Match = Match[_Meaning]


def _judged(
    mention: _Match, mentions: Sequence[_Match], cues: Sequence[_Match], stops: Sequence[_Match], spoken: Sequence[str]
) -> tuple[State, _Match | None]:
    """Return what the sentence says of a mention, and the cue that says so."""
    if mention.meaning.state is State.NEGATIVE:
        return State.NEGATIVE, None
    reaching = [cue for cue in cues if _reaches(cue, mention, mentions, stops, spoken)]
    for state in _CUES.values():
        for cue in reaching:
            if cue.meaning.state is state:
                return state, cue
    return mention.meaning.state, None


def _reaches(
    cue: _Match, mention: _Match, mentions: Sequence[_Match], stops: Sequence[_Match], spoken: Sequence[str]
) -> bool:
    """Tell whether a cue's reach comes as far as a mention: no stop between, and no nearer mention for a short cue."""
    if cue.meaning.before:
        if cue.first >= mention.last or cue.taken & mention.taken:
            return False
        between = range(cue.last + 1, max(mention.first, cue.last + 1))
        nearer = any(cue.last < other.first and other.last < mention.first for other in mentions)
    else:
        if cue.first <= mention.last:
            return False
        between = range(mention.last + 1, cue.first)
        nearer = any(mention.last < other.first and other.last < cue.first for other in mentions)
    if nearer and spoken[cue.first] in _NEAREST_ONLY:
        return False
    return not any(stop.first in between or stop.last in between for stop in stops)


def _stronger(first: State, second: State) -> State:
    return next((state for state in _STRENGTH if state in (first, second)), State.NOT_MENTIONED)


def _said(match: _Match | None, spoken: Sequence[str]) -> str:
    if match is None:
        return ""
    return " ".join(word for index, word in enumerate(spoken) if match.taken >> index & 1)


@cache
def _phrase_book() -> PhraseBook[_Meaning]:
    """Return the phrases of rules.toml; nobody changes them after."""
    rules = tomllib.loads(resources.files(__package__).joinpath("rules.toml").read_text(encoding="utf-8"))
    book: PhraseBook[_Meaning] = PhraseBook(rules["words"], rules["barriers"])

    def enter(phrases: Iterable[str], meaning: _Meaning) -> None:
        for phrase in phrases:
            book.add(phrase, meaning)

    for key, state in _CUES.items():
        enter(rules["cues"][key]["before"], _Meaning("cue", state=state))
        enter(rules["cues"][key]["after"], _Meaning("cue", state=state, before=False))
    enter(rules["cues"]["stops"], _Meaning("stop"))
    enter(rules["cues"]["neutral"], _Meaning("neutral"))
    enter(rules["ignored"]["phrases"], _Meaning("ignored"))
    for finding in ABNORMALITIES:
        phrases = rules["findings"][finding]
        enter(phrases["mentions"], _Meaning("mention", finding))
        enter(phrases["normal"], _Meaning("mention", finding, State.NEGATIVE))
        enter(phrases["possible"], _Meaning("mention", finding, State.UNCERTAIN))
    return book
