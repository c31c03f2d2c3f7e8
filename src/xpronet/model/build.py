"""Build the report model that settings name: ours, or one of another package."""

from xpronet.encoders.image_encoder import ImageEncoder
from xpronet.errors import InputError
from xpronet.extensions import is_outside, load_object
from xpronet.model.network import XProNet
from xpronet.model.report_model import ReportModel
from xpronet.model.settings import ModelSettings

WHAT = "report model"


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

    An outside factory is called with the keyword arguments of `ReportModel.__init__` and returns a `ReportModel`.

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
    if is_outside(settings.name):
        factory = load_object(settings.name, what=WHAT, allow_code=allow_code)
        model = factory(
            backbone=backbone, settings=settings, num_words=num_words, padding=padding, num_findings=num_findings
        )
        if not isinstance(model, ReportModel):
            raise InputError(f"{WHAT} {settings.name}: makes a {type(model).__name__}, no xpronet ReportModel")
        return model
    if settings.name != "xpronet":
        raise InputError(f"model.name = {settings.name!r}: choose xpronet or python:package.module:factory")
    if settings.options:
        raise InputError(f"model.options: {', '.join(settings.options)} are for outside report models; remove them")
    return XProNet(
        backbone=backbone, settings=settings, num_words=num_words, padding=padding, num_findings=num_findings
    )
