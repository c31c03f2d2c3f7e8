"""Doubt by sentence: compare what each sentence of a report claims with the findings head."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest

import numpy as np
from jaxtyping import Float

from xpronet.generation.beam import Hypothesis
from xpronet.generation.checked_claims import CheckedClaim, CheckedSentence, LeftOut, Place
from xpronet.generation.evidence import each_written
from xpronet.generation.report import Guarantee, Report, WordEvidence
from xpronet.labels.findings import ABNORMALITIES, State
from xpronet.labels.rules import RuleLabeler
from xpronet.model.claim_calibration import ClaimCalibration, Features
from xpronet.model.search_settings import BeamSettings
from xpronet.text.cleaning import readable
from xpronet.text.vocabulary import Vocabulary

SAID = (State.POSITIVE, State.UNCERTAIN)
"""States that affirm a finding."""

_CLIP = 1e-6


class ReportChecker:
    """Compares the sentences of reports with the findings head of the model that wrote them."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        thresholds: Mapping[str, float],
        calibration: ClaimCalibration,
        labeler: RuleLabeler,
    ) -> None:
        """Keep what the comparison needs.

        Args:
            vocabulary: names the words.
            thresholds: probability from which on each finding counts as seen.
            calibration: turns evidence into probabilities.
            labeler: reads the sentences.
        """
        self._vocabulary = vocabulary
        self._thresholds = thresholds
        self._calibration = calibration
        self._labeler = labeler

    def check(
        self,
        hypothesis: Hypothesis,
        text: str,
        seen: Mapping[str, float],
        places: Mapping[str, Place],
        words: Sequence[WordEvidence],
    ) -> tuple[tuple[CheckedSentence, ...], tuple[LeftOut, ...]]:
        """Return the sentences of a report with their claims, and what it leaves out.

        Args:
            hypothesis: the report as it was found.
            text: the report as it is read.
            seen: the head's probability of each finding.
            places: where the head sees most of each.
            words: evidence for each word; empty where none was asked for.
        """
        tokens = self._vocabulary.word_list(hypothesis.words)
        pieces = [" ".join(tokens[start:end]) for start, end in split_sentences(tokens)]
        if self._vocabulary.settings.cleaning == "xpronet":
            pieces = [readable(piece) for piece in pieces]
        steps = each_written(hypothesis.words, hypothesis.word_log_probabilities, self._vocabulary)
        token_scores = [score for _, _, score in steps]
        sentences = check_sentences(
            text,
            tokens,
            token_scores,
            pieces,
            seen,
            labeler=self._labeler,
            calibration=self._calibration,
            places=places,
            shares=[_shares(word) for word in words],
        )
        return sentences, find_left_out(self._labeler.label(text), seen, self._thresholds, places)

    def vouch(self, report: Report, max_error: float, search: BeamSettings) -> Report:
        """Return a report whose sentences say whether a bound on the share of false claims covers them.

        Args:
            report: its sentences are checked.
            max_error: the bound.
            search: how the report was searched for.

        Raises:
            InputError: the model has no calibrated guarantee, or none for this search or this bound.
        """
        threshold = self._calibration.threshold(max_error, search)
        judged = zip_longest(report.gate, report.texture)
        unlike = [view for view in judged if any(score is not None and score.warned for score in view)]
        if unlike:
            note = f"no guarantee: {_counted(len(unlike), 'view')} out of distribution for the model"
            return replace(report, guarantee=Guarantee(max_error=max_error, holds=False, note=note))
        sentences = tuple(_vouched(sentence, threshold) for sentence in report.sentences)
        claims = [len(sentence.claims) for sentence in sentences if sentence.vouched]
        every = sum(len(sentence.claims) for sentence in sentences)
        note = (
            f"{sum(claims)} of {every} claims vouched for; in studies like those of the calibration, the expected "
            f"share of false ones among them is at most {max_error:g}"
            if claims
            else f"no claim of this study can be vouched for at {max_error:g}"
        )
        guarantee = Guarantee(max_error=max_error, holds=True, note=note)
        return replace(report, sentences=sentences, guarantee=guarantee)


def _vouched(sentence: CheckedSentence, threshold: float | None) -> CheckedSentence:
    if sentence.probability is None:
        return sentence
    return replace(sentence, vouched=threshold is not None and sentence.probability >= threshold)


def _shares(word: WordEvidence) -> dict[str, float]:
    """Return the share of each finding's prototypes in a word."""
    shares: dict[str, float] = {}
    for use in word.prototypes:
        shares[use.finding] = shares.get(use.finding, 0.0) + use.weight
    return shares


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" + ("s are" if number > 1 else " is")


def split_sentences(tokens: Sequence[str]) -> list[tuple[int, int]]:
    """Return first token and the one behind the last of each sentence that has a word; its full stop is the last."""
    spans, start = [], 0
    for number, token in enumerate(tokens, 1):
        if token == "." or number == len(tokens):
            if number - start > (token == "."):
                spans.append((start, number))
            start = number
    return spans


def claim_features(odds: float, words: float, *, affirmed: bool) -> list[float]:
    """Return the features of one claim; see `Features`.

    Args:
        odds: the head's log-odds of the finding.
        words: mean log-probability of the sentence's words.
        affirmed: what is said of it.
    """
    return [odds if affirmed else -odds, words, float(affirmed), 1.0]


def log_odds(probability: float) -> float:
    """Return the log-odds of a probability, none beyond one in a million."""
    kept = min(max(probability, _CLIP), 1 - _CLIP)
    return float(np.log(kept) - np.log1p(-kept))


def check_sentences(
    text: str,
    tokens: Sequence[str],
    token_log_probabilities: Sequence[float],
    pieces: Sequence[str],
    seen: Mapping[str, float],
    *,
    labeler: RuleLabeler,
    calibration: ClaimCalibration,
    places: Mapping[str, Place] | None = None,
    shares: Sequence[Mapping[str, float]] = (),
) -> tuple[CheckedSentence, ...]:
    """Compare each sentence of a report with the findings head.

    Args:
        text: the report.
        tokens: its words and full stops.
        token_log_probabilities: of each token.
        pieces: each sentence of `split_sentences` as it stands in the text.
        seen: the head's probability of each finding.
        labeler: reads the sentences.
        calibration: turns evidence into probabilities.
        places: where the head sees most of each finding.
        shares: of each token, the share of each finding's prototypes in it; empty without evidence for words.
    """
    checked, position = [], 0
    for (start, end), piece in zip(split_sentences(tokens), pieces, strict=True):
        begin = text.index(piece, position)
        position = begin + len(piece)
        words = float(np.mean(token_log_probabilities[start:end]))
        states = labeler.label(" ".join(tokens[start:end]))
        named = [name for name in ABNORMALITIES if states[name] is not State.NOT_MENTIONED and name in seen]
        affirmed = [states[name] in SAID for name in named]
        features: Features = np.array(
            [
                claim_features(log_odds(seen[name]), words, affirmed=said)
                for name, said in zip(named, affirmed, strict=True)
            ]
        ).reshape(-1, 4)
        answered = _answered(tokens[start:end], shares[start:end], labeler) if len(shares) else {}
        right = calibration.probabilities(features).tolist()
        claims = tuple(
            CheckedClaim(
                finding=name,
                affirmed=said,
                probability=probability,
                head=seen[name],
                place=(places or {}).get(name) if said else None,
                prototypes=answered.get(name),
            )
            for name, said, probability in zip(named, affirmed, right, strict=True)
        )
        checked.append(
            CheckedSentence(
                start=begin,
                end=position,
                claims=claims,
                # As if the claims of a sentence erred independently.
                probability=float(np.prod(right)) if right else None,
                words=words,
            )
        )
    return tuple(checked)


def _answered(tokens: Sequence[str], shares: Sequence[Mapping[str, float]], labeler: RuleLabeler) -> dict[str, float]:
    """Return, for each finding that a sentence names, its prototypes' mean share in the words that name it."""
    mentions: dict[str, set[int]] = {}
    for claim in labeler.token_claims(tokens):
        mentions.setdefault(claim.finding, set()).update(claim.mention)
    return {
        name: float(np.mean([shares[word].get(name, 0.0) for word in sorted(words)]))
        for name, words in mentions.items()
        if words
    }


def find_left_out(
    states: Mapping[str, State],
    seen: Mapping[str, float],
    thresholds: Mapping[str, float],
    places: Mapping[str, Place] | None = None,
) -> tuple[LeftOut, ...]:
    """Return what the head sees and a report does not affirm, the most probable first.

    Args:
        states: what the report says of each finding.
        seen: the head's probability of each finding.
        thresholds: probability from which on it counts as seen.
        places: where the head sees most of each.
    """
    found = [
        LeftOut(
            finding=name,
            probability=seen[name],
            denied=states[name] is State.NEGATIVE,
            place=(places or {}).get(name),
        )
        for name in ABNORMALITIES
        if name in seen and seen[name] >= thresholds[name] and states[name] not in SAID
    ]
    return tuple(sorted(found, key=lambda missing: -missing.probability))


def strongest_place(regions: Float[np.ndarray, "views rows columns"]) -> Place:
    """Return the region that adds most to a finding's logit."""
    view, row, column = np.unravel_index(int(regions.argmax()), regions.shape)
    return Place(view=int(view) + 1, row=int(row), column=int(column), rows=regions.shape[1])
