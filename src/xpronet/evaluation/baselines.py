"""What one can write without looking at the image: the rows that every scorecard has beside the model's."""

from collections import Counter
from collections.abc import Sequence
from itertools import chain

import numpy as np
from jaxtyping import Float32

from xpronet.evaluation.constant_baseline import ConstantScorer, find_constant, split_sentences
from xpronet.evaluation.finding_f1 import FindingReader, Labels, agreement, present_labels, whole_numbers
from xpronet.evaluation.measure import ReportSet, Yardstick
from xpronet.labels.findings import ABNORMALITIES, FINDINGS, State
from xpronet.text.cleaning import clean

CANDIDATES = 20_000
"""At most so many distinct train reports, the commonest, stand for the best constant."""

BEST_CONSTANT = "constant, best BLEU-4"
BUILT_CONSTANT = "constant, built for BLEU-4"
FINDINGS_CONSTANT = "constant, best macro-F1"
ORACLE_CONSTANT = "ORACLE constant, best on test"
RANDOM_REPORT = "random train report"
TEMPLATE = "template of findings"
EVERYTHING = "everything is present"


def make_baselines(
    against: Yardstick, *, named: Labels, val_reports: Sequence[str] | None = None, seed: int = 0
) -> list[ReportSet]:
    """Make the baselines that need no image; retrieval by image features comes from the caller who has them.

    Args:
        against: the yardstick with the train reports, without which only `EVERYTHING` is left; only the baseline marked
            ORACLE looks at its references.
        named: the findings that the model named for each test study, which the template puts into sentences.
        val_reports: as written; they choose the constants, or the train reports do where there are none.
        seed: of the random train reports.
    """
    studies = len(against.references)
    everything = ReportSet(
        name=EVERYTHING,
        how="all thirteen abnormal findings in every study; no text",
        labels=present_labels([ABNORMALITIES] * studies),
    )
    train_reports = against.train_reports
    if train_reports is None:
        return [everything]
    constants = _constants(against, train_reports, val_reports)
    built = constants[BUILT_CONSTANT][1]
    drawn = np.random.default_rng([seed, 2]).integers(0, len(train_reports), studies)
    return [
        *(ReportSet(name=name, how=how, reports=(text,) * studies) for name, (how, text) in constants.items()),
        ReportSet(
            name=RANDOM_REPORT,
            how=f"another one for each study, seed {seed}",
            reports=tuple(train_reports[number] for number in drawn),
        ),
        ReportSet(
            name=TEMPLATE,
            how="the model's findings in the commonest train sentence for each, the built constant for the rest",
            reports=tuple(_templates(named, built, train_reports, against.reader)),
        ),
        everything,
    ]


def _constants(
    against: Yardstick, train_reports: Sequence[str], val_reports: Sequence[str] | None
) -> dict[str, tuple[str, str]]:
    """Return how each constant was chosen, and its text."""
    protocol, reader = against.protocol, against.reader
    choosing, chosen_on = (train_reports, "train") if val_reports is None else (val_reports, "val")
    candidates = [report for report, _ in Counter(train_reports).most_common(CANDIDATES)]
    forms = [tuple(text.split()) for text in protocol.reports(candidates)]
    choosing_forms = protocol.references(choosing, train_reports)
    built, _ = find_constant(protocol.reports(train_reports), choosing_forms, max_words=protocol.max_words)
    by_findings = _best_by_findings(reader.labels(candidates), reader.labels(choosing))
    return {
        BEST_CONSTANT: (
            f"the train report that scores best on {chosen_on}",
            candidates[ConstantScorer(choosing_forms).best(forms)[0]],
        ),
        BUILT_CONSTANT: (f"train sentences put together to score best on {chosen_on}", built),
        FINDINGS_CONSTANT: (f"the train report whose findings score best on {chosen_on}", candidates[by_findings]),
        ORACLE_CONSTANT: (
            "the train report that scores best on these very references",
            candidates[ConstantScorer(against.forms).best(forms)[0]],
        ),
    }


def _best_by_findings(candidates: Float32[np.ndarray, "candidates findings"], truth: Labels) -> int:
    """Return the candidate whose findings, given to all studies, have the best macro-F1 of the thirteen."""
    abnormal = len(ABNORMALITIES)
    distinct, first = np.unique(candidates[:, :abnormal], axis=0, return_index=True)
    scores = [
        agreement(
            whole_numbers(truth[:, :abnormal]),
            whole_numbers(np.broadcast_to(row, (len(truth), abnormal))),
            ABNORMALITIES,
        ).macro.f1
        or 0.0
        for row in distinct
    ]
    # Of equals, the one that is commonest in train.
    best = max(range(len(distinct)), key=lambda number: (scores[number], -first[number]))
    return int(first[best])


def _templates(named: Labels, normal: str, train_reports: Sequence[str], reader: FindingReader) -> list[str]:
    """Return for each study a sentence for every named finding, then the constant's sentences that contradict none."""
    counts = Counter(chain.from_iterable(split_sentences(clean(report)) for report in train_reports))
    sentences = _sentence_of_each([" ".join(words) for words, _ in counts.most_common(CANDIDATES)], reader)
    rest = [" ".join(words) for words in split_sentences(normal)]
    reports: dict[tuple[str, ...], str] = {}
    texts = []
    for row in named:
        present = tuple(name for name, value in zip(FINDINGS, row, strict=True) if value == 1 and name in sentences)
        if present not in reports:
            kept = [text for text in rest if all(reader.states(text)[name] is not State.NEGATIVE for name in present)]
            reports[present] = " ".join([sentences[name] for name in present] + kept)
        texts.append(reports[present])
    return texts


def _sentence_of_each(sentences: Sequence[str], reader: FindingReader) -> dict[str, str]:
    """Return for each abnormal finding the first sentence that says it is there and says nothing of another."""
    found: dict[str, str] = {}
    for sentence in sentences:
        states = reader.states(sentence)
        said = [name for name in ABNORMALITIES if states[name] is not State.NOT_MENTIONED]
        if len(said) == 1 and states[said[0]] is State.POSITIVE:
            found.setdefault(said[0], sentence)
    return found
