"""How far denial and doubt reach: what the words around the name of a finding make of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from xpronet.labels.findings import State
from xpronet.labels.phrases import Match

Kind = Literal["mention", "cue", "stop", "list stop", "neutral", "ignored", "answer"]


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a phrase of the rules is for."""

    kind: Kind
    """A mention names a finding; a cue changes it; a stop ends a cue's reach; the others take words away from these."""
    finding: str = ""
    """Which finding a mention names."""
    state: State = State.POSITIVE
    """What a mention says by itself, or what a cue or an answer makes of it."""
    before: bool = True
    """Whether a cue stands before what it changes."""
    nearest: bool = False
    """Whether a cue changes the nearest mention only."""
    alternative: bool = False
    """Whether a cue leaves the choice between the findings on its sides."""


PhraseMatch = Match[Meaning]

PRECEDENCE = (State.NEGATIVE, State.NOT_MENTIONED, State.UNCERTAIN)
"""Of several cues that reach a mention, the one with the first of these counts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClauseWords:
    """Words by which one clause is told from the next."""

    verbs: frozenset[str]
    """What makes a clause of the words behind a comma or an "and"."""
    standing: frozenset[str]
    """What a statement without a verb ends with: "no pneumothorax, pacemaker in place"."""
    seen: frozenset[str]
    """What a list that began with a denial may end with: "no effusion, pneumothorax is seen"."""
    introducing: frozenset[str]
    """What opens an introduction that a comma ends: "without effusion, the lungs ..."."""


_SEPARATORS = frozenset({":", "–", "?", "("})
_LABEL_END = frozenset({".", ",", ";", ")", ":"})
_LIST = frozenset({"or", "nor", "/"})
_LINKS = frozenset({",", "and"})
_LISTING = frozenset({"differential", "include", "includes", "including"})
_REMOVAL = frozenset({"removal", "withdrawal"})


class Clauses:
    """One sentence: its words, and the phrases found in it, with where the reach of cues ends."""

    def __init__(self, words: Sequence[str], matches: Sequence[PhraseMatch], known: ClauseWords) -> None:
        """Sort the matches by kind."""
        self._known = known
        self._words = words
        self.mentions = [match for match in matches if match.meaning.kind == "mention"]
        self._neutral = [match for match in matches if match.meaning.kind == "neutral" and not self._names(match)]
        self._cues = [match for match in matches if match.meaning.kind == "cue" and not self._disarmed(match)]
        self._answers = [match for match in matches if match.meaning.kind == "answer"]
        self._hard = [match for match in matches if match.meaning.kind == "stop"]
        self._soft = [match for match in matches if match.meaning.kind == "list stop"]

    def _names(self, neutral: PhraseMatch) -> bool:
        """Tell whether a neutral phrase shares words with a mention: in "no enlargement of the heart" it does."""
        return any(neutral.taken & mention.taken for mention in self.mentions)

    def _disarmed(self, cue: PhraseMatch) -> bool:
        """Tell whether a neutral phrase takes a cue's words away: "no" in "no change in"."""
        return any(neutral.taken & cue.taken == cue.taken for neutral in self._neutral)

    def judge(self, mention: PhraseMatch) -> tuple[State, PhraseMatch | None]:
        """Return what the sentence says of a mention, and the cue that says so."""
        if mention.meaning.state is State.NEGATIVE:
            return State.NEGATIVE, None
        answer = self._answer(mention)
        if answer is not None:
            return answer.meaning.state, answer
        if not self._cues:
            return mention.meaning.state, None
        reaching = [cue for cue in self._cues if self._reaches(cue, mention)]
        for state in PRECEDENCE:
            for cue in reaching:
                if cue.meaning.state is state:
                    return state, cue
        return mention.meaning.state, None

    def _reaches(self, cue: PhraseMatch, mention: PhraseMatch) -> bool:
        if cue.taken & mention.taken:
            return False
        if cue.meaning.before:
            if cue.first >= mention.last:
                return False
            between = range(cue.last + 1, max(mention.first, cue.last + 1))
            nearer = [other for other in self.mentions if cue.last < other.first and other.last < mention.first - 1]
        else:
            if cue.first <= mention.last:
                return False
            between = range(mention.last + 1, cue.first)
            apart = 0 if cue.meaning.alternative else 1
            nearer = [other for other in self.mentions if mention.last + apart < other.first and other.last < cue.first]
        if nearer and cue.meaning.nearest:
            return False
        if cue.meaning.alternative and not self._alternatives(cue, mention):
            return False
        if not cue.meaning.before and self._doubt_begins(between):
            return False
        listing = self._opens_list(cue, mention)
        hard = [stop for stop in self._hard if stop.first in between or stop.last in between]
        if any(not (listing and self._words[stop.first] in _LINKS) for stop in hard):
            return False
        if cue.meaning.before:
            return listing or not self._another_statement(between, cue)
        return not (nearer and self._has_verb(between.start, nearer[0].first))

    def _opens_list(self, cue: PhraseMatch, mention: PhraseMatch) -> bool:
        """Tell whether a cue reaches through the "and"s of a list: of possible causes, of devices removed."""
        ends = {self._words[cue.first], self._words[cue.last]}
        return not _LISTING.isdisjoint(ends) or (
            mention.meaning.finding == "Support Devices" and not _REMOVAL.isdisjoint(ends)
        )

    def _doubt_begins(self, between: range) -> bool:
        """Tell whether doubt of what follows begins between a mention and a cue behind it."""
        return any(
            cue.meaning.before
            and cue.meaning.state is State.UNCERTAIN
            and not cue.meaning.alternative
            and cue.first in between
            for cue in self._cues
        )

    def _another_statement(self, between: range, cue: PhraseMatch) -> bool:
        """Tell whether a new statement begins between a cue and a mention behind it."""
        if not between:
            return False
        for stop in self._soft:
            if stop.first in between and not self._closed_by_or(stop.last):
                return True
        if any(index in between for index in self._clause_starts):
            return True
        introduces = cue.first <= 3 and (
            self._words[0] in self._known.introducing
            or self._words[:2] == ["no", "longer"]
            or "absence" in self._words[:4]
        )
        if introduces:
            comma = next((index for index in between if self._words[index] == ","), None)
            return comma is not None and not self._closed_by_or(comma)
        return False

    def _closed_by_or(self, index: int) -> bool:
        """Tell whether a list goes on behind an index to an "or" in the same clause."""
        for place in range(index + 1, len(self._words)):
            if self._words[place] in _LIST:
                return True
            if any(stop.first == place for stop in self._hard) or self._words[place] in self._known.verbs:
                return False
        return False

    @cached_property
    def _clause_starts(self) -> frozenset[int]:
        """Indices of commas and "and"s behind which a clause with its own verb begins."""
        words = self._words
        found = set()
        for index, word in enumerate(words):
            if word not in (",", "and"):
                continue
            for place in range(index + 1, len(words)):
                if words[place] in (",", "and", "or", "nor", ";", ":", "."):
                    break
                if words[place] in self._known.standing and word == "," and words[place + 1] in _LABEL_END:
                    found.add(index)
                    break
                if words[place] in self._known.verbs:
                    passive = words[place + 1 : place + 2]
                    last = words[place + 2 : place + 3] == ["."] and passive[0] in self._known.seen
                    if place > index + 1 and not last:
                        found.add(index)
                    break
        return frozenset(found)

    def _has_verb(self, start: int, end: int) -> bool:
        return any(word in self._known.verbs for word in self._words[start:end])

    def _alternatives(self, cue: PhraseMatch, mention: PhraseMatch) -> bool:
        """Tell whether a word such as "or" leaves the choice between a mention and what stands on its other side."""
        if any(match.first < cue.first and self._same_clause(match.last, cue.first) for match in self._neutral):
            return False
        others = (
            [other for other in self.mentions if other.last < cue.first]
            if cue.meaning.before
            else [other for other in self.mentions if other.first > cue.last]
        )
        other = (others[-1] if cue.meaning.before else others[0]) if others else None
        return other is None or other.meaning.finding != mention.meaning.finding

    def _same_clause(self, start: int, end: int) -> bool:
        return not any(start < stop.first < end for stop in self._hard)

    def _answer(self, mention: PhraseMatch) -> PhraseMatch | None:
        """Return the answer to a finding's name where one stands behind it, as templates have it."""
        words = self._words
        if not self._answers:
            return None
        place = mention.last + 1
        separator = next(
            (index for index in range(place, min(place + 7, len(words))) if words[index] in _SEPARATORS), None
        )
        if separator is None or any(word in self._known.verbs for word in words[place:separator]):
            return None
        if any(
            other.first >= place and "," in words[place : other.first]
            for other in self.mentions
            if other.first < separator
        ):
            return None
        if any(stop.first in range(place, separator) for stop in self._hard):
            return None
        answers = [match for match in self._answers if match.first == separator + 1]
        if words[separator] == "–":  # "effusion - none", but "cardiomegaly - no effusion" is two statements
            answers = [match for match in answers if not self._named_behind(match.last)]
        denied = any(match.first == separator + 1 for match in self._neutral)
        return None if denied else max(answers, key=lambda match: match.last, default=None)

    def _named_behind(self, place: int) -> bool:
        """Tell whether another finding is named behind a place, before the next comma or stop."""
        after = min((mention.first for mention in self.mentions if mention.first > place), default=len(self._words))
        return after < len(self._words) and _LABEL_END.isdisjoint(self._words[place + 1 : after])
