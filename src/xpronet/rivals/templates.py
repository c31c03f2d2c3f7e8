"""Templates: the normal sentences that many train reports have, grouped by meaning without hands.

Two sentences mean the same where they deny the same findings and name the same anatomy. A template is the commonest
sentence of a meaning that a share of the train reports has.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, NamedTuple

from xpronet.errors import InputError
from xpronet.labels.findings import State
from xpronet.labels.rules import RuleLabeler
from xpronet.model.report_model import TrainStudies
from xpronet.rivals.sentences import sentences_of
from xpronet.text.vocabulary import Phrase

SHARE = 0.024
"""Of the train reports, 50 of IU X-Ray's 2,069: 27 templates there; HRGR's own were 28, made by hand."""
SENTENCES_KEPT = 50_000
"""Whose reading is kept: reports repeat each other's, and each epoch reads all of them again."""

_ANATOMY = {
    "lung": "lung lungs pulmonary lobe lobes",
    "airspace": "airspace interstitial interstitium parenchyma",
    "base": "base bases basilar bibasilar",
    "apex": "apex apices apical",
    "heart": "heart cardiac cardiomediastinal",
    "mediastinum": "mediastinum mediastinal cardiomediastinal",
    "silhouette": "silhouette contour contours",
    "hilum": "hilum hila hilar",
    "vessel": "vascular vasculature vascularity vessels",
    "aorta": "aorta aortic",
    "trachea": "trachea tracheal airway airways",
    "pleura": "pleura pleural",
    "angle": "costophrenic sulcus sulci",
    "diaphragm": "diaphragm hemidiaphragm hemidiaphragms subdiaphragmatic",
    "rib": "rib ribs",
    "spine": "spine spinal vertebra vertebral vertebrae",
    "bone": "bone bones bony osseous skeletal skeleton",
    "soft tissue": "tissue tissues",
    "thorax": "thorax thoracic chest",
    "abdomen": "abdomen abdominal bowel",
}
_ANATOMY_OF = {
    word: tuple(name for name, words in _ANATOMY.items() if word in words.split())
    for word in {word for words in _ANATOMY.values() for word in words.split()}
}
_NORMAL = frozenset({"normal", "unremarkable", "intact", "clear"})
_WITHIN_LIMITS = "within normal limits"

Meaning = tuple[tuple[str, ...], tuple[str, ...]]
"""The findings that a sentence denies and the anatomy that it names, each sorted."""


def check_share(share: float) -> None:
    """See that `model.options.template_share` is a share.

    Raises:
        InputError: it is not above 0 and at most 1.
    """
    if not 0 < share <= 1:
        raise InputError(f"model.options.template_share = {share}: must be a share, above 0 and at most 1")


class Template(NamedTuple):
    """A normal sentence that stands for all of its meaning."""

    text: str
    """The sentence, with its full stop."""
    meaning: Meaning
    """What it says."""
    reports: int
    """Train reports with a sentence of this meaning."""


def is_abnormal(sentence: str) -> bool:
    """Return whether a sentence says of a finding that it is, or may be, there, or names another abnormality."""
    return any(state in (State.POSITIVE, State.UNCERTAIN) for _, state in _said(sentence))


def meaning_of(sentence: str) -> Meaning | None:
    """Return what a normal sentence says; None of one that is not normal, or says nothing of the kind."""
    if is_abnormal(sentence):
        return None
    denied = sorted({finding for finding, state in _said(sentence) if state is State.NEGATIVE})
    words = sentence.lower().split()
    if not denied and _NORMAL.isdisjoint(words) and _WITHIN_LIMITS not in sentence.lower():
        return None
    return tuple(denied), tuple(sorted({name for word in words for name in _ANATOMY_OF.get(word, ())}))


@cache
def _labeler() -> RuleLabeler:
    return RuleLabeler()


@lru_cache(maxsize=SENTENCES_KEPT)
def _said(sentence: str) -> tuple[tuple[str, State], ...]:
    return tuple((claim.finding, claim.state) for each in _labeler().claims(sentence) for claim in each.claims)


@dataclass(frozen=True)
class Templates:
    """The templates of a train split, the commonest first."""

    templates: tuple[Template, ...]
    """Of them all."""
    covered: float
    """Share of all sentences of the train reports that have the meaning of one."""

    def phrases(self) -> list[Phrase]:
        """Return the templates as words of a vocabulary that stand for whole sentences."""
        return [Phrase(f"<template {number}>", each.text) for number, each in enumerate(self.templates, 1)]

    def record(self) -> list[dict[str, Any]]:
        """Return the templates as JSON values."""
        return [
            {"text": each.text, "reports": each.reports, "denies": [*each.meaning[0]], "names": [*each.meaning[1]]}
            for each in self.templates
        ]

    def summary(self, num_reports: int) -> list[str]:
        """Return the templates in a few lines."""
        lines = [f"Templates: {len(self.templates)}, for {self.covered:.0%} of the sentences of the train reports"]
        return lines + [f"  {each.reports / num_reports:6.1%}  {each.text}" for each in self.templates]


class TemplateChoice:
    """Says which template has the meaning of a sentence."""

    def __init__(self, templates: Sequence[Template], *, first: int = 0, otherwise: int | None = None) -> None:
        """Choose among templates that are phrases from number `first` on; `otherwise` where none fits."""
        self._numbers = {each.meaning: number for number, each in enumerate(templates, first)}
        self._otherwise = otherwise

    def __call__(self, sentence: str) -> int | None:
        """Return the number of the template among the phrases."""
        meaning = meaning_of(sentence)
        return self._otherwise if meaning is None else self._numbers.get(meaning, self._otherwise)


def derive_templates(studies: TrainStudies, *, share: float, name: str) -> Templates:
    """Group the normal sentences of the train reports by meaning, and keep those of a share of the reports.

    Args:
        studies: the train split.
        share: of the train reports that must have a sentence of a template's meaning.
        name: of the model, for messages.

    Raises:
        InputError: no meaning reaches the share.
    """
    vocabulary = studies.vocabulary
    sentences: dict[Meaning, Counter[str]] = defaultdict(Counter)
    reports: Counter[Meaning] = Counter()
    num_sentences = 0
    for report in studies.reports:
        own = set()
        for words in sentences_of(vocabulary.clean(report)):
            num_sentences += 1
            text = " ".join(words)
            meaning = meaning_of(text)
            if meaning is not None:
                sentences[meaning][text] += 1
                own.add(meaning)
        reports.update(own)
    known = set(vocabulary.words)
    templates = []
    for meaning, count in reports.items():
        writable = [text for text in sentences[meaning] if known.issuperset(text.split())]
        if count >= share * len(studies.reports) and writable:
            best = min(writable, key=lambda text: (-sentences[meaning][text], text))
            templates.append(Template(best, meaning, count))
    if not templates:
        most = max(reports.values(), default=0) / max(1, len(studies.reports))
        raise InputError(
            f"model.options.template_share = {share}: no normal sentence is in so many of the train reports; the "
            f"commonest is in {most:.1%}, so lower it, or choose another model than {name}"
        )
    templates.sort(key=lambda each: (-each.reports, each.text))
    covered = sum(sum(sentences[each.meaning].values()) for each in templates) / num_sentences
    return Templates(tuple(templates), covered)
