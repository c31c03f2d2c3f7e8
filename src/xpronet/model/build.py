"""Build the report model that settings name: ours, another that comes with the package, or one of another package."""

from xpronet.encoders.image_encoder import ImageEncoder
from xpronet.errors import InputError
from xpronet.extensions import PYTHON, is_outside, load_object
from xpronet.model.network import XProNet
from xpronet.model.report_model import ReportModel
from xpronet.model.settings import ModelSettings

WHAT = "report model"
BUILT_IN = {
    "st": "xpronet.rivals.captioner:Captioner",
    "adaatt": "xpronet.rivals.captioner:Captioner",
    "att2in": "xpronet.rivals.captioner:Captioner",
    "topdown": "xpronet.rivals.captioner:Captioner",
}
"""Factories of the other report models that come with the package, by the name that a recipe gives them; they are
imported when they are named, because their rooms lie above this one."""


def build_report_model(
    settings: ModelSettings,
    *,
    backbone: ImageEncoder,
    num_words: int,
    padding: int,
    num_findings: int,
    allow_code: bool = False,
) -> ReportModel:
    """Return a report model with fresh weights.

    The factory of any other model than XProNet is called with the keyword arguments of `ReportModel.__init__` and returns a `ReportModel`.

    Args:
        settings: which model, and its sizes.
        backbone: the image encoder.
        num_words: size of the vocabulary, including special tokens.
        padding: id that fills the end of a report.
        num_findings: K.
        allow_code: whether code of another package may run.

    Raises:
        InputError: there is no such model, its code is not allowed to run, or the settings do not fit it.
    """
    if is_outside(settings.name) or settings.name in BUILT_IN:
        own = settings.name in BUILT_IN
        factory = load_object(
            PYTHON + BUILT_IN[settings.name] if own else settings.name, what=WHAT, allow_code=own or allow_code
        )
        model = factory(
            backbone=backbone, settings=settings, num_words=num_words, padding=padding, num_findings=num_findings
        )
        if not isinstance(model, ReportModel):
            raise InputError(f"{WHAT} {settings.name}: makes a {type(model).__name__}, no xpronet ReportModel")
        return model
    if settings.name != "xpronet":
        known = ", ".join(("xpronet", *BUILT_IN))
        raise InputError(f"model.name = {settings.name!r}: choose {known} or python:package.module:factory")
    if settings.options:
        raise InputError(f"model.options: {', '.join(settings.options)} are for other report models; remove them")
    return XProNet(
        backbone=backbone, settings=settings, num_words=num_words, padding=padding, num_findings=num_findings
    )
