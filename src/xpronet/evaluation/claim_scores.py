"""Whether doubt is where errors are: the claims of predictions that were checked while they were written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from xpronet.errors import InputError
from xpronet.files import read_json_lines
from xpronet.generation.checked_claims import CheckedSentence
from xpronet.labels.findings import State
from xpronet.labels.rules import RuleLabeler
from xpronet.model.risk_control import risk_curve, share_false

SHARES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
"""Shares of the claims, the most probable ones first, for which the curve is shown."""
_SAID = (State.POSITIVE, State.UNCERTAIN)


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """What comes of showing only the claims of the most probable sentences."""

    shown: float
    """Share of the claims that are shown."""
    threshold: float
    """Lowest probability of a sentence that is shown."""
    false: float
    """Mean over studies of the share of shown claims that are false; 0 in a study that shows none."""


@dataclass(frozen=True, kw_only=True)
class VouchedClaims:
    """What became of a guarantee."""

    max_error: float
    """The bound."""
    studies: int
    """Studies for which it was promised; out-of-distribution ones are left out."""
    shown: float
    """Share of their claims that were vouched for."""
    false: float
    """Mean over these studies of the share of claims vouched for that are false."""
    error: float
    """Standard error of that mean."""


@dataclass(frozen=True, kw_only=True)
class ClaimScores:
    """How well the probabilities of sentences tell right claims from false ones; the labeler is the judge."""

    studies: int
    """Studies."""
    claims: int
    """Claims in their reports."""
    false: float
    """Share of the claims that the reference contradicts or does not affirm."""
    sentences: int
    """Sentences with a claim."""
    auroc: float | None
    """Of "this sentence is wrong" by its probability; None where all are right or all wrong."""
    auroc_words: float | None
    """The same by the mean log-probability of its words, for which no findings head is needed."""
    curve: tuple[CurvePoint, ...]
    """Share of claims shown against the share of these that is false."""
    vouched: VouchedClaims | None
    """Of a guarantee, where the predictions were made with one."""

    def lines(self) -> tuple[str, ...]:
        """Return the scores as lines of text."""
        lines = [
            f"{self.studies} studies, {self.claims} claims in {self.sentences} sentences; false by the reference: "
            f"{self.false:.1%}",
            f"AUROC of a wrong sentence: {_number(self.auroc)} by its probability, {_number(self.auroc_words)} by its "
            "words alone",
            "claims shown  from probability  false",
            *(f"{point.shown:12.1%}  {point.threshold:16.3f}  {point.false:5.1%}" for point in self.curve),
        ]
        if self.vouched is not None:
            vouched = self.vouched
            lines.append(
                f"bound {vouched.max_error:g}: {vouched.shown:.1%} of the claims vouched for, of these "
                f"{vouched.false:.1%} +- {vouched.error:.1%} false; {vouched.studies} studies"
            )
        return tuple(lines)


@dataclass(frozen=True, kw_only=True)
class _Study:
    sentences: tuple[CheckedSentence, ...]
    wrong: tuple[tuple[bool, ...], ...]
    """Of each sentence, which of its claims are false."""
    guarantee: Mapping[str, Any] | None


def score_claims(path: Path, references: Mapping[str, str] | None = None) -> ClaimScores:
    """Compare the claims of predictions with their references.

    Args:
        path: predictions.jsonl of `xpronet generate`, with checked sentences.
        references: the reference of each study, by id, for lines that have none.

    Raises:
        InputError: the file is malformed, its sentences are not checked, or a reference is missing.
    """
    studies = _read(path, references or {})
    tested = [
        (sentence, wrong)
        for study in studies
        for sentence, wrong in zip(study.sentences, study.wrong, strict=True)
        if wrong
    ]
    every = [false for _, wrong in tested for false in wrong]
    if not every:
        raise InputError(f"{path}: no sentence claims anything about a finding")
    is_wrong = np.array([any(wrong) for _, wrong in tested])
    return ClaimScores(
        studies=len(studies),
        claims=len(every),
        false=float(np.mean(every)),
        sentences=len(tested),
        auroc=_auroc(is_wrong, np.array([-(sentence.probability or 0.0) for sentence, _ in tested])),
        auroc_words=_auroc(is_wrong, np.array([-sentence.words for sentence, _ in tested])),
        curve=_curve(studies),
        vouched=_vouched(studies),
    )


def simulate_splits(path: Path, max_error: float, *, splits: int = 200, seed: int = 0) -> list[VouchedClaims]:
    """Calibrate the guarantee on a random half of the studies and try it on the other, many times.

    Args:
        path: as `score_claims` takes it.
        max_error: the bound.
        splits: how many times.
        seed: of the splits.

    Raises:
        InputError: as in `score_claims`, or so few studies allow no such bound.
    """
    studies = _read(path, {})
    scores = [
        np.array([sentence.probability or 0.0 for sentence, wrong in _claims(one) for _ in wrong]) for one in studies
    ]
    false = [np.array([flag for _, wrong in _claims(one) for flag in wrong], bool) for one in studies]
    random = np.random.default_rng(seed)
    drawn = []
    for _ in range(splits):
        order = random.permutation(len(studies))
        own, others = order[: len(order) // 2], order[len(order) // 2 :]
        threshold = risk_curve([(scores[row], false[row]) for row in own]).threshold(max_error)
        shares = [share_false(scores[row], false[row], threshold) for row in others]
        shown = np.concatenate([scores[row] for row in others]) >= (np.inf if threshold is None else threshold)
        drawn.append(
            VouchedClaims(
                max_error=max_error,
                studies=len(others),
                shown=float(shown.mean()),
                false=float(np.mean(shares)),
                error=float(np.std(shares) / np.sqrt(len(shares))),
            )
        )
    return drawn


def _read(path: Path, references: Mapping[str, str]) -> list[_Study]:
    labeler = RuleLabeler()
    studies = [
        _study(row, f"{path}, prediction {number}", references, labeler)
        for number, row in enumerate(read_json_lines(path), 1)
    ]
    if not studies:
        raise InputError(f"{path}: no predictions in it; write them with `xpronet generate`")
    return studies


def _study(row: Any, where: str, references: Mapping[str, str], labeler: RuleLabeler) -> _Study:
    if not isinstance(row, dict) or "sentences" not in row:
        raise InputError(
            f"{where}: its sentences are not checked; write it with `xpronet generate` and a findings head"
        )
    reference = row.get("reference") or references.get(str(row.get("id")))
    if not isinstance(reference, str):
        raise InputError(f"{where}: no reference; name the --corpus and --split that have it")
    try:
        sentences = tuple(CheckedSentence.from_record(sentence) for sentence in row["sentences"])
    except (KeyError, TypeError):
        raise InputError(f"{where}: damaged sentences; write the predictions again") from None
    states = labeler.label(reference)
    wrong = tuple(
        tuple(claim.affirmed != (states[claim.finding] in _SAID) for claim in sentence.claims) for sentence in sentences
    )
    return _Study(sentences=sentences, wrong=wrong, guarantee=row.get("guarantee"))


def _curve(studies: Sequence[_Study]) -> tuple[CurvePoint, ...]:
    """Return for each of `SHARES` what showing so many claims costs."""
    scores = [
        np.array([sentence.probability or 0.0 for sentence, wrong in _claims(study) for _ in wrong])
        for study in studies
    ]
    false = [np.array([flag for _, wrong in _claims(study) for flag in wrong], bool) for study in studies]
    ranked = np.sort(np.concatenate(scores))[::-1]
    points = []
    for share in SHARES:
        threshold = float(ranked[max(0, round(share * len(ranked)) - 1)])
        points.append(
            CurvePoint(
                shown=float((ranked >= threshold).mean()),
                threshold=threshold,
                false=float(
                    np.mean([_share(flags, own >= threshold) for flags, own in zip(false, scores, strict=True)])
                ),
            )
        )
    return tuple(points)


def _vouched(studies: Sequence[_Study]) -> VouchedClaims | None:
    promised = [study for study in studies if study.guarantee is not None and study.guarantee["holds"]]
    if not promised:
        return None
    assert promised[0].guarantee is not None
    shares, shown, total = [], 0, 0
    for study in promised:
        false = np.array([flag for _, wrong in _claims(study) for flag in wrong], bool)
        kept = np.array([bool(sentence.vouched) for sentence, wrong in _claims(study) for _ in wrong], bool)
        shares.append(_share(false, kept))
        shown, total = shown + int(kept.sum()), total + len(kept)
    return VouchedClaims(
        max_error=float(promised[0].guarantee["max_error"]),
        studies=len(promised),
        shown=shown / max(1, total),
        false=float(np.mean(shares)),
        error=float(np.std(shares) / np.sqrt(len(shares))),
    )


def _claims(study: _Study) -> list[tuple[CheckedSentence, tuple[bool, ...]]]:
    return list(zip(study.sentences, study.wrong, strict=True))


def _share(false: Bool[np.ndarray, " claims"], shown: Bool[np.ndarray, " claims"]) -> float:
    return float(false[shown].mean()) if shown.any() else 0.0


def _auroc(wrong: Bool[np.ndarray, " sentences"], doubt: Float[np.ndarray, " sentences"]) -> float | None:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(wrong, doubt)) if 0 < wrong.sum() < len(wrong) else None


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
