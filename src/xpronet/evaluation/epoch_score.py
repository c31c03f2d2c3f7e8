"""One number for the reports that a model writes after an epoch, to choose the best epoch by."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from xpronet.errors import InputError
from xpronet.evaluation.language import language_statistics
from xpronet.evaluation.meteor import Unavailable, meteor_statistics
from xpronet.evaluation.text_protocol import ProtocolName, find_protocol

PUBLISHED_WEIGHTS = {"BLEU-4": 1.0, "BLEU-1": 0.33, "METEOR": 0.67}
"""What the published training adds up on the validation split."""


@dataclass(frozen=True, kw_only=True)
class EpochScore:
    """A score of reports about the same studies, epoch after epoch; the higher, the better."""

    by: Literal["bleu4", "published"]
    """BLEU-4, or the sum of `PUBLISHED_WEIGHTS`."""
    references: tuple[str, ...]
    """The readers' reports, as written."""
    train_reports: tuple[str, ...]
    """As written; the published protocols take their vocabulary from them."""
    protocol: ProtocolName
    """The form in which texts are compared."""

    def check(self) -> None:
        """Make sure before hours of training that the score can be had.

        Raises:
            InputError: an extra or Java is missing.
        """
        self._scores(["no effusion"], ["no effusion"])

    def __call__(self, reports: Sequence[str]) -> float:
        """Score one report a study.

        Raises:
            InputError: METEOR is asked for and Java fails.
        """
        protocol = find_protocol(self.protocol)
        scores = self._scores(protocol.references(self.references, self.train_reports), protocol.reports(list(reports)))
        if self.by == "bleu4":
            return scores["BLEU-4"]
        return sum(weight * scores[name] for name, weight in PUBLISHED_WEIGHTS.items())

    def _scores(self, references: Sequence[str], reports: Sequence[str]) -> dict[str, float]:
        if self.by == "bleu4":
            return language_statistics(references, reports).totals()
        meteor = meteor_statistics(references, reports)
        if isinstance(meteor, Unavailable):
            raise InputError(f"train.best_by = 'published' needs METEOR ({meteor.reason}); or choose bleu4")
        return language_statistics(references, reports, meteor=meteor).totals()


def protocol_of(cleaning: Literal["xpronet", "published-iu", "published-mimic"]) -> ProtocolName:
    """Return the protocol for a model that learned words of this cleaning: a published one for a published one."""
    return "full-text" if cleaning == "xpronet" else cleaning
