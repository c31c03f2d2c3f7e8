"""An exported folder: graphs for a runtime, and everything else that is needed to write reports with them."""

import dataclasses
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import torch

from xpronet.data.transforms import ImageSettings
from xpronet.data.vocabulary import Vocabulary, read_vocabulary
from xpronet.deploy.graphs import Graph, make_graphs
from xpronet.errors import InputError
from xpronet.files import check_utf8_name, new_folder, read_json, write_json
from xpronet.generate.beam import BeamSettings
from xpronet.model.checkpoint import (
    CONFIG_FILE,
    FINDINGS_FILE,
    GATE_FILE,
    VOCABULARY_FILE,
    Checkpoint,
    load_tensors,
    save_tensors,
)
from xpronet.model.gate import Gate

VERSION = 2
ENDINGS = {"onnx": ".onnx", "openvino": ".xml"}
"""What a graph's file ends with, by the folder's format."""
TRACED_WITH = {"onnx": ("onnx", "onnxscript"), "openvino": ("onnx", "onnxscript", "openvino")}
"""Packages that exporting needs beyond PyTorch; OpenVINO's graphs are converted from ONNX ones."""

Format = Literal["onnx", "openvino"]


@dataclass(kw_only=True)
class Exported:
    """What a folder says beside its graphs: all that a writer must know of the model."""

    folder: Path
    """Where it is."""
    format: Format
    """What its graphs are written in."""
    model: str
    """The fingerprint of the checkpoint it was made from."""
    vocabulary: Vocabulary
    """The model's words."""
    images: ImageSettings
    """How pictures are shown to it."""
    max_views: int
    """Views it uses of each study."""
    max_words: int
    """Longest report it writes."""
    findings: tuple[str, ...]
    """Names of its findings, in the order of its outputs."""
    thresholds: dict[str, float]
    """Probability from which on each finding counts as present."""
    per_finding: int | None
    """Prototypes of each finding; None where prototypes belong to no finding."""
    search: BeamSettings
    """How its reports are searched for."""
    predicts_findings: bool
    """Whether it has a findings head."""
    layers: int
    """Decoder layers: pairs of caches."""
    heads: int
    """Attention heads."""
    head_width: int
    """Width of each."""
    gate: Gate | None
    """Warns of pictures unlike those the model learnt from, where the checkpoint had one."""

    def graph_file(self, name: str) -> Path:
        """Return the file of one graph."""
        return self.folder / (name + ENDINGS[self.format])


def is_exported(path: Path) -> bool:
    """Say whether a folder was written by `export_folder`."""
    if not (path / CONFIG_FILE).is_file():
        return False
    config = read_json(path / CONFIG_FILE)
    return isinstance(config, dict) and config.get("format") in ENDINGS


def read_exported(folder: Path) -> Exported:
    """Read what a folder says beside its graphs.

    Raises:
        InputError: the folder is none, a file in it is damaged, or its name is not UTF-8, which the runtimes need.
    """
    check_utf8_name(folder)
    config = read_json(folder / CONFIG_FILE)
    vocabulary = read_vocabulary(read_json(folder / VOCABULARY_FILE), str(folder / VOCABULARY_FILE))
    findings = read_json(folder / FINDINGS_FILE)
    try:
        if config["format"] not in ENDINGS or config["version"] != VERSION:
            raise InputError(f"{folder / CONFIG_FILE}: not an exported folder of version {VERSION}; export it again")
        return Exported(
            folder=folder,
            format=config["format"],
            model=str(config["model"]),
            vocabulary=vocabulary,
            images=ImageSettings(**config["images"]),
            max_views=int(config["max_views"]),
            max_words=int(config["max_words"]),
            findings=tuple(findings["names"]),
            thresholds={name: float(findings["thresholds"][name]) for name in findings["names"]},
            per_finding=config["per_finding"],
            search=BeamSettings(**config["search"]),
            predicts_findings=bool(config["predicts_findings"]),
            layers=int(config["layers"]),
            heads=int(config["heads"]),
            head_width=int(config["head_width"]),
            gate=_read_gate(folder) if config["gate"] else None,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{folder}: a damaged exported folder ({error}); export it again") from None


def export_folder(
    checkpoint: Checkpoint, folder: Path, *, to: Format, model: str, search: BeamSettings, overwrite: bool = False
) -> list[tuple[str, int]]:
    """Write a model as graphs that run without PyTorch's network, with all that belongs to it.

    Args:
        checkpoint: the model, on the CPU.
        folder: where to.
        to: the graphs' format.
        model: the checkpoint's fingerprint.
        search: how its reports are searched for.
        overwrite: replace a folder that is there.

    Returns:
        Each file's name and size in bytes.

    Raises:
        InputError: a package that exporting needs is not installed, or the folder exists or has a name not in UTF-8.
    """
    missing = [package for package in TRACED_WITH[to] if find_spec(package) is None]
    if missing:
        raise InputError(f"--to {to} needs {', '.join(missing)}: pip install 'xpronet[onnx,openvino]'")
    check_utf8_name(folder)
    settings = checkpoint.network.settings
    config = {
        "format": to,
        "version": VERSION,
        "model": model,
        "images": dataclasses.asdict(checkpoint.images),
        "max_views": checkpoint.max_views,
        "max_words": checkpoint.max_words,
        "per_finding": checkpoint.per_finding,
        "search": dataclasses.asdict(search),
        "predicts_findings": checkpoint.network.findings_head is not None,
        "layers": settings.layers,
        "heads": settings.heads,
        "head_width": settings.width // settings.heads,
        "gate": checkpoint.gate is not None,
    }
    with new_folder(folder, overwrite=overwrite) as temporary:
        for graph in make_graphs(checkpoint.network.eval(), size=checkpoint.images.size):
            _write_onnx(graph, temporary / f"{graph.name}.onnx")
            if to == "openvino":
                _convert(temporary / f"{graph.name}.onnx", temporary / f"{graph.name}.xml")
        write_json(temporary / CONFIG_FILE, config)
        write_json(temporary / VOCABULARY_FILE, checkpoint.vocabulary.record())
        names = list(checkpoint.findings)
        write_json(temporary / FINDINGS_FILE, {"names": names, "thresholds": checkpoint.thresholds})
        if checkpoint.gate is not None:
            save_tensors(temporary / GATE_FILE, checkpoint.gate.tensors())
    return [(path.name, path.stat().st_size) for path in sorted(folder.iterdir())]


def _read_gate(folder: Path) -> Gate:
    return Gate.from_tensors(load_tensors(folder / GATE_FILE), str(folder / GATE_FILE))


def _write_onnx(graph: Graph, path: Path) -> None:
    """Trace a graph and write it, weights inside: one graph stays far below the format's two gigabytes."""
    shapes = [dict.fromkeys(axes, torch.export.Dim.DYNAMIC) for axes in graph.inputs.values()]
    named, rest = shapes[: graph.fixed], shapes[graph.fixed :]
    with torch.no_grad(), _quiet():
        program = torch.export.export(
            graph.module,
            graph.example,
            dynamic_shapes=(*named, tuple(rest)) if rest else tuple(named),
            strict=False,
        )
        torch.onnx.export(
            program,
            f=path,
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            external_data=False,
            verbose=False,
        )


def _convert(source: Path, target: Path) -> None:
    """Rewrite an ONNX graph as OpenVINO's, weights in full precision, and remove the source."""
    import openvino

    openvino.save_model(openvino.convert_model(source), target, compress_to_fp16=False)
    source.unlink()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what the exporter says of packages that we do not use, and of its own use of PyTorch."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        logger.setLevel(level)
