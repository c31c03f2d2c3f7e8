"""What a generated report is worth, compared with the reference report of its study, both as text alone."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from xpronet.errors import InputError
from xpronet.labels.findings import ABNORMALITIES, State
from xpronet.labels.places import PlaceReader, Stated, misplaced
from xpronet.labels.rules import RuleLabeler
from xpronet.text.bleu import sentence_bleu
from xpronet.text.cider import CiderD, TfIdf

WEIGHTS = ("cider", "bleu", "misses", "false_alarms", "denials", "places")
"""The settings that weigh the parts of the reward, in their order."""

_PRESENT = (State.POSITIVE, State.UNCERTAIN)
_END = "</s>"
"""Stands for the end of a report among its words; no cleaning rule leaves such a word."""


@dataclass(frozen=True, kw_only=True)
class RewardSettings:
    """Self-critical training, a second stage that maximises the expected reward of sampled reports (Rennie, 2017)."""

    samples: int = 0
    """Reports sampled of each study in a step; 0: the recipe is of a first stage, without reward."""
    cider: float = 1.0
    """Weight of CIDEr-D (0 to 10) with document frequencies of the train reports."""
    bleu: float = 0.0
    """Weight of BLEU-4 of the single report, smoothed (0 to 1)."""
    misses: float = 1.0
    """Cost of each of the 13 abnormalities that the rule labeler reads as present from the reference only."""
    false_alarms: float = 0.5
    """Cost of each that it reads as present from the sample only. A finding is worth stating for a model that is sure
    of it by more than false_alarms / (misses + false_alarms); F1 is highest where that is half of it, or less."""
    denials: float = 0.5
    """Further cost of each that is missed and that the sample even denies."""
    places: float = 0.0
    """Cost of each that both state, where sides and zones differ wholly; in part where they differ in part."""
    count_end: bool = True
    """Let EOS be a word in CIDEr-D, so that a complete last sentence is rewarded; scorecards do not count it."""
    baseline: Literal["mean", "greedy"] = "mean"
    """What a sample's reward is compared with: the mean of the study's other samples, or the greedy report's reward."""
    temperature: float = 1.0
    """Of the softmax that words are sampled from."""
    top_k: int = 0
    """Sample from so many likeliest words only; 0: from all."""
    labels: Literal["predicted", "reference"] = "predicted"
    """The findings that samples are told, as in generation: those of the model's findings head, or the train labels."""
    anchor: Literal["cross-entropy", "kl", "none"] = "cross-entropy"
    """What keeps the model near its first stage: the first stage's loss on reference reports, or the divergence
    KL(model || first stage) of the next word along the samples."""
    anchor_weight: float = 0.1
    """Weight of the anchor; both it and the reward's term are means over words."""

    def __post_init__(self) -> None:
        for name in ("samples", "top_k", "anchor_weight", *WEIGHTS):
            if getattr(self, name) < 0:
                raise InputError(f"reward.{name} = {getattr(self, name)}: must not be negative")
        if self.samples == 1 and self.baseline == "mean":
            raise InputError(
                "reward.samples = 1: the mean of the other samples needs 2; or set reward.baseline = 'greedy'"
            )
        if self.temperature <= 0:
            raise InputError(f"reward.temperature = {self.temperature}: must be above 0")
        if self.samples and not any(getattr(self, name) for name in WEIGHTS):
            raise InputError("reward: every weight is 0, so that nothing is rewarded; set reward.cider, for example")


class RewardParts(NamedTuple):
    """The parts of a report's reward, unweighted. Higher CIDEr-D and BLEU are better, fewer of the others."""

    cider: float
    """CIDEr-D, 0 to 10."""
    bleu: float
    """Smoothed BLEU-4, 0 to 1; 0 where it has no weight."""
    misses: float
    """Of the 13 abnormalities, those that only the reference states."""
    false_alarms: float
    """Those that only the sample states."""
    false_denials: float
    """Those missed that the sample denies."""
    misplaced: float
    """Of those that both state, those said to be elsewhere (`labels.places.misplaced`); 0 where it has no weight."""


PARTS = RewardParts._fields
TOTAL = "reward"
"""What the weighted sum is called beside its parts."""


class _Reference(NamedTuple):
    plain: tuple[str, ...]
    words: TfIdf
    present: frozenset[str]
    places: Stated


class Reward:
    """Compares generated reports with the references of some studies; what it needs of a reference is kept."""

    def __init__(
        self,
        settings: RewardSettings,
        references: Mapping[str, str],
        *,
        cider: CiderD,
        clean: Callable[[str], str],
        labeler: RuleLabeler,
    ) -> None:
        """Keep the references; each is read when it is first needed.

        Args:
            settings: weights of the parts.
            references: reports by the id of their study.
            cider: with the document frequencies of the train reports (`count_documents`).
            clean: returns a text as words between single spaces.
            labeler: reads findings from texts.
        """
        self.settings = settings
        self._references = references
        self._cider = cider
        self._clean = clean
        self._labeler = labeler
        self._places = PlaceReader(labeler)
        self._known: dict[str, _Reference] = {}

    def parts(self, study: str, text: str, *, ended: bool = True) -> RewardParts:
        """Return the parts of the reward of a report about a study.

        Args:
            study: its id.
            text: the report.
            ended: whether it came to its end, or was cut where it got too long.
        """
        reference = self._reference(study)
        words = self._clean(text).split()
        states = self._labeler.label(text)
        present = {name for name in ABNORMALITIES if states[name] in _PRESENT}
        denied = {name for name in reference.present if states[name] is State.NEGATIVE}
        # Reading places takes as long again.
        places = misplaced(self._places.places(text), reference.places) if self.settings.places else 0.0
        return RewardParts(
            cider=self._cider.score(_with_end(words) if ended and self.settings.count_end else words, reference.words),
            bleu=sentence_bleu(words, reference.plain) if self.settings.bleu else 0.0,
            misses=len(reference.present - present),
            false_alarms=len(present - reference.present),
            false_denials=len(denied),
            misplaced=places,
        )

    def total(self, parts: RewardParts) -> float:
        """Return the weighted sum of the parts, which is maximised."""
        cider, bleu, *costs = (getattr(self.settings, name) for name in WEIGHTS)
        gained = cider * parts.cider + bleu * parts.bleu
        return float(gained - sum(cost * count for cost, count in zip(costs, parts[2:], strict=True)))

    def means(self, reports: Iterable[tuple[str, str]]) -> dict[str, float]:
        """Return the mean reward of reports and the mean of each part, for the ids and texts of studies."""
        scored = [self.parts(study, text) for study, text in reports]
        columns = zip(*scored, strict=True)
        means = {name: sum(column) / len(scored) for name, column in zip(PARTS, columns, strict=True)}
        return {TOTAL: sum(map(self.total, scored)) / len(scored)} | means

    def _reference(self, study: str) -> _Reference:
        known = self._known.get(study)
        if known is None:
            text = self._references[study]
            words = self._clean(text).split()
            states = self._labeler.label(text)
            known = self._known[study] = _Reference(
                plain=tuple(words),
                words=self._cider.weigh(_with_end(words) if self.settings.count_end else words),
                present=frozenset(name for name in ABNORMALITIES if states[name] in _PRESENT),
                places=self._places.places(text) if self.settings.places else {},
            )
        return known


def count_documents(reports: Iterable[str], clean: Callable[[str], str], settings: RewardSettings) -> CiderD:
    """Return CIDEr-D with the document frequencies of reports, the end of each counted as the settings say."""
    texts = (clean(report).split() for report in reports)
    return CiderD(_with_end(words) if settings.count_end else words for words in texts)


def _with_end(words: Sequence[str]) -> Sequence[str]:
    return [*words, _END]
