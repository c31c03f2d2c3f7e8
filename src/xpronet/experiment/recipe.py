"""A recipe: all settings of one experiment, in TOML. Unknown keys and wrong types are refused by name."""

import dataclasses
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import tomli_w

from xpronet.data.dataset import BatchSettings
from xpronet.encoders.image_encoder import ImageEncoderSettings
from xpronet.encoders.text_encoders import TextSettings
from xpronet.errors import InputError
from xpronet.experiment.recipe_files import recipe_file
from xpronet.experiment.recipe_files import shipped_recipe as shipped_recipe
from xpronet.files import read_text
from xpronet.images.transforms import ImageSettings
from xpronet.model.build import check_report_model
from xpronet.model.out_of_distribution import GateSettings
from xpronet.model.search_settings import BeamSettings
from xpronet.model.settings import ModelSettings
from xpronet.prototypes.cluster import PrototypeSettings
from xpronet.settings_tables import Settings, read_table
from xpronet.text.vocabulary import VocabularySettings
from xpronet.training.losses import LossSettings
from xpronet.training.optimiser import TrainSettings
from xpronet.training.reward import RewardSettings

Tree = dict[str, Any]

PRESETS: dict[str, Tree] = {
    "xpronet": {},
    "paper": {
        "images": {"short_side": 256, "train": "square", "test": "squash"},
        "model": {"scale": "linear", "findings_head": False},
        "loss": {"words_per": "report", "findings": 0.0},
        "train": {"clip_norm": 0.0},
    },
    "published": {
        "images": {"short_side": 256, "test": "squash"},
        "vocabulary": {"cleaning": "published-iu", "ids": "published"},
        "model": {"norm": "published", "findings_head": False},
        "loss": {"text_mean": "positions", "findings": 0.0},
        "prototypes": {"mode": "split"},
        "train": {"clip_norm": 0.0, "decay_epochs": 10, "best_by": "published"},
    },
}
"""The defaults that each preset changes (docs/explanation/parity.md). A recipe's own values take precedence."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides how a model is trained."""

    preset: Literal["xpronet", "paper", "published"] = "xpronet"
    """Where the settings that the recipe does not give come from."""
    corpus: str = ""
    """Corpus folder; the command line's --corpus comes first."""
    labels: str = "labels.csv"
    """Table of labels in the corpus folder, as `xpronet label` writes it."""
    weights: str = "auto"
    """Backbone weights: random, a safetensors or pth file, or hub:OWNER/NAME; auto: a huggingface model's own, else
    random."""
    features: str = ""
    """Folder of a feature cache (`xpronet features`), which a frozen backbone's features are read from; empty: images
    are read and encoded each time."""
    bank: Literal["clusters", "random"] = "clusters"
    """Prototypes made by k-means over the train studies (section 3.2), or drawn at random (w/o PI)."""
    text: TextSettings = field(default_factory=TextSettings)
    """Text features for the prototypes."""
    images: ImageSettings = field(default_factory=ImageSettings)
    """How images are resized and cropped."""
    vocabulary: VocabularySettings = field(default_factory=VocabularySettings)
    """Words and lengths."""
    batches: BatchSettings = field(default_factory=BatchSettings)
    """Studies in a batch."""
    backbone: ImageEncoderSettings = field(default_factory=ImageEncoderSettings)
    """The image encoder."""
    prototypes: PrototypeSettings = field(default_factory=PrototypeSettings)
    """How the initial prototypes are made."""
    model: ModelSettings = field(default_factory=ModelSettings)
    """The network behind the backbone; bank_rows, bank_width and per_finding follow from the bank."""
    loss: LossSettings = field(default_factory=LossSettings)
    """Weights of the loss terms."""
    train: TrainSettings = field(default_factory=TrainSettings)
    """Optimiser, schedule, precision, seed."""
    reward: RewardSettings = field(default_factory=RewardSettings)
    """The second stage, training by reward; a recipe without this table is of a first stage."""
    generate: BeamSettings = field(default_factory=BeamSettings)
    """How reports are generated."""
    gate: GateSettings = field(default_factory=GateSettings)
    """The out-of-distribution gate, which warns of images unlike those of the train studies."""

    def __post_init__(self) -> None:
        # Here, and not when the network is built: hours may lie in between.
        check_report_model(self.model)

    def to_toml(self) -> str:
        """Return the recipe with every value spelled out.

        Raises:
            InputError: it names a file or folder whose name is not UTF-8, which TOML cannot hold.
        """
        text = tomli_w.dumps(dataclasses.asdict(self))
        try:
            text.encode()
        except UnicodeEncodeError as error:
            named = text[: error.start].rpartition("\n")[2] + text[error.start :].partition("\n")[0]
            raise InputError(f"{named}: a recipe holds UTF-8 only; rename that file or folder") from None
        return text


def read_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe.

    Args:
        path: TOML file, or the name of a recipe that comes with the package; with `base = "other.toml"` a file inherits
            from another beside it, with `base = ["first.toml", "second.toml"]` from several, of which a later one
            stands above those before it.
        overrides: "section.key=value" with a TOML value; they take precedence over the file.

    Raises:
        InputError: the file is missing or not TOML, or a key or value is wrong.
    """
    file = recipe_file(path)
    tree = _read_tree(file, ())
    for override in overrides:
        _merge(tree, _parse_override(override))
    return make_recipe(tree, where=str(file))


def read_settings(kind: type[Settings], path: str | Path, overrides: Sequence[str] = ()) -> Settings:
    """Read a file of settings of any kind, as strictly as a recipe.

    Args:
        kind: a settings dataclass; its fields may be such classes, which are tables of the file.
        path: TOML, with `base` as in a recipe; or the name of such a file that comes with the package.
        overrides: "section.key=value", each on top of the file.

    Raises:
        InputError: the file is missing or no TOML, or a key or value is wrong.
    """
    file = recipe_file(path)
    tree = _read_tree(file, ())
    for override in overrides:
        _merge(tree, _parse_override(override))
    return read_table(kind, tree, where=str(file))


def with_layers(recipe: Recipe, layers: Sequence[Path], overrides: Sequence[str] = ()) -> Recipe:
    """Return a recipe with the values of other files, without their bases, in place of its own.

    Args:
        recipe: what lies below.
        layers: TOML files; a later one stands above those before it.
        overrides: "section.key=value", above all of them.

    Raises:
        InputError: a file is missing or not TOML, or a key or value is wrong.
    """
    tree = dataclasses.asdict(recipe)
    for layer in layers:
        _merge(tree, {name: value for name, value in _parse(layer).items() if name != "base"})
    for override in overrides:
        _merge(tree, _parse_override(override))
    return make_recipe(tree, where=str(layers[-1]) if layers else "recipe")


def make_recipe(tree: Mapping[str, Any], *, where: str) -> Recipe:
    """Return the recipe of a tree of values, which take precedence over those of its preset.

    Raises:
        InputError: a key or value is wrong; the message names it and `where`.
    """
    preset = tree.get("preset", "xpronet")
    if preset not in PRESETS:
        raise InputError(f"{where}: preset = {preset!r}; choose one of {', '.join(PRESETS)}")
    whole: Tree = {}
    _merge(whole, PRESETS[preset])
    _merge(whole, tree)
    return read_table(Recipe, whole, where=where)


def differences(before: Recipe, now: Recipe) -> dict[str, tuple[Any, Any]]:
    """Return the settings in which two recipes differ, by "section.key", with the values of both."""
    first, second = _flat(dataclasses.asdict(before)), _flat(dataclasses.asdict(now))
    return {name: (first.get(name), second.get(name)) for name in first | second if first.get(name) != second.get(name)}


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Tree:
    flat: Tree = {}
    for name, value in tree.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return flat


def _parse(path: Path) -> Tree:
    try:
        return tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: not TOML ({error})") from None


def _read_tree(path: Path, seen: tuple[Path, ...]) -> Tree:
    if path.resolve() in seen:
        raise InputError(f"{path}: base leads back to this file; remove one of the links")
    tree = _parse(path)
    base = tree.pop("base", [])
    bases = [base] if isinstance(base, str) else base
    if not isinstance(bases, list) or not all(isinstance(name, str) for name in bases):
        raise InputError(f"{path}: base = {base!r}; give the name of a recipe file, or a list of names")
    whole: Tree = {}
    for name in bases:
        _merge(whole, _read_tree(path.parent / name, (*seen, path.resolve())))
    _merge(whole, tree)
    return whole


def _merge(tree: Tree, other: Mapping[str, Any]) -> None:
    for key, value in other.items():
        if isinstance(value, Mapping):
            inner = tree.setdefault(key, {})
            if isinstance(inner, dict):
                _merge(inner, value)
                continue
        tree[key] = value


def _parse_override(text: str) -> Tree:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise InputError(f"--set {text}: write section.key=value, such as train.epochs=5")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()  # a bare word is a string
    tree: Any = parsed
    for part in reversed(key.strip().split(".")):
        tree = {part: tree}
    return dict(tree)
