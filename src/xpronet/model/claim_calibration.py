"""How far a model's claims can be believed, fitted on held-out studies: stored beside the weights, as the gate is."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from xpronet.errors import InputError
from xpronet.model.risk_control import RiskCurve
from xpronet.model.search_settings import BeamSettings

FORMAT = 1

Features = Float[np.ndarray, "claims 4"]
"""Of each claim: the log-odds by the head that it is right, the mean log-probability of its sentence's words, whether
it affirms a finding (1 or 0), and 1."""


@dataclass(frozen=True, kw_only=True)
class ClaimCalibration:
    """What turns evidence for a claim into the probability that it is right, and scores into a guarantee."""

    weights: tuple[float, float, float, float] = (1.0, 0.0, 0.0, 0.0)
    """Of the features; as they are, the probability is the head's own."""
    curve: RiskCurve | None = None
    """What each threshold on the sentences' probabilities guarantees; None before calibration."""
    search: BeamSettings | None = None
    """The search whose reports it was fitted on: the guarantee holds for no other; None before calibration."""

    def probabilities(self, features: Features) -> Float[np.ndarray, " claims"]:
        """Return the probability of each claim to be right."""
        logits = features.astype(np.float64) @ np.array(self.weights)
        probabilities: np.ndarray = np.exp(-np.logaddexp(0.0, -logits))
        return probabilities

    def threshold(self, max_error: float, search: BeamSettings) -> float | None:
        """Return the probability from which on sentences are covered by a bound; None where none can be.

        Args:
            max_error: what the expected share of false claims among those covered is not to exceed.
            search: how the reports are searched for.

        Raises:
            InputError: there is no calibration, it was made for another search, or it allows no such bound.
        """
        if self.curve is None:
            raise InputError("--max-error needs a calibrated model; run `xpronet calibrate RUN --corpus CORPUS` first")
        if search != self.search:
            raise InputError(
                "--max-error: the guarantee was calibrated for another search (beams, choose or evidence); leave those "
                "options out, or calibrate again"
            )
        return self.curve.threshold(max_error)

    def record(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"format": FORMAT, **dataclasses.asdict(self)}

    @classmethod
    def from_record(cls, record: Any, where: str) -> "ClaimCalibration":
        """Return what `record` gave.

        Raises:
            InputError: it is something else; the message names `where`.
        """
        try:
            if not isinstance(record, Mapping) or record["format"] != FORMAT:
                raise ValueError("unknown format")
            first, second, third, fourth = (float(weight) for weight in record["weights"])
            curve = record["curve"]
            return cls(
                weights=(first, second, third, fourth),
                curve=None if curve is None else _curve(curve),
                search=None if record["search"] is None else BeamSettings(**record["search"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{where}: no calibration of claims ({error}); run `xpronet calibrate` again") from None


def _curve(record: Mapping[str, Any]) -> RiskCurve:
    curve = RiskCurve(
        thresholds=tuple(float(value) for value in record["thresholds"]),
        bounds=tuple(float(value) for value in record["bounds"]),
        studies=int(record["studies"]),
    )
    if len(curve.thresholds) != len(curve.bounds) or curve.studies < 1:
        raise ValueError("a damaged curve")
    return curve
