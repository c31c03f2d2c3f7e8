"""Build the report model that settings name: ours, another that comes with the package, or one of another package."""

from collections.abc import Callable, Mapping
from typing import Any

from xpronet.encoders.image_encoder import ImageEncoder
from xpronet.errors import InputError
from xpronet.extensions import PYTHON, is_outside, load_object
from xpronet.model.network import XProNet
from xpronet.model.report_model import DerivedData, ReportModel, TrainStudies
from xpronet.model.settings import ModelSettings

WHAT = "report model"
XPRONET = "xpronet"
BUILT_IN = {
    "st": "xpronet.rivals.captioner:Captioner",
    "adaatt": "xpronet.rivals.captioner:Captioner",
    "att2in": "xpronet.rivals.captioner:Captioner",
    "topdown": "xpronet.rivals.captioner:Captioner",
    "coat": "xpronet.rivals.hierarchical_coat:CoAT",
    "hrgr": "xpronet.rivals.hierarchical_hrgr:HRGR",
    "cmas": "xpronet.rivals.hierarchical_cmas:CMAS",
    "sentsat_kg": "xpronet.rivals.graph_sentsat:SentSATKG",
    "kerp": "xpronet.rivals.graph_kerp:KERP",
    "ratchet": "xpronet.rivals.ratchet:Ratchet",
}
"""Factories of the other report models that come with the package, by the name that a recipe gives them; they are
imported when they are named, because their rooms lie above this one."""


def derive_data(settings: ModelSettings, studies: TrainStudies, *, allow_code: bool = False) -> DerivedData | None:
    """Return what the report model that settings name derives from the train studies; None where it derives nothing.

    Args:
        settings: which model, and its options.
        studies: the train split.
        allow_code: whether code of another package may run.

    Raises:
        InputError: there is no such model, its code is not allowed to run, or it cannot derive what it needs.
    """
    factory = _factory(settings, allow_code=allow_code)
    if not hasattr(factory, "derive"):
        return None
    derived = factory.derive(studies, settings)
    if not isinstance(derived, DerivedData):
        raise InputError(f"{WHAT} {settings.name}: derives a {type(derived).__name__}, no xpronet DerivedData")
    return derived


def build_report_model(
    settings: ModelSettings,
    *,
    backbone: ImageEncoder,
    num_words: int,
    padding: int,
    num_findings: int,
    derived: Mapping[str, Any] | None = None,
    allow_code: bool = False,
) -> ReportModel:
    """Return a report model with fresh weights.

    The factory of any other model than XProNet is called with the keyword arguments of `ReportModel.__init__`, and with
    `derived` if it derives data; it returns a `ReportModel`.

    Args:
        settings: which model, and its sizes.
        backbone: the image encoder.
        num_words: size of the vocabulary, including special tokens and phrases.
        padding: id that fills the end of a report.
        num_findings: K.
        derived: the record of what the model derived from the train studies.
        allow_code: whether code of another package may run.

    Raises:
        InputError: there is no such model, its code is not allowed to run, or the settings do not fit it.
    """
    factory = _factory(settings, allow_code=allow_code)
    more: dict[str, Any] = {}
    if hasattr(factory, "derive"):
        if derived is None:
            raise InputError(
                f"{WHAT} {settings.name}: what it derives from the train studies is missing; train it again"
            )
        more["derived"] = derived
    model = factory(
        backbone=backbone, settings=settings, num_words=num_words, padding=padding, num_findings=num_findings, **more
    )
    if not isinstance(model, ReportModel):
        raise InputError(f"{WHAT} {settings.name}: makes a {type(model).__name__}, no xpronet ReportModel")
    model.derived = derived
    return model


def check_report_model(settings: ModelSettings) -> None:
    """See that there is such a report model, and that it is asked for nothing that it has not; builds nothing.

    Raises:
        InputError: there is no model of that name, or the settings want prototypes or options that it does not have.
    """
    name = settings.name
    if name == XPRONET:
        if settings.options:
            raise InputError(f"model.options: {', '.join(settings.options)} are for other report models; remove them")
    elif name in BUILT_IN:
        if settings.visible != "none":
            raise InputError(
                f"model.visible = {settings.visible!r}: {name} has no prototypes; set model.visible = 'none'"
            )
    elif not is_outside(name):
        known = ", ".join((XPRONET, *BUILT_IN))
        raise InputError(f"model.name = {name!r}: choose {known} or python:package.module:factory")


def _factory(settings: ModelSettings, *, allow_code: bool) -> Callable[..., Any]:
    check_report_model(settings)
    if settings.name == XPRONET:
        return XProNet
    if settings.name in BUILT_IN:
        return load_object(PYTHON + BUILT_IN[settings.name], what=WHAT, allow_code=True)
    return load_object(settings.name, what=WHAT, allow_code=allow_code)
