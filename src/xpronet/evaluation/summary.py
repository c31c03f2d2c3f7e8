"""What a scorecard says, in plain words: is this model better than one text for everybody, by how much, on what."""

from collections.abc import Mapping, Sequence

from xpronet.evaluation.finding_f1 import MAIN
from xpronet.evaluation.intervals import Difference
from xpronet.evaluation.scorecard import Lift, Row

WORDING, FINDINGS = "BLEU-4", MAIN
"""The score that stands for the wording, and the one that stands for the findings."""


def summary(
    model: Row,
    language: Lift | None,
    findings: Lift | None,
    shuffled: Mapping[str, Difference],
    abnormal_studies: int,
) -> tuple[str, ...]:
    """Answer two questions in a sentence for each score.

    Args:
        model: the scores of the model.
        language: what it scores above a constant in wording.
        findings: what it scores above a constant in findings.
        shuffled: what it scores above its own reports dealt out to other studies.
        abnormal_studies: how many studies have an abnormal finding.
    """
    lines = []
    compared: list[tuple[str, str, Lift | None]] = [("wording", WORDING, language), ("findings", FINDINGS, findings)]
    for what, score, lift in compared:
        if lift is not None and score in lift.scores:
            lines.append(f"on {what}, {_verdict(score, model.scores[score].value, lift.scores[score])}")
    if language is not None and WORDING in language.abnormal:
        told = _verdict(WORDING, model.abnormal[WORDING].value, language.abnormal[WORDING])
        lines.append(f"on the wording of the {abnormal_studies} abnormal studies, {told}")
    answers = []
    if lines:
        answers.append(f"Is this model better than one text for everybody? {_sentences(lines)}")
    fitting = [
        f"on {what}, {_verdict(score, model.scores[score].value, shuffled[score])}"
        for what, score in (("wording", WORDING), ("findings", FINDINGS))
        if score in shuffled and score in model.scores
    ]
    if fitting:
        answers.append(
            f"Do its reports fit their studies better than the same reports dealt out at random? {_sentences(fitting)}"
        )
    return tuple(answers)


def _verdict(score: str, value: float, gain: Difference) -> str:
    answer = "yes" if gain.low > 0 else "no, worse" if gain.high < 0 else "not shown"
    return (
        f"{answer}: {score} {value:.3f} against {value - gain.value:.3f}, "
        f"difference {gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})"
    )


def _sentences(clauses: Sequence[str]) -> str:
    return " ".join(f"{clause[0].upper()}{clause[1:]}." for clause in clauses)
