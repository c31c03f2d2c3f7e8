"""A checkpoint folder: weights, settings, vocabulary, findings and training record. Nothing in it is unpickled."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from xpronet.encoders.build import image_encoder_of_record, image_encoder_record
from xpronet.encoders.image_encoder import ImageEncoder
from xpronet.errors import InputError
from xpronet.files import file_hash, new_file, new_folder, read_json, utf8_name, write_json
from xpronet.images.transforms import ImageSettings
from xpronet.model.build import build_report_model
from xpronet.model.claim_calibration import ClaimCalibration
from xpronet.model.out_of_distribution import Gate
from xpronet.model.report_model import ReportModel
from xpronet.model.search_settings import BeamSettings
from xpronet.model.settings import ModelSettings
from xpronet.model.texture_gate import TextureGate
from xpronet.text.vocabulary import Vocabulary, read_vocabulary

MANIFEST_FILE = "manifest.json"


def write_manifest(folder: Path) -> None:
    """Record the size and hash of every file in a folder; folders in it are no part of a checkpoint."""
    files = {
        path.name: {"bytes": path.stat().st_size, "sha256": file_hash(path)}
        for path in sorted(folder.iterdir())
        if path.name != MANIFEST_FILE and path.is_file()
    }
    write_json(folder / MANIFEST_FILE, {"files": files}, overwrite=True)


def listed_files(folder: Path) -> frozenset[str]:
    """Return the file names in a folder's manifest; none if it has no manifest.

    Raises:
        InputError: the manifest is damaged.
    """
    manifest = folder / MANIFEST_FILE
    return frozenset(_noted(manifest)) if manifest.is_file() else frozenset()


def check_files(folder: Path, names: Sequence[str]) -> None:
    """Compare files with their manifest entries; other files in the folder are ignored.

    Raises:
        InputError: the manifest is damaged, or a file is not listed, missing, or has changed since it was saved.
    """
    manifest = folder / MANIFEST_FILE
    files = _noted(manifest)
    for name in names:
        path, noted = folder / name, files.get(name)
        if not isinstance(noted, dict):
            raise InputError(f"{manifest}: does not list {name}; use another checkpoint")
        if not path.is_file():
            raise InputError(f"{path}: no such file; use another checkpoint")
        size = path.stat().st_size
        if size != noted.get("bytes"):
            raise InputError(f"{path}: damaged ({size} bytes instead of {noted.get('bytes')}); use another checkpoint")
        if file_hash(path) != noted.get("sha256"):
            raise InputError(f"{path}: damaged (its hash has changed); use another checkpoint")


def _noted(manifest: Path) -> dict[str, Any]:
    record = read_json(manifest)
    files = record.get("files") if isinstance(record, dict) else None
    if not isinstance(files, dict):
        raise InputError(f"{manifest}: not a manifest; use another checkpoint")
    return files


FORMAT = 3
"""Since 3, a checkpoint holds its search settings; those of earlier development versions are not read."""
WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"
VOCABULARY_FILE = "vocabulary.json"
FINDINGS_FILE = "findings.json"
TRAINING_FILE = "training.json"
DERIVED_FILE = "derived.json"
"""Present only if the report model derived data from the train studies."""
CLAIMS_FILE = "claims.json"
"""Present only if the claims were calibrated; its search settings take the place of the configuration's."""
GATE_FILE = "picture_gate.safetensors"
"""Present only if a gate was fitted; gate.safetensors, made from other features, is ignored."""
EXPORTED_FORMATS = ("onnx", "openvino")
"""What config.json of an exported folder, which is no checkpoint, has for its format."""
TEXTURE_FILE = "texture_gate.safetensors"
"""Present only if a texture gate was fitted."""
DEFAULT_THRESHOLD = 0.5


@dataclass(kw_only=True)
class Checkpoint:
    """A network with everything that is needed to use it."""

    network: ReportModel
    """The weights and their settings."""
    vocabulary: Vocabulary
    """Its words."""
    images: ImageSettings
    """How its input images are prepared."""
    max_views: int
    """Views it uses of each study."""
    search: BeamSettings
    """How it searches for reports, and how long they get."""
    findings: tuple[str, ...]
    """Names of its findings, in the order of the network's outputs."""
    thresholds: dict[str, float]
    """Calibrated probability from which on each finding counts as present; chosen on the validation split."""
    training: dict[str, Any] = field(default_factory=dict)
    """Its position in the training run and its validation scores."""
    gate: Gate | None = None
    """Detects out-of-distribution images; None until it has been fitted."""
    texture: TextureGate | None = None
    """Tells drawings from films; None until it has been fitted."""
    claims: ClaimCalibration | None = None
    """How far its claims can be believed; None until it has been fitted."""

    @property
    def per_finding(self) -> int | None:
        """Return the prototypes of each finding, None where prototypes belong to no finding."""
        return self.network.settings.per_finding if self.network.settings.visible == "findings" else None

    def save(self, folder: Path, *, extra_tensors: Mapping[str, Mapping[str, Tensor]] | None = None) -> None:
        """Write the folder; an existing one stays until the new one is complete.

        Args:
            folder: to write to.
            extra_tensors: tensors by name for each additional file (for example, the optimiser's).
        """
        gates = {GATE_FILE: self.gate, TEXTURE_FILE: self.texture}
        gate = {file: each.tensors() for file, each in gates.items() if each is not None}
        with new_folder(folder, overwrite=True) as temporary:
            for file, tensors in {WEIGHTS_FILE: self.network.state_dict(), **gate, **(extra_tensors or {})}.items():
                save_tensors(temporary / file, tensors)
            if self.claims is not None:
                write_json(temporary / CLAIMS_FILE, self.claims.record())
            config = {
                "format": FORMAT,
                "backbone": image_encoder_record(self.network.backbone),
                "images": dataclasses.asdict(self.images),
                "model": dataclasses.asdict(self.network.settings),
                "max_views": self.max_views,
                "search": dataclasses.asdict(self.search),
            }
            write_json(temporary / CONFIG_FILE, config)
            write_json(temporary / VOCABULARY_FILE, self.vocabulary.record())
            if self.network.derived is not None:
                write_json(temporary / DERIVED_FILE, self.network.derived)
            write_json(temporary / FINDINGS_FILE, self._findings())
            write_json(temporary / TRAINING_FILE, self.training)
            write_manifest(temporary)

    def adopt_findings(self, record: Mapping[str, Any]) -> None:
        """Take thresholds and calibration from the contents of findings.json; without a calibration nothing is scaled.

        Raises:
            KeyError: a finding is missing.
            ValueError, TypeError: a value is not a number.
        """
        thresholds = {name: float(record["thresholds"][name]) for name in self.findings}
        columns = record.get("calibration", {})
        calibration = torch.tensor([[float(value) for value in columns.get(name, (1, 0))] for name in self.findings])
        if calibration.shape != (len(self.findings), 2) or not (
            calibration.isfinite().all() and (calibration[:, 0] > 0).all()
        ):
            raise ValueError("a calibration is a scale above 0 and a shift for each finding")
        self.thresholds = thresholds
        self.network.calibrate(calibration.T)

    def _findings(self) -> dict[str, Any]:
        """Return the contents of findings.json."""
        columns = self.network.calibration.T.tolist()
        return {
            "names": list(self.findings),
            "thresholds": self.thresholds,
            "calibration": dict(zip(self.findings, columns, strict=True)),
        }


def load_checkpoint(folder: Path, *, allow_code: bool = False) -> Checkpoint:
    """Read a checkpoint folder, or the best checkpoint of a run folder; the network comes in evaluation mode.

    Args:
        folder: the checkpoint or run.
        allow_code: whether an image encoder or report model of another package, "python:package.module:factory",
            may run.

    Raises:
        InputError: no checkpoint is there, a file in it is damaged or does not fit the others, or its image encoder
            or report model is an outside one that is not allowed or not installed.
    """
    folder = find_checkpoint(folder)
    check_checkpoint(folder)
    config = read_json(folder / CONFIG_FILE)
    vocabulary = read_vocabulary(read_json(folder / VOCABULARY_FILE), str(folder / VOCABULARY_FILE))
    findings = read_json(folder / FINDINGS_FILE)
    training = read_json(folder / TRAINING_FILE)
    backbone = _image_encoder(config, folder, allow_code=allow_code)
    network = _report_model(config, folder, backbone, vocabulary, findings, allow_code=allow_code)
    try:
        checkpoint = Checkpoint(
            network=network,
            vocabulary=vocabulary,
            images=ImageSettings(**config["images"]),
            max_views=int(config["max_views"]),
            search=BeamSettings(**config["search"]),
            findings=tuple(findings["names"]),
            thresholds={},
            training=training,
        )
        checkpoint.adopt_findings(findings)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(f"{folder}: damaged checkpoint ({error}); make it again or use another") from None
    load_weights(network, folder / WEIGHTS_FILE)
    checkpoint.gate = load_gate(folder)
    checkpoint.texture = load_texture_gate(folder)
    checkpoint.claims = load_claims(folder)
    if checkpoint.claims is not None and checkpoint.claims.search is not None:
        checkpoint.search = checkpoint.claims.search
    network.eval()
    return checkpoint


def _image_encoder(config: Mapping[str, Any], folder: Path, *, allow_code: bool) -> ImageEncoder:
    """Build the encoder that a checkpoint describes, its weights still to be loaded."""
    try:
        return image_encoder_of_record(config["backbone"], allow_code=allow_code)
    except InputError as error:
        raise InputError(f"{folder}: {error}") from None
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{folder}: a damaged checkpoint ({error}); make it again or take another") from None


def _report_model(
    config: Mapping[str, Any],
    folder: Path,
    backbone: ImageEncoder,
    vocabulary: Vocabulary,
    findings: Any,
    *,
    allow_code: bool,
) -> ReportModel:
    """Build the report model that a checkpoint describes, its weights still to be loaded."""
    try:
        settings, num_findings = ModelSettings(**config["model"]), len(findings["names"])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(f"{folder}: damaged checkpoint ({error}); make it again or use another") from None
    try:
        return build_report_model(
            settings,
            backbone=backbone,
            num_words=len(vocabulary),
            padding=vocabulary.padding,
            num_findings=num_findings,
            derived=_derived(folder),
            allow_code=allow_code,
        )
    except InputError as error:
        raise InputError(f"{folder}: {error}") from None


def _derived(folder: Path) -> dict[str, Any] | None:
    """Return what the report model of a checkpoint derived from its train studies, if it did."""
    if DERIVED_FILE not in listed_files(folder):
        return None
    check_files(folder, [DERIVED_FILE])
    record = read_json(folder / DERIVED_FILE)
    if not isinstance(record, dict):
        raise InputError(f"{folder / DERIVED_FILE}: not a table; make the checkpoint again or use another")
    return record


def find_checkpoint(path: Path) -> Path:
    """Return the checkpoint folder that a path refers to: itself, or the best (else the last) of a run folder.

    A link is followed once, so that all files come from one checkpoint even while the run continues. In a run that was
    copied without its links, the newest best-… (else step-…) folder is what the link led to.

    Raises:
        InputError: there is none.
    """
    run = path / "checkpoints"
    newest = (folder for pattern in ("best-*", "step-*") for folder in sorted(run.glob(pattern), reverse=True))
    for folder in (path, run / "best", *newest, run / "last"):
        if (folder / CONFIG_FILE).is_file():
            return folder.resolve() if folder.is_symlink() else folder
    raise InputError(f"{path}: neither a checkpoint nor a run with one; train one with `xpronet train`")


def check_checkpoint(folder: Path, *extra_files: str) -> None:
    """Compare a checkpoint's files with the sizes and hashes that were recorded when it was saved.

    Args:
        folder: the checkpoint folder.
        extra_files: files that must exist in addition to those of every checkpoint.

    Raises:
        InputError: a file is missing or has changed since it was saved, or the format is unknown.
    """
    files = (CONFIG_FILE, VOCABULARY_FILE, FINDINGS_FILE, TRAINING_FILE, WEIGHTS_FILE, *extra_files)
    if not (folder / MANIFEST_FILE).exists() and is_exported(folder):
        raise InputError(
            f"{folder}: an exported folder; `report` and `generate` take it, for everything else name the run or "
            "checkpoint that it was made from"
        )
    check_files(folder, files)
    config = read_json(folder / CONFIG_FILE)
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise InputError(f"{folder / CONFIG_FILE}: not a checkpoint of format {FORMAT}; train or import it again")


def is_exported(folder: Path) -> bool:
    """Return whether a folder holds exported graphs, as `xpronet export` writes them."""
    if not (folder / CONFIG_FILE).is_file():
        return False
    config = read_json(folder / CONFIG_FILE)
    return isinstance(config, dict) and config.get("format") in EXPORTED_FORMATS


def load_weights(network: ReportModel, path: Path) -> None:
    """Load the weights of a network from a file, strictly.

    Raises:
        InputError: the file is damaged, or a tensor is missing, unknown or of another shape.
    """
    state = load_tensors(path)
    own = network.state_dict()
    wrong = [name for name in own if name not in state or state[name].shape != own[name].shape]
    wrong += [name for name in state if name not in own]
    if wrong:
        raise InputError(f"{path}: {len(wrong)} tensors do not fit {CONFIG_FILE}, the first are {', '.join(wrong[:3])}")
    network.load_state_dict(state)


def add_gate(run: Path, gate: Gate) -> Path:
    """Add a gate to a checkpoint, or to the best checkpoint of a run, and return that folder.

    Raises:
        InputError: no checkpoint is there, or it is damaged.
    """
    folder = find_checkpoint(run).resolve()
    check_checkpoint(folder)
    # What the manifest does not list is not there: a kill between the two leaves the checkpoint as it was.
    save_tensors(folder / GATE_FILE, gate.tensors(), overwrite=True)
    write_manifest(folder)
    return folder


def load_gate(run: Path) -> Gate | None:
    """Return the gate of a run or checkpoint folder, or None if it has none.

    Raises:
        InputError: the gate's file is damaged.
    """
    folder = find_checkpoint(run)
    if GATE_FILE not in listed_files(folder):
        return None
    check_files(folder, [GATE_FILE])
    return Gate.from_tensors(load_tensors(folder / GATE_FILE), str(folder / GATE_FILE))


def add_texture_gate(run: Path, gate: TextureGate) -> Path:
    """Add a texture gate to a checkpoint, or to the best checkpoint of a run, and return that folder.

    Raises:
        InputError: no checkpoint is there, or it is damaged.
    """
    folder = find_checkpoint(run).resolve()
    check_checkpoint(folder)
    save_tensors(folder / TEXTURE_FILE, gate.tensors(), overwrite=True)
    write_manifest(folder)
    return folder


def load_texture_gate(run: Path) -> TextureGate | None:
    """Return the texture gate of a run or checkpoint folder, or None if it has none.

    Raises:
        InputError: the gate's file is damaged.
    """
    folder = find_checkpoint(run)
    if TEXTURE_FILE not in listed_files(folder):
        return None
    check_files(folder, [TEXTURE_FILE])
    return TextureGate.from_tensors(load_tensors(folder / TEXTURE_FILE), str(folder / TEXTURE_FILE))


def add_claims(run: Path, claims: ClaimCalibration) -> Path:
    """Add a calibration of claims to a checkpoint, or to the best checkpoint of a run, and return that folder.

    Raises:
        InputError: no checkpoint is there, or it is damaged.
    """
    folder = find_checkpoint(run).resolve()
    check_checkpoint(folder)
    write_json(folder / CLAIMS_FILE, claims.record(), overwrite=True)
    write_manifest(folder)
    return folder


def load_claims(run: Path) -> ClaimCalibration | None:
    """Return the calibration of claims of a run or checkpoint folder, or None if it has none.

    Raises:
        InputError: its file is damaged.
    """
    folder = find_checkpoint(run)
    if CLAIMS_FILE not in listed_files(folder):
        return None
    check_files(folder, [CLAIMS_FILE])
    return ClaimCalibration.from_record(read_json(folder / CLAIMS_FILE), str(folder / CLAIMS_FILE))


def save_tensors(path: Path, tensors: Mapping[str, Tensor], *, overwrite: bool = False) -> None:
    """Write a safetensors file atomically, from tensors on any device.

    Raises:
        InputError: the file exists and `overwrite` is false, or its folder cannot be written.
    """
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    # The library's own writer makes files that only their owner can read, and does not sync them.
    with new_file(path, overwrite=overwrite) as part:
        part.write_bytes(save(whole))


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file.

    Raises:
        InputError: the file is missing or damaged.
    """
    try:
        with utf8_name(path) as name:
            return load_file(name)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: not a complete safetensors file ({error}); download or make it again") from None


def fingerprint(folder: Path) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of a checkpoint's weights."""
    return file_hash(find_checkpoint(folder) / WEIGHTS_FILE)[:16]
