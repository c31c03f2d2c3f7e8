"""Where the field's labels differ from each other, and which of them is followed."""

from dataclasses import dataclass
from typing import Literal

from xpronet.errors import InputError

Reading = Literal["positive", "uncertain", "negative", "blank"]
"""What words make of a finding; "blank": they say nothing of it."""

ConventionName = Literal["chexpert", "negbio", "radiologist"]


@dataclass(frozen=True, kw_only=True)
class Conventions:
    """How words are read of which authors of labels think differently; the default follows CheXpert and CheXbert."""

    blunted_angle: Reading = "uncertain"
    """A blunted costophrenic angle, of Pleural Effusion."""
    congestion: Reading = "uncertain"
    """Vascular congestion, prominence, engorgement or cephalization, of Edema."""
    heart_failure: Reading = "positive"
    """Heart failure or decompensation, of Edema."""
    failing_heart: Reading = "positive"
    """Heart failure or decompensation, of Cardiomegaly."""
    fluid_overload: Reading = "positive"
    """Fluid or volume overload, of Edema."""
    borderline_heart: Reading = "uncertain"
    """A heart of borderline size, of Cardiomegaly."""
    infection: Reading = "positive"
    """An infection or infectious process that is not called pneumonia, of Pneumonia."""
    scarring: Reading = "positive"
    """Scars and bronchiectasis, of Lung Opacity."""
    fibrosis: Reading = "positive"
    """Fibrosis, of Pleural Other."""
    pleural_disease: Reading = "blank"
    """An apical cap, and what is called reaction, disease or mass of the pleura, of Pleural Other."""
    malignancy: Reading = "blank"
    """Malignancy or metastatic disease of which no mass or nodule is named, of Lung Lesion."""
    pericardial_effusion: Reading = "blank"
    """Fluid around the heart, of Pleural Effusion."""
    alternatives: Literal["positive", "uncertain"] = "uncertain"
    """Findings between which a report leaves the choice: "atelectasis or pneumonia", "edema versus infection"."""
    probable: Literal["positive", "uncertain"] = "uncertain"
    """Findings called probable or likely."""


CHEXPERT = Conventions()
"""CheXpert's published phrases and patterns, which CheXbert learned, and with it all published tables we know of."""

NEGBIO = Conventions(
    blunted_angle="blank",
    congestion="blank",
    heart_failure="blank",
    failing_heart="blank",
    fluid_overload="blank",
    borderline_heart="positive",
    infection="blank",
    pericardial_effusion="positive",
    alternatives="positive",
    probable="positive",
)
"""The human labels of NegBio's OpenI gold table: what is named is meant, and doubt counts as absence."""

RADIOLOGIST = Conventions(
    blunted_angle="uncertain",
    congestion="blank",
    heart_failure="uncertain",
    failing_heart="uncertain",
    fluid_overload="uncertain",
    infection="uncertain",
    scarring="blank",
    fibrosis="blank",
    pleural_disease="positive",
    malignancy="positive",
)
"""What the words mean on a ward: congestion is not yet edema, a scar is no opacity, fibrosis is not of the pleura."""

CONVENTIONS: dict[ConventionName, Conventions] = {
    "chexpert": CHEXPERT,
    "negbio": NEGBIO,
    "radiologist": RADIOLOGIST,
}


def named_conventions(name: str) -> Conventions:
    """Return conventions by their name.

    Raises:
        InputError: there are none of that name.
    """
    for known, conventions in CONVENTIONS.items():
        if known == name:
            return conventions
    raise InputError(f"no convention {name!r}; choose one of {', '.join(CONVENTIONS)}")
