"""A checkpoint folder: weights, settings, vocabulary, findings and training record. Nothing in it is unpickled."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from xpronet.encoders.build import image_encoder_of_record, image_encoder_record
from xpronet.encoders.image_encoder import ImageEncoder
from xpronet.errors import InputError
from xpronet.files import new_folder, read_json, write_json
from xpronet.images.transforms import ImageSettings
from xpronet.model.build import build_report_model
from xpronet.model.checkpoint_files import (
    CLAIMS_FILE,
    CONFIG_FILE,
    DERIVED_FILE,
    FINDINGS_FILE,
    FORMAT,
    GATE_FILE,
    TEXTURE_FILE,
    TRAINING_FILE,
    VOCABULARY_FILE,
    WEIGHTS_FILE,
    check_checkpoint,
    check_files,
    find_checkpoint,
    listed_files,
    load_tensors,
    save_tensors,
    write_manifest,
)
from xpronet.model.claim_calibration import ClaimCalibration
from xpronet.model.fitted_parts import (
    load_claims,
    load_gate,
    load_texture_gate,
)
from xpronet.model.out_of_distribution import Gate
from xpronet.model.report_model import ReportModel
from xpronet.model.search_settings import BeamSettings
from xpronet.model.settings import ModelSettings
from xpronet.model.texture_gate import TextureGate
from xpronet.text.vocabulary import Vocabulary, read_vocabulary

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
