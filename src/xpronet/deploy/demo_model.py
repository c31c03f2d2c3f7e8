"""The small model of drawn X-rays that comes with the package: it shows what a report is, and that all works here.

Its folder is what `xpronet pack` wrote at the end of experiments/demo_model.sh, with its card and scorecard. Its
weights are fp16; everything computes in fp32.
"""

from pathlib import Path

from xpronet.errors import InputError

DEMO = "demo"
"""Its name wherever a model is named; a folder of that name is ./demo."""


def demo_model() -> Path:
    """Return the folder of the model that comes with the package.

    Raises:
        InputError: this installation lacks it.
    """
    folder = Path(__file__).parents[1] / "demo_model"
    if not folder.is_dir():
        raise InputError(f"{folder}: the model of drawn X-rays is missing; install the package again")
    return folder
