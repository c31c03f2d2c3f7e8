"""Write the report of a record, and the state of each finding in it."""

from collections.abc import Iterator

import numpy as np

from xpronet.labels.findings import NO_FINDING, State
from xpronet.phantom.finding_statements import (
    DEGREES,
    GRADES,
    ORDERS,
    POSITIVE,
    SECTION_OF,
    SECTIONS,
    SIZES,
)
from xpronet.phantom.normal_statements import ALL_NORMAL, NORMAL, NormalStatement
from xpronet.phantom.record import Instance, Record

FEWEST_WORDS = 25
MOST_WORDS = 55
ALL_NORMAL_SHARE = 0.5


def write_report(record: Record, rng: np.random.Generator) -> tuple[str, dict[str, State]]:
    """Write a report that states every finding of the record and denies some of the others.

    Returns:
        The text (25 to 55 words) and the state of each finding: positive where present, negative where denied, missing
        where not mentioned.
    """
    statements = _positives(record, rng)
    closing = ALL_NORMAL[rng.integers(len(ALL_NORMAL))] if not record and rng.random() < ALL_NORMAL_SHARE else ""
    states = dict.fromkeys(record, State.POSITIVE)
    enough = int(rng.integers(FEWEST_WORDS, 41)) - len(closing.split())
    for statement in _normals(frozenset(record), rng):
        if _count_words(statements) >= enough:
            break
        sentence = statement.wordings[rng.integers(len(statement.wordings))]
        statements[statement.section].append(sentence)
        states |= dict.fromkeys(statement.denies, State.NEGATIVE)
    # As in CheXpert's tables, a device alone leaves No Finding positive.
    if not set(record) - {"Support Devices"}:
        states[NO_FINDING] = State.POSITIVE
    order = ORDERS[rng.integers(len(ORDERS))]
    sentences = [sentence for section in order for sentence in statements[section]]
    return " ".join(sentence for sentence in (*sentences, closing) if sentence), states


def _positives(record: Record, rng: np.random.Generator) -> dict[str, list[str]]:
    """State every finding in its section of the report, drawing wordings again where the report would be too long."""
    while True:
        statements: dict[str, list[str]] = {section: [] for section in SECTIONS}
        for finding, instances in record.items():
            for instance in instances:
                statements[SECTION_OF[finding]].append(_positive(finding, instance, rng))
        if _count_words(statements) <= MOST_WORDS:
            return statements


def _count_words(statements: dict[str, list[str]]) -> int:
    return sum(len(sentence.split()) for part in statements.values() for sentence in part)


def _normals(present: frozenset[str], rng: np.random.Generator) -> Iterator[NormalStatement]:
    """Yield statements true of the study, frequent ones mostly first, none denying what another denied."""
    # Exponential waiting times divided by the weights order the statements at random by weight.
    waits = rng.exponential(size=len(NORMAL)) / np.array([statement.weight for statement in NORMAL])
    denied: set[str] = set()
    for index in np.argsort(waits, kind="stable"):
        statement = NORMAL[index]
        if not (statement.denies | statement.misleading_beside) & present and not statement.denies & denied:
            denied |= statement.denies
            yield statement


def _positive(finding: str, instance: Instance, rng: np.random.Generator) -> str:
    wordings = POSITIVE[_variant(finding, instance)]
    slots = {
        "side": instance.side or "",
        "zone": instance.zone or "",
        "where": f"{instance.side} {instance.zone} lung",
        "ribs": f"{instance.side} {instance.zone} ribs",
        "rib": f"{instance.side} {instance.zone} rib",
        "apical": "apical " if instance.zone == "upper" else "",
        "kind": _device(instance),
        "article": "an" if _device(instance)[:1] == "e" else "a",
    }
    if instance.severity is not None:
        grade = instance.grade
        slots |= {"size": SIZES[grade], "grade": GRADES[grade], "degree": DEGREES[grade]}
        slots["nodule"] = "mass" if instance.severity == "large" else "nodule"
    sentence = wordings[rng.integers(len(wordings))].format(**slots)
    return sentence[0].upper() + sentence[1:]


def _variant(finding: str, instance: Instance) -> str:
    if finding == "Pleural Effusion" and instance.side == "both":
        return "Pleural Effusion, both"
    if finding == "Pleural Other":
        return f"Pleural Other, {instance.kind}"
    return finding


def _device(instance: Instance) -> str:
    if instance.kind is None:
        return ""
    return f"{instance.side} {instance.kind}" if instance.side else instance.kind
