"""Of several finished reports, the one that says what the findings say."""

from xpronet.generation.beam import disagreements, most_agreeing
from xpronet.labels.findings import FINDINGS, NO_FINDING
from xpronet.labels.rules import RuleLabeler

LABELER = RuleLabeler()
TEXTS = (
    "The lungs are clear. The heart is normal in size.",
    "There is a right pneumothorax. The heart is normal in size.",
    "There is a right pneumothorax. The heart is enlarged.",
    "There may be a small pneumothorax. Cardiomegaly.",
)


def findings(*names: str) -> dict[str, bool]:
    return {name: name in names for name in FINDINGS}


def test_a_disagreement_is_a_finding_left_out_or_made_up():
    states = LABELER.label(TEXTS[1])
    assert disagreements(states, findings("Pneumothorax")) == 0
    assert disagreements(states, findings()) == 1
    assert disagreements(states, findings("Edema")) == 2
    # No Finding follows from the others and is not counted twice.
    assert disagreements(LABELER.label(TEXTS[0]), findings(NO_FINDING)) == 0
    assert disagreements(LABELER.label(TEXTS[0]), findings()) == 0


def test_the_best_agreement_wins_and_the_likelier_of_equals():
    assert most_agreeing(TEXTS, findings(), LABELER) == 0
    assert most_agreeing(TEXTS, findings("Pneumothorax"), LABELER) == 1
    # Saying that it may be so is saying it.
    assert most_agreeing(TEXTS, findings("Pneumothorax", "Cardiomegaly"), LABELER) == 2
    assert most_agreeing(TEXTS[:2] + TEXTS[3:], findings("Pneumothorax", "Cardiomegaly"), LABELER) == 2
