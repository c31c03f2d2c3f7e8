"""A run's claims, calibrated on held-out studies: the weight of evidence, the doubt, and the guarantee.

The studies are shared out in turn. One half chooses the weight of evidence in the search and fits the probabilities;
the other, which neither has seen, gives the curve of the guarantee.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xpronet.data.corpus import Corpus
from xpronet.data.feature_cache import FeatureCache
from xpronet.data.study import Study
from xpronet.device import best_device
from xpronet.errors import InputError
from xpronet.generation.check_claims import SAID, claim_features, log_odds
from xpronet.generation.generator import ReportGenerator
from xpronet.generation.predictions import write_reports
from xpronet.generation.report import Report
from xpronet.labels.f1 import abnormality_f1
from xpronet.labels.findings import FINDINGS, State
from xpronet.labels.rules import RuleLabeler
from xpronet.model.checkpoint import Checkpoint, load_checkpoint
from xpronet.model.claim_calibration import ClaimCalibration, Features
from xpronet.model.fitted_parts import add_claims
from xpronet.model.risk_control import Flags, Scores, risk_curve
from xpronet.model.search_settings import BeamSettings
from xpronet.progress import Tracker, silent
from xpronet.training.validation import fit_logistic

WEIGHTS = (0.0, 0.25, 0.5, 1.0, 2.0)
"""Weights of evidence that are tried."""
ENOUGH = 0.005
"""A lower weight is taken that comes so near to the best macro-F1: the wording suffers with every bit of weight."""
MAX_STUDIES = 2048
"""Studies that are used at most, evenly spaced."""
FEWEST = 20
"""Fewest studies: with fewer, no bound below a tenth can be met."""


@dataclass(frozen=True, kw_only=True)
class CalibratedClaims:
    """A calibration, and how it came about."""

    claims: ClaimCalibration
    folder: Path
    """The checkpoint that has it now."""
    macro_f1: Mapping[float, float]
    """Macro-F1 of the findings read from the reports, for each weight of evidence that was tried."""
    studies: int
    """Studies that chose the weight and fitted the probabilities."""

    def lines(self) -> tuple[str, ...]:
        """Tell it in a few lines."""
        search, curve = self.claims.search, self.claims.curve
        assert search is not None
        assert curve is not None
        tried = ", ".join(f"{weight:g}: {score:.3f}" for weight, score in self.macro_f1.items())
        return (
            f"{self.folder}: weight of evidence {search.evidence:g} (macro-F1 of the reports by weight: {tried})",
            f"probabilities of claims fitted on {self.studies} studies, guarantee on {curve.studies} others; "
            f"no bound below {curve.least:.4f} can be met",
        )


def calibrate_run(
    run: Path,
    corpus: Corpus,
    *,
    split: str = "val",
    evidence: float | None = None,
    features: FeatureCache | None = None,
    allow_code: bool = False,
    track: Tracker = silent,
) -> CalibratedClaims:
    """Choose the weight of evidence, calibrate doubt and guarantee, and put them into the checkpoint.

    Args:
        run: run or checkpoint folder; of a run, the best checkpoint is calibrated.
        corpus: holds the studies.
        split: which of them; none that the model was trained on.
        evidence: the weight of evidence; by default it is chosen.
        features: the images' patch features by the model's image encoder; without them images are read and encoded.
        allow_code: whether the checkpoint may name Python objects of installed packages.
        track: shows progress.

    Raises:
        InputError: there is no checkpoint, it has no findings head, or the split has too few studies.
    """
    checkpoint = load_checkpoint(run, allow_code=allow_code)
    if checkpoint.network.findings_head is None:
        raise InputError(f"{run}: no findings head to compare claims with; train with model.findings_head = true")
    checkpoint.claims = None
    studies = corpus.split(split)
    studies = studies[:: -(-len(studies) // MAX_STUDIES) or 1]
    if len(studies) < FEWEST:
        raise InputError(f"{corpus.folder}: {len(studies)} studies in split {split!r}; calibrate on {FEWEST} or more")
    fitted, kept_apart = studies[::2], studies[1::2]
    labeler = RuleLabeler()
    weights = WEIGHTS if evidence is None else (evidence,)
    written = {
        weight: _write(
            checkpoint, corpus, fitted, dataclasses.replace(checkpoint.search, evidence=weight), features, track
        )
        for weight in weights
    }
    scores = {weight: _macro_f1(reports, fitted, labeler) for weight, reports in written.items()}
    chosen = min(weight for weight, score in scores.items() if score >= max(scores.values()) - ENOUGH)
    search = dataclasses.replace(checkpoint.search, evidence=chosen)
    checkpoint.claims = ClaimCalibration(weights=fit_weights(written[chosen], fitted, labeler))
    others = _write(checkpoint, corpus, kept_apart, search, features, track)
    curve = risk_curve([judged_claims(*each, labeler) for each in zip(others, kept_apart, strict=True)])
    claims = dataclasses.replace(checkpoint.claims, curve=curve, search=search)
    return CalibratedClaims(claims=claims, folder=add_claims(run, claims), macro_f1=scores, studies=len(fitted))


def fit_weights(
    reports: Sequence[Report], studies: Sequence[Study], labeler: RuleLabeler
) -> tuple[float, float, float, float]:
    """Return the weights of a logistic regression from the evidence for a claim to whether it is right.

    Args:
        reports: with checked sentences.
        studies: whose reports are the judges.
        labeler: reads the judges.
    """
    features: list[list[float]] = []
    right: list[bool] = []
    for report, study in zip(reports, studies, strict=True):
        states = labeler.label(study.report)
        for sentence in report.sentences:
            for claim in sentence.claims:
                features.append(claim_features(log_odds(claim.head), sentence.words, affirmed=claim.affirmed))
                right.append(claim.affirmed == (states[claim.finding] in SAID))
    if not features:
        return ClaimCalibration().weights
    rows: Features = np.array(features)
    prior = np.array(ClaimCalibration().weights)
    first, second, third, fourth = fit_logistic(
        rows.T, np.array(right, np.float64), np.zeros(len(rows)), prior
    ).tolist()
    return first, second, third, fourth


def judged_claims(report: Report, study: Study, labeler: RuleLabeler) -> tuple[Scores, Flags]:
    """Return the probability of each claim's sentence, and whether the claim is false by the study's own report.

    What the reader's report does not mention counts as absent.
    """
    states = labeler.label(study.report)
    pairs = [
        (sentence.probability, claim.affirmed != (states[claim.finding] in SAID))
        for sentence in report.sentences
        if sentence.probability is not None
        for claim in sentence.claims
    ]
    scores = np.array([score for score, _ in pairs], np.float64)
    return scores, np.array([false for _, false in pairs], bool)


def _write(
    checkpoint: Checkpoint,
    corpus: Corpus,
    studies: Sequence[Study],
    search: BeamSettings,
    features: FeatureCache | None,
    track: Tracker,
) -> list[Report]:
    generator = ReportGenerator(checkpoint, device=best_device(), settings=search, features=features)
    return list(write_reports(generator, corpus, studies, track=track))


def _macro_f1(reports: Sequence[Report], studies: Sequence[Study], labeler: RuleLabeler) -> float:
    score = abnormality_f1(
        _said([study.report for study in studies], labeler), _said([report.text for report in reports], labeler)
    )
    return 0.0 if score is None else float(score)


def _said(texts: Sequence[str], labeler: RuleLabeler) -> np.ndarray:
    rows: list[Mapping[str, State]] = [labeler.label(text) for text in texts]
    return np.array([[states[name] in SAID for name in FINDINGS] for states in rows])
