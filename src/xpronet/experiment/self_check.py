"""Does the network compute here what it should? The report about a drawn study, compared with a stored one.

The study and its report lie beside the model that comes with the package, demo_model/check_study: the images, and the
report in fp32 with all its numbers, as `report --json` writes them.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import torch

from xpronet.deploy.demo_model import demo_model
from xpronet.deploy.load import load
from xpronet.experiment.demo_report import VIEWS, draw_demo_study
from xpronet.files import read_json, write_json
from xpronet.generation.generator import ReportGenerator
from xpronet.images.read import read_grey, write_grey
from xpronet.phantom.draw_views import POSITIONS
from xpronet.precision import settled_precision

STUDY = "check_study"
"""Folder of the study beside the model's files."""
REPORT = "report.json"
Precision = Literal["fp32", "bf16"]
Format = Literal["onnx", "openvino"]


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """How far numbers may be from the stored ones."""

    probability: float
    """Of the findings."""
    log_probability: float
    """Of a word, in nats."""
    attention: float
    """Of a word to a region; all regions together have 1."""

    def record(self) -> dict[str, float]:
        """Return the tolerances by name."""
        return {
            "probability": self.probability,
            "log probability": self.log_probability,
            "attention": self.attention,
        }


TOLERANCES: Mapping[tuple[str, str], Tolerance] = {
    ("cpu", "fp32"): Tolerance(probability=1e-3, log_probability=5e-3, attention=1e-3),
    ("cpu", "bf16"): Tolerance(probability=0.02, log_probability=0.05, attention=0.01),
    ("cuda", "fp32"): Tolerance(probability=5e-3, log_probability=2e-2, attention=5e-3),
    ("cuda", "bf16"): Tolerance(probability=0.02, log_probability=0.05, attention=0.01),
    ("onnxruntime", "fp32"): Tolerance(probability=1e-3, log_probability=5e-3, attention=1e-3),
    ("openvino", "fp32"): Tolerance(probability=1e-3, log_probability=5e-3, attention=1e-3),
}
"""By runtime (PyTorch by its device) and precision. Another order of sums changes the last digits; bf16 has 8 bits."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One report beside the stored one."""

    runtime: str
    """cpu or cuda, where PyTorch computed; else the engine."""
    precision: Precision
    """Of the image encoder."""
    same_text: bool
    """Whether the text is the stored one, to the byte."""
    same_findings: bool
    """Whether the same findings count as present."""
    distances: Mapping[str, float]
    """The largest distance of a number of each kind, by name as `Tolerance.record` has them."""

    @property
    def is_right(self) -> bool:
        """Whether text and findings are the stored ones and all numbers within tolerance."""
        allowed = TOLERANCES[self.runtime, self.precision].record()
        return self.same_text and self.same_findings and all(self.distances[name] <= allowed[name] for name in allowed)

    def line(self) -> str:
        """Return it in a line."""
        allowed = TOLERANCES[self.runtime, self.precision].record()
        numbers = ", ".join(f"{name} {self.distances[name]:.1g} ({allowed[name]:g})" for name in allowed)
        text = "same text" if self.same_text else "ANOTHER TEXT"
        findings = "same findings" if self.same_findings else "OTHER FINDINGS"
        where = f"PyTorch on {self.runtime}" if self.runtime in ("cpu", "cuda") else self.runtime
        return f"{where}, {self.precision}: {text}, {findings}; numbers differ by (allowed): {numbers}"


def check_reports(*, exported: bool = False, notify: Callable[[str], object] = lambda _: None) -> list[Comparison]:
    """Compute the report in every way that this machine has, and compare each with the stored one.

    Args:
        exported: also export the model, and compute it in ONNX Runtime and OpenVINO where these are installed.
        notify: takes each comparison's line when it is done.

    Raises:
        InputError: the package's model or study is damaged.
    """
    folder = demo_model() / STUDY
    images = [read_grey(folder / name) for name in VIEWS.values()]
    stored = read_json(folder / REPORT)
    done = []
    for runtime, precision, generator in _generators(exported=exported):
        answer = generator.report(images).answer(model=generator.fingerprint)
        comparison = compare(answer, stored, runtime=runtime, precision=precision)
        notify(comparison.line())
        done.append(comparison)
    return done


def compare(answer: Mapping[str, Any], stored: Mapping[str, Any], *, runtime: str, precision: Precision) -> Comparison:
    """Compare a report with the stored one, both as `Report.answer` gives them.

    Numbers of words are compared as far as the texts agree.
    """
    words = list(_agreeing(answer["words"], stored["words"]))
    return Comparison(
        runtime=runtime,
        precision=precision,
        same_text=answer["report"] == stored["report"],
        same_findings=_present(answer) == _present(stored),
        distances={
            "probability": max(
                abs(ours["probability"] - theirs["probability"])
                for ours, theirs in zip(answer["findings"], stored["findings"], strict=True)
            ),
            "log probability": max(
                (abs(ours["log_probability"] - theirs["log_probability"]) for ours, theirs in words), default=0.0
            ),
            "attention": max(
                (
                    float(np.abs(np.array(ours["attention"]) - np.array(theirs["attention"])).max())
                    for ours, theirs in words
                ),
                default=0.0,
            ),
        },
    )


def largest_drawing_difference() -> int:
    """Return by how many of 255 grey values the study, drawn anew, differs at most from the stored images."""
    folder, drawn = demo_model() / STUDY, draw_demo_study()
    return max(
        int(np.abs(read_grey(folder / VIEWS[position]).astype(int) - drawn.views[position][0].astype(int)).max())
        for position in POSITIONS
    )


def store_check_study(model: Path) -> None:
    """Draw the study, write the report about it on the CPU in fp32, and store both beside a model's files."""
    drawn = draw_demo_study()
    images = [drawn.views[position][0] for position in POSITIONS]
    generator = load(model, device="cpu")
    folder = model / STUDY
    folder.mkdir(exist_ok=True)
    for name, image in zip(VIEWS.values(), images, strict=True):
        write_grey(folder / name, image, overwrite=True)
    answer = generator.report(images).answer(model=generator.fingerprint)
    write_json(folder / REPORT, answer, overwrite=True)


def _generators(*, exported: bool) -> Iterator[tuple[str, Precision, ReportGenerator]]:
    """Yield every way to compute a report here."""
    folder = demo_model()
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    for device in devices:
        yield device, "fp32", load(folder, device=device)
        if settled_precision("auto", torch.device(device)) == "bf16":
            yield device, "bf16", load(folder, device=device, precision="bf16")
    if not exported:
        return
    from xpronet.deploy.exported_folder import TRACED_WITH, export_folder
    from xpronet.model.checkpoint import load_checkpoint
    from xpronet.model.checkpoint_files import fingerprint

    engines: tuple[tuple[str, Format], ...] = (("onnxruntime", "onnx"), ("openvino", "openvino"))
    for engine, form in engines:
        if all(find_spec(module) is not None for module in (engine, *TRACED_WITH[form])):
            with TemporaryDirectory() as temporary:
                graphs = Path(temporary) / "graphs"
                export_folder(load_checkpoint(folder), graphs, to=form, model=fingerprint(folder))
                yield engine, "fp32", load(graphs)


def _agreeing(ours: list[Any], theirs: list[Any]) -> Iterator[tuple[Any, Any]]:
    """Yield pairs of words up to the first that differs."""
    for our, their in zip(ours, theirs, strict=False):
        if our["text"] != their["text"]:
            return
        yield our, their


def _present(answer: Mapping[str, Any]) -> list[str]:
    return [finding["name"] for finding in answer["findings"] if finding["present"]]
