"""The statements of phantom reports that a finding is present: at least five wordings of each.

Slots: {size} small, moderate, large; {grade} mild, moderate, severe; {degree} mildly, moderately, severely; {side} left
or right; {where} right upper lung; {apical} "apical " or nothing; {article} {kind} which device; {ribs} right
upper ribs.
"""

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
        "{article} {kind} is in place.",
        "There is {article} {kind}.",
        "{article} {kind} is present.",
        "{article} {kind} is seen in good position.",
        "{kind} in standard position.",
    ),
}
"""Statements of what is there, by finding and, where the words differ, by what kind."""

assert set(SECTION_OF) == set(ABNORMALITIES), "each finding has its section"
