"""How well one text scores that was written without an image: the floor under every published figure."""

from collections.abc import Sequence
from dataclasses import dataclass

from xpronet.evaluation.constant_baseline import ConstantScorer, find_constant
from xpronet.evaluation.finding_f1 import FindingReader
from xpronet.evaluation.measure import ReportSet, Yardstick, measure
from xpronet.evaluation.scorecard import Row
from xpronet.evaluation.scoring import measured_row
from xpronet.evaluation.text_protocol import find_protocol
from xpronet.labels.rules import RuleLabeler


@dataclass(frozen=True, kw_only=True)
class ConstantBaseline:
    """One text given to every study, and what it scores."""

    text: str
    """Words separated by spaces."""
    row: Row
    """How it was found, and its scores."""


def find_constant_baselines(
    references: Sequence[str],
    *,
    train_reports: Sequence[str],
    val_reports: Sequence[str] | None = None,
    protocol: str = "published-iu",
    seed: int = 0,
    with_meteor: bool = True,
) -> list[ConstantBaseline]:
    """Find the constants that score the best BLEU-4: a train report, a text built on val, and one built on the test.

    Args:
        references: of the test studies, as written.
        train_reports: as written; their reports and sentences are all that is used.
        val_reports: as written; without them nothing can be chosen honestly, and only the oracle is left.
        protocol: the name of the form in which texts are compared.
        seed: of the intervals.
        with_meteor: start Java for METEOR, which takes some seconds.
    """
    texts = find_protocol(protocol)
    against = Yardstick(
        ids=tuple(str(number) for number in range(len(references))),
        references=tuple(references),
        protocol=texts,
        train_reports=train_reports,
        reader=FindingReader(RuleLabeler()),
    )
    forms = texts.reports(train_reports)
    found: dict[str, str] = {}
    if val_reports is not None:
        val = texts.references(val_reports, train_reports)
        whole = list(dict.fromkeys(forms))
        found["train report chosen on val"] = whole[
            ConstantScorer(val).best([tuple(form.split()) for form in whole])[0]
        ]
        found["built on val"], _ = find_constant(forms, val, max_words=texts.max_words)
    found["ORACLE, built on these references"], _ = find_constant(forms, against.forms, max_words=texts.max_words)
    sets = [
        ReportSet(name=name, how="one text for all studies", reports=(text,) * len(references))
        for name, text in found.items()
    ]
    measured, _ = measure(sets, against, with_meteor=with_meteor)
    return [ConstantBaseline(text=found[one.name], row=measured_row(one, against, seed)) for one in measured]
