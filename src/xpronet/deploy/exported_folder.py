"""An exported folder: graphs for an inference engine and everything else that generating reports needs."""

import dataclasses
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from shutil import copyfile
from typing import Any, Literal

import torch

from xpronet.deploy.graphs import Graph, make_graphs
from xpronet.errors import InputError
from xpronet.files import check_utf8_name, new_folder, read_json, write_json
from xpronet.images.transforms import ImageSettings
from xpronet.model.checkpoint import Checkpoint
from xpronet.model.checkpoint_files import (
    CLAIMS_FILE,
    CONFIG_FILE,
    FINDINGS_FILE,
    GATE_FILE,
    TEXTURE_FILE,
    VOCABULARY_FILE,
    load_tensors,
    save_tensors,
)
from xpronet.model.claim_calibration import ClaimCalibration
from xpronet.model.network import as_xpronet
from xpronet.model.out_of_distribution import Gate
from xpronet.model.search_settings import BeamSettings
from xpronet.model.texture_gate import TextureGate
from xpronet.text.vocabulary import Vocabulary, read_vocabulary
from xpronet.training.checkpoints import VIEWS

VERSION = 3
ENDINGS = {"onnx": ".onnx", "openvino": ".xml"}
"""File name extension of the graphs, by format."""
TRACED_WITH = {"onnx": ("onnx", "onnxscript"), "openvino": ("onnx", "onnxscript", "openvino")}
"""Packages that export needs in addition to PyTorch; OpenVINO graphs are converted from ONNX."""

Format = Literal["onnx", "openvino"]


@dataclass(kw_only=True)
class Exported:
    """The contents of a folder apart from its graphs: what report generation needs to know about the model."""

    folder: Path
    """The folder."""
    format: Format
    """Format of its graphs."""
    model: str
    """Fingerprint of the checkpoint that was exported."""
    vocabulary: Vocabulary
    """The model's words."""
    images: ImageSettings
    """How its input images are prepared."""
    max_views: int
    """Views it uses of each study."""
    findings: tuple[str, ...]
    """Names of its findings, in the order of its outputs."""
    thresholds: dict[str, float]
    """Probability from which on each finding counts as present."""
    per_finding: int | None
    """Prototypes of each finding; None where prototypes belong to no finding."""
    search: BeamSettings
    """Settings of the beam search."""
    predicts_findings: bool
    """Whether it has a findings head."""
    training: dict[str, Any]
    """What views the studies had that the model learned from, where its checkpoint says so."""
    layers: int
    """Decoder layers; each has a cache of keys and one of values."""
    heads: int
    """Attention heads."""
    head_width: int
    """Width of a head."""
    gate: Gate | None
    """Detects out-of-distribution images; None if the checkpoint had none."""
    texture: TextureGate | None
    """Tells drawings from films; None if the checkpoint had none."""
    claims: ClaimCalibration | None
    """How far its claims can be believed; None if the checkpoint had no calibration."""

    def graph_file(self, name: str) -> Path:
        """Return the file of one graph."""
        return self.folder / (name + ENDINGS[self.format])


def read_exported(folder: Path) -> Exported:
    """Read an exported folder, except its graphs.

    Raises:
        InputError: it is not an exported folder, a file in it is damaged, or its name is not UTF-8, as runtimes need.
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
            findings=tuple(findings["names"]),
            thresholds={name: float(findings["thresholds"][name]) for name in findings["names"]},
            per_finding=config["per_finding"],
            search=BeamSettings(**config["search"]),
            predicts_findings=bool(config["predicts_findings"]),
            layers=int(config["layers"]),
            training=dict(config["training"]),
            heads=int(config["heads"]),
            head_width=int(config["head_width"]),
            gate=_read_gate(folder) if config["gate"] else None,
            texture=_read_texture(folder) if config.get("texture") else None,
            claims=_read_claims(folder) if config.get("claims") else None,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{folder}: damaged exported folder ({error}); export it again") from None


def export_folder(
    checkpoint: Checkpoint,
    folder: Path,
    *,
    to: Format,
    model: str,
    beside: Sequence[Path] = (),
    overwrite: bool = False,
) -> list[tuple[str, int]]:
    """Write a model as graphs, with everything else that generating reports needs.

    Args:
        checkpoint: the model, on the CPU.
        folder: where to.
        to: the graphs' format.
        model: the checkpoint's fingerprint.
        beside: files to copy beside the graphs: what the model learned from and what it is worth.
        overwrite: replace a folder that is there.

    Returns:
        Name and size in bytes of each file.

    Raises:
        InputError: a package that export needs is not installed, or the folder exists or has a name not in UTF-8.
    """
    network = as_xpronet(checkpoint.network, "export").eval()
    missing = [package for package in TRACED_WITH[to] if find_spec(package) is None]
    if missing:
        raise InputError(f"--to {to} needs {', '.join(missing)}: pip install 'xpronet[onnx,openvino]'")
    check_utf8_name(folder)
    settings = network.settings
    config = {
        "format": to,
        "version": VERSION,
        "model": model,
        "images": dataclasses.asdict(checkpoint.images),
        "max_views": checkpoint.max_views,
        "per_finding": checkpoint.per_finding,
        "search": dataclasses.asdict(checkpoint.search),
        "predicts_findings": checkpoint.network.findings_head is not None,
        "layers": settings.layers,
        "training": {VIEWS: checkpoint.training[VIEWS]} if VIEWS in checkpoint.training else {},
        "heads": settings.heads,
        "head_width": settings.width // settings.heads,
        "gate": checkpoint.gate is not None,
        "texture": checkpoint.texture is not None,
        "claims": checkpoint.claims is not None,
    }
    with new_folder(folder, overwrite=overwrite) as temporary:
        for graph in make_graphs(network, size=checkpoint.images.size):
            _write_onnx(graph, temporary / f"{graph.name}.onnx")
            if to == "openvino":
                _convert(temporary / f"{graph.name}.onnx", temporary / f"{graph.name}.xml")
        write_json(temporary / CONFIG_FILE, config)
        write_json(temporary / VOCABULARY_FILE, checkpoint.vocabulary.record())
        names = list(checkpoint.findings)
        write_json(temporary / FINDINGS_FILE, {"names": names, "thresholds": checkpoint.thresholds})
        if checkpoint.gate is not None:
            save_tensors(temporary / GATE_FILE, checkpoint.gate.tensors())
        if checkpoint.texture is not None:
            save_tensors(temporary / TEXTURE_FILE, checkpoint.texture.tensors())
        if checkpoint.claims is not None:
            write_json(temporary / CLAIMS_FILE, checkpoint.claims.record())
        for path in beside:
            copyfile(path, temporary / path.name)
    return [(path.name, path.stat().st_size) for path in sorted(folder.iterdir())]


def _read_gate(folder: Path) -> Gate:
    return Gate.from_tensors(load_tensors(folder / GATE_FILE), str(folder / GATE_FILE))


def _read_texture(folder: Path) -> TextureGate:
    return TextureGate.from_tensors(load_tensors(folder / TEXTURE_FILE), str(folder / TEXTURE_FILE))


def _read_claims(folder: Path) -> ClaimCalibration:
    return ClaimCalibration.from_record(read_json(folder / CLAIMS_FILE), str(folder / CLAIMS_FILE))


def _write_onnx(graph: Graph, path: Path) -> None:
    """Trace a graph and write it with its weights, which stay far below the format's limit of two gigabytes."""
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
    """Convert an ONNX graph to OpenVINO with weights in full precision, and remove the source."""
    import openvino

    openvino.save_model(openvino.convert_model(source), target, compress_to_fp16=False)
    source.unlink()


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter's messages about packages that we do not use and about its own use of PyTorch."""
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
