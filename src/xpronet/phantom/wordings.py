"""The sentences of phantom reports: at least five wordings for each statement.

Slots: {size} small, moderate, large; {grade} mild, moderate, severe; {degree} mildly, moderately, severely; {side} left
or right; {where} right upper lung; {apical} "apical " or nothing; {kind} which device; {ribs} right upper ribs.
"""

from dataclasses import dataclass

from xpronet.labels.findings import ABNORMALITIES

SECTIONS = ("heart", "mediastinum", "lungs", "pleura", "bones", "devices")

SECTION_OF = {
    "Enlarged Cardiomediastinum": "mediastinum",
    "Cardiomegaly": "heart",
    "Lung Opacity": "lungs",
    "Lung Lesion": "lungs",
    "Edema": "lungs",
    "Consolidation": "lungs",
    "Pneumonia": "lungs",
    "Atelectasis": "lungs",
    "Pneumothorax": "pleura",
    "Pleural Effusion": "pleura",
    "Pleural Other": "pleura",
    "Fracture": "bones",
    "Support Devices": "devices",
}

ORDERS = (
    ("heart", "mediastinum", "lungs", "pleura", "bones", "devices"),
    ("devices", "heart", "mediastinum", "lungs", "pleura", "bones"),
    ("lungs", "pleura", "heart", "mediastinum", "bones", "devices"),
    ("mediastinum", "heart", "pleura", "lungs", "devices", "bones"),
    ("lungs", "heart", "mediastinum", "pleura", "bones", "devices"),
    ("devices", "lungs", "pleura", "heart", "mediastinum", "bones"),
)

SIZES = ("small", "moderate", "large")
GRADES = ("mild", "moderate", "severe")
DEGREES = ("mildly", "moderately", "severely")

POSITIVE: dict[str, tuple[str, ...]] = {
    "Enlarged Cardiomediastinum": (
        "The mediastinum is {degree} widened.",
        "There is {grade} widening of the mediastinum.",
        "{grade} mediastinal widening is present.",
        "The upper mediastinum is {degree} enlarged.",
        "{grade} enlargement of the mediastinum is seen.",
    ),
    "Cardiomegaly": (
        "The heart is {degree} enlarged.",
        "There is {grade} cardiomegaly.",
        "{grade} cardiomegaly is present.",
        "The cardiac silhouette is {degree} enlarged.",
        "{grade} enlargement of the heart is seen.",
    ),
    "Lung Opacity": (
        "There is a {size} hazy opacity in the {where}.",
        "A {size} faint opacity is seen in the {where}.",
        "{size} area of hazy opacity in the {where}.",
        "A {size} opacity without sharp borders projects over the {where}.",
        "The {where} shows a {size} hazy opacity.",
    ),
    "Lung Lesion": (
        "There is a {size} round {nodule} in the {where}.",
        "A {size} {nodule} is seen in the {where}.",
        "{size} well defined {nodule} in the {where}.",
        "A {size} {nodule} projects over the {where}.",
        "The {where} contains a {size} dense {nodule}.",
    ),
    "Edema": (
        "There is {grade} pulmonary edema.",
        "{grade} edema is seen in both lungs.",
        "{grade} pulmonary vascular congestion with edema is present.",
        "Both lungs show {grade} perihilar edema.",
        "Thick vessels and septal lines show {grade} pulmonary edema.",
    ),
    "Consolidation": (
        "There is a {size} consolidation in the {where}.",
        "A {size} dense consolidation is seen in the {where}.",
        "{size} consolidation with air bronchograms in the {where}.",
        "The {where} shows a {size} lobar consolidation.",
        "A {size} area of consolidation is present in the {where}.",
    ),
    "Pneumonia": (
        "There is {grade} patchy pneumonia in the {where}.",
        "{grade} pneumonia is seen in the {where}.",
        "A patchy area of {grade} pneumonia is present in the {where}.",
        "The {where} shows {grade} pneumonia.",
        "{grade} multifocal pneumonia in the {where}.",
    ),
    "Atelectasis": (
        "There is {grade} linear atelectasis in the {where}.",
        "{grade} atelectasis is seen in the {where}.",
        "Bands of {grade} atelectasis are present in the {where}.",
        "The {where} shows {grade} plate like atelectasis.",
        "{grade} atelectasis in the {where} with a raised diaphragm.",
    ),
    "Pneumothorax": (
        "There is a {size} {side} {apical}pneumothorax.",
        "A {size} {side} {apical}pneumothorax is present.",
        "{size} {apical}pneumothorax on the {side}.",
        "A {size} {apical}pneumothorax is seen on the {side} side.",
        "A pleural line shows a {size} {side} {apical}pneumothorax.",
    ),
    "Pleural Effusion": (
        "There is a {size} {side} pleural effusion.",
        "A {size} {side} pleural effusion is present.",
        "{size} pleural effusion on the {side}.",
        "A {size} pleural effusion is seen on the {side} side.",
        "The {side} costophrenic angle is blunted by a {size} effusion.",
    ),
    "Pleural Effusion, both": (
        "There are {size} bilateral pleural effusions.",
        "{size} bilateral pleural effusions are present.",
        "{size} pleural effusions on both sides.",
        "{size} pleural effusions are seen on both sides.",
        "Both costophrenic angles are blunted by {size} effusions.",
    ),
    "Pleural Other, thickening": (
        "There is {grade} pleural thickening along the {where}.",
        "{grade} pleural thickening is seen along the {where}.",
        "{grade} {side} {zone} pleural thickening is present.",
        "{grade} thickening of the pleura along the {where}.",
        "The {where} is bordered by {grade} pleural thickening.",
    ),
    "Pleural Other, plaque": (
        "There is a {size} calcified pleural plaque along the {where}.",
        "A {size} pleural plaque is seen along the {where}.",
        "{size} {side} {zone} calcified pleural plaque is present.",
        "A {size} calcified pleural plaque borders the {where}.",
        "{size} pleural plaque with calcium along the {where}.",
    ),
    "Fracture": (
        "There are {degree} displaced fractures of the {ribs}.",
        "{degree} displaced fractures of the {ribs} are seen.",
        "{degree} displaced {rib} fractures are present.",
        "The {ribs} show {degree} displaced fractures.",
        "Fractures of the {ribs} are {degree} displaced.",
    ),
    "Support Devices": (
        "A {kind} is in place.",
        "There is a {kind}.",
        "A {kind} is present.",
        "A {kind} is seen in good position.",
        "{kind} in standard position.",
    ),
}
"""Statements of what is there, by finding and, where the words differ, by what kind."""


@dataclass(frozen=True, kw_only=True)
class Normal:
    """A statement that something is as it should be."""

    section: str
    """Which part of the report it belongs to."""
    denies: frozenset[str]
    """The findings it denies; it is not said beside any of them."""
    beside: frozenset[str] = frozenset()
    """Other findings beside which it would mislead."""
    often: int = 1
    """How often it is said, relative to the others."""
    wordings: tuple[str, ...]
    """Ways to say it."""


def _normal(
    section: str, denies: tuple[str, ...], often: int, *wordings: str, beside: tuple[str, ...] = ()
) -> Normal:
    return Normal(section=section, denies=frozenset(denies), often=often, wordings=wordings, beside=frozenset(beside))


_HEARTS = ("Enlarged Cardiomediastinum", "Cardiomegaly")
_IN_LUNGS = ("Lung Lesion", "Edema", "Consolidation", "Pneumonia", "Atelectasis", "Pneumothorax", "Pleural Effusion")

NORMAL: tuple[Normal, ...] = (
    _normal(
        "heart",
        ("Cardiomegaly",),
        5,
        "The heart size is normal.",
        "The heart is normal in size.",
        "Heart size within normal limits.",
        "The cardiac silhouette is normal.",
        "No cardiomegaly.",
        "The heart is not enlarged.",
    ),
    _normal(
        "heart",
        _HEARTS,
        3,
        "The cardiomediastinal silhouette is normal.",
        "The cardiomediastinal silhouette is unremarkable.",
        "Normal cardiomediastinal silhouette.",
        "The cardiomediastinal silhouette is within normal limits.",
        "The cardiomediastinal contours are normal.",
    ),
    _normal(
        "mediastinum",
        ("Enlarged Cardiomediastinum",),
        3,
        "The mediastinum is normal.",
        "The mediastinal contours are normal.",
        "No mediastinal widening.",
        "The mediastinum is of normal width.",
        "The mediastinum is within normal limits.",
    ),
    _normal(
        "lungs",
        ("Lung Opacity",),
        5,
        "The lungs are clear.",
        "Both lungs are clear.",
        "Clear lungs.",
        "The lungs are well expanded and clear.",
        "The lungs are clear bilaterally.",
        beside=_IN_LUNGS,
    ),
    _normal(
        "lungs",
        ("Lung Opacity",),
        2,
        "No focal opacity.",
        "No lung opacity is seen.",
        "There is no focal opacity.",
        "No hazy opacity.",
        "There are no opacities in the lungs.",
    ),
    _normal(
        "lungs",
        ("Lung Lesion",),
        2,
        "No pulmonary nodule or mass.",
        "There is no nodule or mass.",
        "No lung nodule is seen.",
        "No nodules.",
        "There is no lung mass.",
    ),
    _normal(
        "lungs",
        ("Edema",),
        2,
        "No pulmonary edema.",
        "There is no edema.",
        "No pulmonary edema is seen.",
        "No vascular congestion.",
        "No vascular congestion or edema.",
    ),
    _normal(
        "lungs",
        ("Consolidation",),
        4,
        "No focal consolidation.",
        "There is no consolidation.",
        "No consolidation is seen.",
        "No evidence of consolidation.",
        "There is no focal lung consolidation.",
    ),
    _normal(
        "lungs",
        ("Pneumonia",),
        2,
        "No pneumonia.",
        "There is no pneumonia.",
        "No evidence of pneumonia.",
        "No pneumonia is seen.",
        "No sign of pneumonia.",
    ),
    _normal(
        "lungs",
        ("Atelectasis",),
        1,
        "No atelectasis.",
        "There is no atelectasis.",
        "No atelectasis is seen.",
        "No evidence of atelectasis.",
        "No linear atelectasis.",
    ),
    _normal(
        "pleura",
        ("Pneumothorax",),
        4,
        "No pneumothorax.",
        "There is no pneumothorax.",
        "No pneumothorax is seen.",
        "No evidence of pneumothorax.",
        "No sign of pneumothorax.",
    ),
    _normal(
        "pleura",
        ("Pleural Effusion",),
        4,
        "No pleural effusion.",
        "There is no pleural effusion.",
        "No effusion is seen.",
        "No evidence of pleural effusion.",
        "The costophrenic angles are sharp.",
        "There are no effusions.",
    ),
    _normal(
        "pleura",
        ("Pleural Effusion", "Pneumothorax"),
        6,
        "No pleural effusion or pneumothorax.",
        "There is no pleural effusion or pneumothorax.",
        "No pneumothorax or pleural effusion is seen.",
        "There is no pneumothorax or effusion.",
        "No evidence of effusion or pneumothorax.",
    ),
    _normal(
        "pleura",
        ("Pleural Other",),
        1,
        "No pleural thickening.",
        "There is no pleural thickening.",
        "No pleural plaque.",
        "No pleural thickening or plaque is seen.",
        "There is no pleural plaque.",
    ),
    _normal(
        "bones",
        ("Fracture",),
        4,
        "No rib fracture.",
        "No acute fracture is seen.",
        "There is no displaced fracture.",
        "There are no rib fractures.",
        "No evidence of fracture.",
    ),
    _normal(
        "devices",
        ("Support Devices",),
        1,
        "No support devices.",
        "There are no support devices.",
        "No support lines are seen.",
        "No catheter or pacemaker.",
        "There is no pacemaker, catheter or tube.",
    ),
)

ALL_NORMAL = (
    "No acute abnormality is seen.",
    "Normal chest.",
    "The chest is normal.",
    "No acute disease.",
    "Normal study of the chest.",
)
"""Last words on a study without findings."""

assert set(SECTION_OF) == set(ABNORMALITIES), "each finding has its section"
