"""The normal statements of phantom reports ("The heart is not enlarged"): at least five wordings of each."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class NormalStatement:
    """A statement that something is normal."""

    section: str
    """The part of the report it belongs to."""
    denies: frozenset[str]
    """The findings it denies; it is not used in a report with any of them."""
    misleading_beside: frozenset[str] = frozenset()
    """Other findings in whose reports it would mislead."""
    weight: int = 1
    """How often it is used, relative to the others."""
    wordings: tuple[str, ...]
    """Its wordings."""


def _normal(
    section: str, denies: tuple[str, ...], weight: int, *wordings: str, beside: tuple[str, ...] = ()
) -> NormalStatement:
    return NormalStatement(
        section=section, denies=frozenset(denies), weight=weight, wordings=wordings, misleading_beside=frozenset(beside)
    )


_HEARTS = ("Enlarged Cardiomediastinum", "Cardiomegaly")
_IN_LUNGS = ("Lung Lesion", "Edema", "Consolidation", "Pneumonia", "Atelectasis", "Pneumothorax", "Pleural Effusion")

NORMAL: tuple[NormalStatement, ...] = (
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
"""Closing sentences for a study without findings."""
