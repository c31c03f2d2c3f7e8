"""The phrases and words of the rules' files, made ready to be looked up."""

import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from xpronet.labels.conventions import Conventions, Reading
from xpronet.labels.findings import ABNORMALITIES, NO_FINDING, State
from xpronet.labels.language_check import ENGLISH, FOREIGN
from xpronet.labels.phrases import PhraseBook
from xpronet.labels.scope import ClauseWords, Meaning
from xpronet.labels.spelling import Spelling

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
class Rulebook:
    """All that is known of the language."""

    book: PhraseBook[Meaning]
    """Mentions, cues and all other phrases."""
    clauses: ClauseWords
    """Words that tell clauses apart."""
    spelling: Spelling
    """Mends other spellings."""
    opening: frozenset[str]
    """Words that mentions begin with; a sentence without any of them names nothing."""
    closing: frozenset[str]
    """Words that mentions end with."""


@cache
def read_rulebook(conventions: Conventions) -> Rulebook:
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
    return Rulebook(
        book=book,
        clauses=ClauseWords(**{name: frozenset(words) for name, words in rules["clauses"].items()}),
        spelling=Spelling(
            book.vocabulary, spelling["short"], spelling["mended"], FOREIGN | ENGLISH | frozenset(spelling["right"])
        ),
        opening=opening,
        closing=closing,
    )


def _enter_cues(
    enter: Callable[[Iterable[str], Meaning], None],
    cues: Mapping[str, Sequence[str]],
    state: State,
    *,
    alternative: bool,
) -> None:
    for key, phrases in cues.items():
        nearest, side = key.startswith("nearest_"), key.removeprefix("nearest_")
        enter(phrases, Meaning("cue", state=state, before=side == "before", nearest=nearest, alternative=alternative))


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads(resources.files(__package__).joinpath(name).read_text(encoding="utf-8"))


def _takes(longer: Meaning, shorter: Meaning) -> bool:
    """Tell whether a phrase takes its words away from a shorter one: "may be due to" from "due to"."""
    if longer.kind in ("stop", "list stop", "answer") or shorter.kind == "answer":
        return False
    if longer.kind == "neutral" and shorter.kind == "cue":
        return False  # unless its words name a finding, of which the clause as a whole knows
    doubt_in_front = shorter.kind == "cue" and shorter.before and shorter.state is State.UNCERTAIN
    return not (doubt_in_front and longer.kind == "cue" and not longer.before)
