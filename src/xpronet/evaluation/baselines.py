"""What one can write without looking at the image: the rows that every scorecard has beside the model's."""

from collections import Counter
from collections.abc import Sequence
from itertools import chain

import numpy as np
from jaxtyping import Float32, Int64

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
OTHER_REFERENCE = "reference of another study"
COMMONEST = "the model's commonest report"
SHUFFLED = "the model's reports, shuffled"

FEWEST_TO_HALVE = 10
"""Below so many studies their references choose no constants."""
CHOOSING = 5_000
"""At most so many references, drawn at random, choose a constant: more cost memory and change nothing."""
_HALVED = {
    BEST_CONSTANT: "the reference that scores best",
    BUILT_CONSTANT: "sentences put together to score best",
    FINDINGS_CONSTANT: "the reference whose findings score best",
}


def make_baselines(
    against: Yardstick, model: ReportSet, *, named: Labels, val_reports: Sequence[str] | None = None, seed: int = 0
) -> list[ReportSet]:
    """Make the baselines that need no image; retrieval by image features comes from the caller who has them.

    Args:
        against: the yardstick. Without train reports the constants of each half of the studies come from the references
            of the other half; only the baseline marked ORACLE looks at the references that it is scored on.
        model: the generated reports.
        named: the findings that the model named for each test study, which the template puts into sentences.
        val_reports: as written; they choose the constants, or the train reports do where there are none.
        seed: of everything drawn at random.
    """
    studies = len(against.references)
    if against.train_reports is not None:
        made = _from_train(against, against.train_reports, named, val_reports, seed)
    elif studies >= FEWEST_TO_HALVE:
        made = _from_other_half(against, seed)
    else:
        made = []
    everything = ReportSet(
        name=EVERYTHING,
        how="all thirteen abnormal findings in every study; no text",
        labels=present_labels([ABNORMALITIES] * studies),
    )
    return [*made, *_from_model(model, seed), everything]


def constants_clause(against: Yardstick) -> str:
    """Say where the constants come from."""
    if against.train_reports is not None:
        return "from the train reports"
    if len(against.references) >= FEWEST_TO_HALVE:
        return "of each half of the studies from the references of the other half"
    return "none"


def _from_train(
    against: Yardstick, train_reports: Sequence[str], named: Labels, val_reports: Sequence[str] | None, seed: int
) -> list[ReportSet]:
    studies = len(against.references)
    constants = _constants(against, train_reports, val_reports, seed)
    constants[ORACLE_CONSTANT] = _oracle(against, train_reports, "train report", seed)
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
            reports=tuple(_templates(named, constants[BUILT_CONSTANT][1], train_reports, against.reader)),
        ),
    ]


def _from_other_half(against: Yardstick, seed: int) -> list[ReportSet]:
    """Make constants without train reports: those of one half of the studies from the references of the other half."""
    studies = len(against.references)
    halves = np.array_split(np.random.default_rng([seed, 7]).permutation(studies), 2)
    texts: dict[str, list[str]] = {}
    for half, other in (halves, halves[::-1]):
        for name, (_, text) in _constants(
            against, [against.references[number] for number in other], None, seed
        ).items():
            reports = texts.setdefault(name, [""] * studies)
            for number in half:
                reports[number] = text
    oracle_how, oracle = _oracle(against, against.references, "reference", seed)
    return [
        *(
            ReportSet(name=name, how=f"{_HALVED[name]}, of the other half of the studies", reports=tuple(reports))
            for name, reports in texts.items()
        ),
        ReportSet(name=ORACLE_CONSTANT, how=oracle_how, reports=(oracle,) * studies),
        ReportSet(
            name=OTHER_REFERENCE,
            how=f"dealt out at random, seed {seed}",
            reports=tuple(against.references[number] for number in _other_studies(studies, seed)),
        ),
    ]


def _from_model(model: ReportSet, seed: int) -> list[ReportSet]:
    """Make baselines of the model's own reports, where it wrote more than one."""
    assert model.reports is not None
    reports = model.reports
    if len(set(reports)) < 2:
        return []
    commonest, count = Counter(reports).most_common(1)[0]
    return [
        ReportSet(
            name=COMMONEST,
            how=f"given to every study; the model gave it to {count} of {len(reports)}",
            reports=(commonest,) * len(reports),
        ),
        ReportSet(
            name=SHUFFLED,
            how=f"each study gets another study's, seed {seed}",
            reports=tuple(reports[number] for number in _other_studies(len(reports), seed)),
        ),
    ]


def _other_studies(studies: int, seed: int) -> Int64[np.ndarray, " studies"]:
    """Return for each study another one, each once."""
    order = np.random.default_rng([seed, 8]).permutation(studies)
    others = np.empty(studies, dtype=np.int64)
    others[order] = np.roll(order, 1)
    return others


def _constants(
    against: Yardstick, train_reports: Sequence[str], val_reports: Sequence[str] | None, seed: int
) -> dict[str, tuple[str, str]]:
    """Return how each constant was chosen, and its text."""
    protocol, reader = against.protocol, against.reader
    choosing, chosen_on = (train_reports, "train") if val_reports is None else (val_reports, "val")
    choosing = _some(choosing, seed)
    candidates = [report for report, _ in Counter(train_reports).most_common(CANDIDATES)]
    forms = [tuple(text.split()) for text in protocol.reports(candidates)]
    choosing_forms = protocol.references(choosing, train_reports)
    built, _ = find_constant(protocol.reports(train_reports), choosing_forms, max_words=protocol.max_words)
    readable = candidates[: reader.candidates]
    by_findings = _best_by_findings(reader.labels(readable), reader.labels(choosing[: reader.candidates]))
    return {
        BEST_CONSTANT: (
            f"the train report that scores best on {chosen_on}",
            candidates[ConstantScorer(choosing_forms).best(forms)[0]],
        ),
        BUILT_CONSTANT: (f"train sentences put together to score best on {chosen_on}", built),
        FINDINGS_CONSTANT: (f"the train report whose findings score best on {chosen_on}", candidates[by_findings]),
    }


def _oracle(against: Yardstick, texts: Sequence[str], what: str, seed: int) -> tuple[str, str]:
    """Return how the text that scores best on the very references was chosen, and the text."""
    candidates = [text for text, _ in Counter(texts).most_common(CANDIDATES)]
    forms = [tuple(text.split()) for text in against.protocol.reports(candidates)]
    best, _ = ConstantScorer(_some(against.forms, seed)).best(forms)
    return f"the {what} that scores best on these very references", candidates[best]


def _some(texts: Sequence[str], seed: int) -> list[str]:
    """Return all texts, or so many of them drawn at random as choosing a constant takes."""
    if len(texts) <= CHOOSING:
        return list(texts)
    drawn = np.sort(np.random.default_rng([seed, 9]).permutation(len(texts))[:CHOOSING])
    return [texts[number] for number in drawn]


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
    sentences = _sentence_of_each([" ".join(words) for words, _ in counts.most_common(reader.candidates)], reader)
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
    reader.read(sentences)
    for sentence in sentences:
        states = reader.states(sentence)
        said = [name for name in ABNORMALITIES if states[name] is not State.NOT_MENTIONED]
        if len(said) == 1 and states[said[0]] is State.POSITIVE:
            found.setdefault(said[0], sentence)
    return found
