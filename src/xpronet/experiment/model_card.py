"""The card of a model: a README.md with what the model is for, what it learned from, what it is worth and its limits.

Its front matter is the Hugging Face hub's, so that the hub shows the folder properly.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from xpronet import __version__
from xpronet.corpora.licences import hub_licence
from xpronet.errors import InputError
from xpronet.evaluation.finding_f1 import MAIN
from xpronet.evaluation.render import LANGUAGE
from xpronet.experiment.origin import Origin
from xpronet.files import file_hash, read_json, utf8_name
from xpronet.model.checkpoint_files import (
    CLAIMS_FILE,
    CONFIG_FILE,
    DERIVED_FILE,
    GATE_FILE,
    VOCABULARY_FILE,
    WEIGHTS_FILE,
    listed_files,
)
from xpronet.training.training_data import DRAWN, TrainingData

CARD_FILE = "README.md"
HUB_METRICS = {"BLEU": "bleu", "ROUGE": "rouge", "METEOR": "meteor", "CIDEr": "cider", "macro-F1": "f1"}
"""The hub's names of metrics, by how ours begin."""

Card = Mapping[str, Any]
"""A scorecard as scorecard.json has it."""


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """What a card says about the model itself; read from a checkpoint's files."""

    architecture: str
    """The report model's name."""
    image_encoder: str
    """The image encoder's name and size."""
    parameters: int
    """Numbers in its weights."""
    words: int
    """Words of its vocabulary."""
    max_views: int
    """Views that it uses of a study."""
    side: int
    """Height and width, in pixels, of the images that it sees."""
    beams: int
    """Beam hypotheses of its search."""
    has_gate: bool
    """Whether it warns of out-of-distribution images."""
    has_claims: bool
    """Whether its claims are calibrated."""
    has_derived: bool
    """Whether it holds data derived from the train studies beside its weights."""
    stored: str
    """How its weights are stored: fp32 or fp16."""
    weights_hash: str
    """SHA-256 of its file of weights."""


def read_facts(folder: Path) -> ModelFacts:
    """Read what a checkpoint folder is, without building its network.

    Raises:
        InputError: a file of it is damaged.
    """
    config, listed = read_json(folder / CONFIG_FILE), listed_files(folder)
    parameters, kinds = _measure_weights(folder / WEIGHTS_FILE)
    try:
        claims = read_json(folder / CLAIMS_FILE) if CLAIMS_FILE in listed else {}
        encoder = config["backbone"]
        size = f"-{encoder['depth']}, width {encoder['width']}" if encoder["name"] == "resnet" else ""
        return ModelFacts(
            architecture=str(config["model"]["name"]),
            image_encoder=f"{encoder['name']}{size}",
            parameters=parameters,
            words=len(read_json(folder / VOCABULARY_FILE)["words"]),
            max_views=int(config["max_views"]),
            side=int(config["images"]["size"]),
            beams=int((claims.get("search") or config["search"])["beams"]),
            has_gate=GATE_FILE in listed,
            has_claims=CLAIMS_FILE in listed,
            has_derived=DERIVED_FILE in listed,
            stored="fp16" if "F16" in kinds else "fp32",
            weights_hash=file_hash(folder / WEIGHTS_FILE),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(f"{folder}: damaged checkpoint ({error}); make it again or use another") from None


def _measure_weights(path: Path) -> tuple[int, frozenset[str]]:
    """Return how many numbers a file of weights holds, and of which types, as safetensors names them."""
    try:
        with utf8_name(path) as name, safe_open(name, framework="pt") as file:
            slices = [file.get_slice(tensor) for tensor in file.keys()]  # noqa: SIM118
            return (
                sum(math.prod(tensor.get_shape()) for tensor in slices),
                frozenset(str(tensor.get_dtype()) for tensor in slices),
            )
    except SafetensorError as error:
        raise InputError(f"{path}: not a complete safetensors file ({error}); download or make it again") from None


def read_scorecard(path: Path) -> Card | None:
    """Return a scorecard of reports as JSON values; None where there is no such file.

    Raises:
        InputError: the file is another one.
    """
    if not path.is_file():
        return None
    record = read_json(path)
    if not isinstance(record, dict) or not {"model", "stamp", "baselines", "studies"} <= record.keys():
        raise InputError(f"{path}: not a scorecard of `xpronet evaluate`; name one with --scorecard, or remove it")
    return record


def model_card(
    name: str,
    facts: ModelFacts,
    data: TrainingData,
    scorecard: Card | None,
    origin: Origin,
    *,
    address: str | None = None,
) -> str:
    """Return the card of a model as Markdown.

    Args:
        name: what the model is called.
        facts: what it is.
        data: what it learned from.
        scorecard: what it is worth, where that was measured.
        origin: which code made it.
        address: what `xpronet.load` is given for it, such as hub:owner/name; by default its name.
    """
    parts = [
        _front_matter(name, data, scorecard),
        f"# {name}",
        *([f"**{DRAWN}**"] if data.drawn else []),
        "This model writes draft radiology reports about chest X-ray studies, with the findings behind the text and, "
        "for every word, the image regions it came from. It is research software, not a medical device.",
        "## Intended use",
        "Research on report generation: reproducing results, comparing models on equal terms, studying what a model "
        "looked at. Every report is a draft whose errors must be expected.",
        "## It must not be used",
        "* to diagnose, triage or treat anybody, or as a second reader;\n"
        "* without a radiologist who reads the images themselves;\n"
        "* to fill reports into a record, even provisionally;\n"
        "* to identify the persons whose images it learned from.",
        "## What it learned from",
        _data_section(data, facts),
        "## What it is worth",
        _scores_section(data, scorecard),
        "## Limits",
        _limits_section(facts, data),
        "## The model",
        _facts_section(facts, origin),
        "## Use",
        f'```python\nimport xpronet\n\nmodel = xpronet.load("{address or name}")\n'
        'print(model.report(["frontal.png", "lateral.png"]).text)\n```',
    ]
    return "\n\n".join(parts) + "\n"


def _front_matter(name: str, data: TrainingData, scorecard: Card | None) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    licence = hub_licence(data.licence)
    results = [
        EvalResult(
            task_type="image-to-text",
            dataset_name=data.corpus,
            dataset_type=re.sub(r"[^a-z0-9]+", "-", data.corpus.lower()).strip("-") or "corpus",
            metric_type=next((hub for ours, hub in HUB_METRICS.items() if score.startswith(ours)), "accuracy"),
            metric_name=score,
            metric_value=round(float(estimate["value"]), 4),
        )
        for score, estimate in _chosen(scorecard["model"]["scores"] if scorecard is not None else {}).items()
    ]
    header = ModelCardData(
        license=licence,
        license_name=data.licence or "not stated" if licence == "other" else None,
        language="en",
        library_name="xpronet",
        pipeline_tag="image-to-text",
        tags=["chest-x-ray", "radiology", "report-generation", "not-for-clinical-use"],
        model_name=name if results else None,
        eval_results=results or None,
        ignore_metadata_errors=False,
    )
    return f"---\n{header.to_yaml().strip()}\n---"


def _data_section(data: TrainingData, facts: ModelFacts) -> str:
    lines = [
        f"* Corpus: {data.corpus}",
        f"* Licence of its images and texts: {data.licence or 'not stated; ask whoever made the corpus'}",
        f"* Studies: {', '.join(f'{count:,} {split}' for split, count in data.studies.items() if count)}; weights were "
        "learned from train, and epoch and thresholds chosen on val",
    ]
    if data.weights:
        lines.append(f"* The image encoder began from: {data.weights}")
    if data.first_stage:
        lines.append(f"* An earlier stage of training learned from: {data.first_stage}")
    if facts.has_derived:
        lines.append(
            "* Beside its weights the model holds texts derived from the train reports: the licence covers it."
        )
    return "\n".join(lines)


def _scores_section(data: TrainingData, scorecard: Card | None) -> str:
    if scorecard is None:
        return "Not measured. Do not use or publish its reports before `xpronet evaluate` has scored them."
    lift = scorecard.get("language_lift") or scorecard.get("findings_lift")
    constant = next((row for row in scorecard["baselines"] if lift and row["name"] == lift["constant"]), None)
    stamp = scorecard["stamp"]
    about = " of ".join(str(stamp[key]) for key in ("split", "corpus") if key in stamp) or "not stated"
    lines = [
        f"{scorecard['studies']:,} studies ({about}), {scorecard['abnormal_studies']:,} with an abnormal finding; "
        "95 % intervals over studies.",
        "",
        f"| score | this model | its abnormal studies | {constant['name'] if constant else 'constant'} |",
        "| --- | --- | --- | --- |",
    ]
    for score, estimate in _chosen(scorecard["model"]["scores"]).items():
        abnormal = scorecard["model"]["abnormal"].get(score)
        beside = constant["scores"].get(score) if constant else None
        lines.append(f"| {score} | {_cell(estimate)} | {_cell(abnormal)} | {_cell(beside)} |")
    lines += ["", *(f"* {warning}" for warning in scorecard["warnings"])]
    if data.drawn:
        lines.append(f"* {DRAWN}")
    if stamp.get("labels from", "").find("reference") >= 0:
        lines.append("* ORACLE LABELS: the model was told the findings of each reference report.")
    return "\n".join(lines).strip()


def _limits_section(facts: ModelFacts, data: TrainingData) -> str:
    lines = [
        "* It knows the fourteen findings of CheXpert; it cannot see what its corpus never showed.",
        f"* It uses at most {facts.max_views} view{'s' if facts.max_views > 1 else ''} of a study and knows of no "
        "earlier study, history or question.",
        "* Fluent text is no evidence of a correct one: reports deny findings that are there and name absent ones.",
        f"* Other hospitals, devices, projections and populations than those of {data.corpus} make it worse.",
    ]
    if not facts.has_gate:
        lines.append("* It has no out-of-distribution gate: it does not warn of images unlike those it learned from.")
    if not facts.has_claims:
        lines.append(
            "* Its claims are not calibrated: the doubt that it states by sentence is the findings head's own."
        )
    return "\n".join(lines)


def _facts_section(facts: ModelFacts, origin: Origin) -> str:
    return "\n".join(
        (
            f"* Report model: {facts.architecture}; image encoder: {facts.image_encoder}",
            f"* {facts.parameters:,} parameters, {facts.words:,} words, images of {facts.side} x {facts.side} pixels",
            f"* Beam search with {facts.beams} hypotheses",
            f"* Out-of-distribution gate: {'yes' if facts.has_gate else 'no'}; calibrated claims: "
            f"{'yes' if facts.has_claims else 'no'}",
            f"* Weights: {facts.stored}, SHA-256 {facts.weights_hash}",
            *(f"* {line}" for line in origin.lines()),
            f"* Packed with xpronet {__version__}",
        )
    )


def _chosen(scores: Mapping[str, Any]) -> dict[str, Any]:
    """Return the scores that a card shows: language, and the main one of findings."""
    return {name: scores[name] for name in (*LANGUAGE, MAIN) if name in scores}


def _cell(estimate: Mapping[str, float] | None) -> str:
    if estimate is None:
        return "–"
    return f"{estimate['value']:.3f} ({estimate['low']:.3f} to {estimate['high']:.3f})"
