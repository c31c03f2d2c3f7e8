"""Draft radiology reports from chest X-ray studies, with the evidence.

    import xpronet

    model = xpronet.load("run")
    report = model.report(["frontal.png", "lateral.dcm"])
    card = xpronet.evaluate(predictions, corpus="corpus")

Names are imported when they are first used, so that `import xpronet` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PUBLIC = {
    "load": "xpronet.deploy.load",
    "ReportGenerator": "xpronet.generation.generator",
    "Report": "xpronet.generation.report",
    "open_corpus": "xpronet.data.corpus",
    "Corpus": "xpronet.data.corpus",
    "Study": "xpronet.data.study",
    "View": "xpronet.data.study",
    "train": "xpronet.experiment.run",
    "evaluate": "xpronet.evaluation.evaluate",
    "EvaluationSettings": "xpronet.evaluation.settings",
    "Scorecard": "xpronet.evaluation.scorecard",
    "InputError": "xpronet.errors",
}
"""Where each public name lives."""

__all__ = ["__version__", *_PUBLIC]

if TYPE_CHECKING:
    from xpronet.data.corpus import Corpus as Corpus
    from xpronet.data.corpus import open_corpus as open_corpus
    from xpronet.data.study import Study as Study
    from xpronet.data.study import View as View
    from xpronet.deploy.load import load as load
    from xpronet.errors import InputError as InputError
    from xpronet.evaluation.evaluate import evaluate as evaluate
    from xpronet.evaluation.scorecard import Scorecard as Scorecard
    from xpronet.evaluation.settings import EvaluationSettings as EvaluationSettings
    from xpronet.experiment.run import train as train
    from xpronet.generation.generator import ReportGenerator as ReportGenerator
    from xpronet.generation.report import Report as Report


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'xpronet' has no attribute {name!r}")
    value = getattr(import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
