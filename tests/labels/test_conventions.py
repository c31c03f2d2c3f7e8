import tomllib
from dataclasses import FrozenInstanceError, fields
from importlib import resources

import pytest

from xpronet.errors import InputError
from xpronet.labels.conventions import CHEXPERT, CONVENTIONS, NEGBIO, RADIOLOGIST, Conventions, named_conventions
from xpronet.labels.findings import State
from xpronet.labels.rules import RuleLabeler

P, N, U, BLANK = State.POSITIVE, State.NEGATIVE, State.UNCERTAIN, State.NOT_MENTIONED


@pytest.mark.parametrize(
    ("report", "finding", "chexpert", "negbio", "radiologist"),
    [
        ("Blunted left costophrenic angle.", "Pleural Effusion", U, BLANK, U),
        ("Pulmonary vascular congestion.", "Edema", U, BLANK, BLANK),
        ("Congestive heart failure.", "Edema", P, BLANK, U),
        ("Congestive heart failure.", "Cardiomegaly", P, BLANK, U),
        ("Volume overload.", "Edema", P, BLANK, U),
        ("Borderline heart size.", "Cardiomegaly", U, P, U),
        ("Findings of infection.", "Pneumonia", P, BLANK, U),
        ("Scarring at the left base.", "Lung Opacity", P, P, BLANK),
        ("Pulmonary fibrosis.", "Pleural Other", P, P, BLANK),
        ("Apical capping.", "Pleural Other", BLANK, BLANK, P),
        ("Metastatic disease.", "Lung Lesion", BLANK, BLANK, P),
        ("Pericardial effusion.", "Pleural Effusion", BLANK, P, BLANK),
        ("Atelectasis or pneumonia.", "Pneumonia", U, P, U),
        ("Edema versus infection.", "Edema", U, P, U),
        ("Probable left effusion.", "Pleural Effusion", U, P, U),
        ("Possible left effusion.", "Pleural Effusion", U, U, U),
        ("No congestion.", "Edema", N, BLANK, BLANK),
        ("No effusion or edema.", "Edema", N, N, N),
    ],
)
def test_what_the_conventions_make_of_words(report, finding, chexpert, negbio, radiologist):
    found = {name: RuleLabeler(conventions).label(report)[finding] for name, conventions in CONVENTIONS.items()}
    assert found == {"chexpert": chexpert, "negbio": negbio, "radiologist": radiologist}


def test_each_setting_has_its_words():
    rules = tomllib.loads(resources.files("xpronet.labels").joinpath("rules.toml").read_text(encoding="utf-8"))
    with_words = {group["setting"] for group in rules["conventions"]} | {"alternatives", "probable"} & set(
        rules["cues"]
    )
    assert with_words == {field.name for field in fields(Conventions)}


def test_conventions_are_fixed_and_known_by_name():
    assert named_conventions("negbio") is NEGBIO
    assert named_conventions("radiologist") is RADIOLOGIST
    assert Conventions() == CHEXPERT
    with pytest.raises(InputError, match="no convention 'chexbert'; choose one of chexpert, negbio, radiologist"):
        named_conventions("chexbert")
    with pytest.raises(FrozenInstanceError):
        CHEXPERT.congestion = "blank"  # type: ignore[misc]
