"""Mapping between the names of our parameters and those in the authors' published checkpoints."""

import argparse
import pickle
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from xpronet.encoders.image_encoder import ImageEncoderSettings
from xpronet.encoders.resnet import ResNet
from xpronet.errors import InputError
from xpronet.images.transforms import ImageSettings
from xpronet.labels.findings import FINDINGS, SCHEMAS
from xpronet.model.checkpoint import DEFAULT_THRESHOLD, Checkpoint
from xpronet.model.checkpoint_files import load_tensors
from xpronet.model.network import XProNet
from xpronet.model.search_settings import BeamSettings
from xpronet.model.settings import ModelSettings
from xpronet.model.transformer import sinusoids
from xpronet.text.vocabulary import Vocabulary, VocabularySettings

PREFIX = "encoder_decoder."
MATCHING = f"{PREFIX}cmn."
MATCHING_AGAIN = f"{PREFIX}model.cmn."
"""The published model registers the matching twice, so its files hold two copies of the same eight tensors."""

POSITIONS = (f"{PREFIX}model.src_embed.0.pe", f"{PREFIX}model.tgt_embed.1.pe")
"""Buffers of positional encodings, which we compute."""

NUM_POSITIONS = 5000

WHOLE = {
    "matching.bank": f"{PREFIX}protypes",
    "word_embedding.weight": f"{PREFIX}model.tgt_embed.0.lut.weight",
}
BEGINNINGS = {
    "backbone.conv1": "visual_extractor.model.0",
    "backbone.bn1": "visual_extractor.model.1",
    "backbone.layer1": "visual_extractor.model.4",
    "backbone.layer2": "visual_extractor.model.5",
    "backbone.layer3": "visual_extractor.model.6",
    "backbone.layer4": "visual_extractor.model.7",
    "patch_embedding.0": f"{PREFIX}att_embed.0",
    "matching.projection": f"{PREFIX}dim_reduction",
    "image_fusion": f"{PREFIX}fuse_feature",
    "text_fusion": f"{PREFIX}model.fuse_feature",
    "word_output": f"{PREFIX}logit",
}
LINEARS = {"query": "0", "key": "1", "value": "2", "output": "3"}
ATTENTIONS = {"attention": "self_attn", "self_attention": "self_attn", "cross_attention": "src_attn"}
NORMS = {
    "encoder": {"attention_norm": "0", "feed_forward_norm": "1"},
    "decoder": {"self_norm": "0", "cross_norm": "1", "feed_forward_norm": "2"},
}
FEED_FORWARD = {"inner": "w_1", "outer": "w_2"}
NORM_PARAMETERS = {"weight": "a_2", "bias": "b_2"}


def published_name(name: str) -> str:
    """Return the authors' name of one of our parameters or buffers.

    Raises:
        KeyError: the published model has no such parameter (for example, the findings head).
    """
    if name in WHOLE:
        return WHOLE[name]
    for ours, theirs in BEGINNINGS.items():
        if name.startswith(f"{ours}."):
            return theirs + name.removeprefix(ours)
    if match := re.fullmatch(r"matching\.(\w+)\.(weight|bias)", name):
        return f"{MATCHING}linears.{LINEARS[match[1]]}.{match[2]}"
    if match := re.fullmatch(r"(encoder|decoder)\.norm\.(weight|bias)", name):
        return f"{PREFIX}model.{match[1]}.norm.{NORM_PARAMETERS[match[2]]}"
    if match := re.fullmatch(r"(encoder|decoder)\.layers\.(\d+)\.(\w+)\.(?:(\w+)\.)?(weight|bias)", name):
        side, layer, part, inner, parameter = match.groups()
        start = f"{PREFIX}model.{side}.layers.{layer}"
        if part in ATTENTIONS and inner in LINEARS:
            return f"{start}.{ATTENTIONS[part]}.linears.{LINEARS[inner]}.{parameter}"
        if part == "feed_forward" and inner in FEED_FORWARD:
            return f"{start}.feed_forward.{FEED_FORWARD[inner]}.{parameter}"
        if part in NORMS[side] and inner is None:
            return f"{start}.sublayer.{NORMS[side][part]}.norm.{NORM_PARAMETERS[parameter]}"
    raise KeyError(name)


def to_published(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return our weights under the authors' names, including duplicates and position buffers."""
    renamed: dict[str, Tensor] = {}
    for name, tensor in state.items():
        theirs = published_name(name)
        renamed[theirs] = tensor
        if theirs.startswith(MATCHING):
            renamed[MATCHING_AGAIN + theirs.removeprefix(MATCHING)] = tensor
    width = state["word_embedding.weight"].shape[1]
    for name in POSITIONS:
        renamed[name] = sinusoids(torch.arange(NUM_POSITIONS), width).unsqueeze(0)
    return renamed


def from_published(weights: Mapping[str, Tensor], expected: Mapping[str, Tensor], where: str) -> dict[str, Tensor]:
    """Return published weights under our names.

    Args:
        weights: under the authors' names; the second copy of the matching and the position buffers may be missing.
        expected: the state of our network, with the names and shapes to fill.
        where: the file, for error messages.

    Raises:
        InputError: a tensor is missing, unknown or of another shape, the two copies of the matching differ, or the
            position buffers do not hold sinusoids.
    """
    left = dict(weights)
    renamed: dict[str, Tensor] = {}
    for name, own in expected.items():
        theirs = published_name(name)
        tensor = left.pop(theirs, None)
        if tensor is None:
            raise InputError(f"{where}: {theirs} is missing; give a checkpoint of the published model")
        if tensor.shape != own.shape:
            raise InputError(
                f"{where}: {theirs} has shape {tuple(tensor.shape)} where the settings ask for {tuple(own.shape)}"
            )
        if theirs.startswith(MATCHING):
            again = left.pop(MATCHING_AGAIN + theirs.removeprefix(MATCHING), tensor)
            if not again.equal(tensor):
                raise InputError(f"{where}: {theirs} and its second copy differ; give an unaltered file")
        renamed[name] = tensor
    for name in POSITIONS:
        codes = left.pop(name, None)
        if codes is not None and not _are_sinusoids(codes, expected["word_embedding.weight"].shape[1]):
            raise InputError(f"{where}: {name} holds no sinusoids; give a checkpoint of the published model")
    if left:
        raise InputError(
            f"{where}: {len(left)} tensors do not belong to the network, the first are {', '.join(list(left)[:3])}"
        )
    return renamed


def _are_sinusoids(codes: Tensor, width: int) -> bool:
    if codes.dim() != 3 or codes.shape[0] != 1 or codes.shape[2] != width:
        return False
    return bool(
        torch.isclose(
            codes[0].float(), sinusoids(torch.arange(codes.shape[1], device=codes.device), width), atol=1e-3
        ).all()
    )


REPLICA_PREFIX = "module."
"""Prefix of the names in a file that was saved from a network wrapped for several GPUs."""

PUBLISHED_MODEL = ModelSettings(norm="published", findings_head=False)
"""The published network; its sizes are the same for both corpora."""


@dataclass(frozen=True, kw_only=True)
class PublishedCorpus:
    """What the published code does differently for each of its corpora."""

    vocabulary: VocabularySettings
    """Cleaning, rare words and the longest report."""
    findings: tuple[str, ...]
    """The findings in the order of its label table, which is also that of the rows of the bank."""
    max_views: int
    """Images of each study that it uses."""


PUBLISHED_CORPORA = {
    "iu-xray": PublishedCorpus(
        vocabulary=VocabularySettings(cleaning="published-iu", min_count=3, max_words=60, ids="published"),
        findings=SCHEMAS["published-iu-xray"],
        max_views=2,
    ),
    "mimic-cxr": PublishedCorpus(
        vocabulary=VocabularySettings(cleaning="published-mimic", min_count=10, max_words=100, ids="published"),
        findings=SCHEMAS["published-mimic-cxr"],
        max_views=1,
    ),
}
"""By their names on the command line."""


def read_authors_file(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a published checkpoint under the authors' names.

    The file is a .safetensors file or was written by `torch.save`; it holds the weights alone or, under `state_dict`,
    the weights beside the training state. An `argparse.Namespace` is tolerated; any other Python object is refused, and
    the message names it.

    Raises:
        InputError: the file is missing or damaged, or holds something else.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; give a checkpoint of the published code (.pth or .safetensors)")
    content: Any = load_tensors(path) if path.suffix == ".safetensors" else _load_archive(path)
    weights = content.get("state_dict", content) if isinstance(content, Mapping) else content
    if not isinstance(weights, Mapping) or not weights:
        raise InputError(f"{path}: holds a {type(weights).__name__} instead of tensors by name; give a state dict")
    wrong = [name for name, tensor in weights.items() if not isinstance(name, str) or not isinstance(tensor, Tensor)]
    if wrong:
        raise InputError(
            f"{path}: {wrong[0]!r} is not a tensor; a file without `state_dict` must hold the weights alone"
        )
    if all(name.startswith(REPLICA_PREFIX) for name in weights):
        return {name.removeprefix(REPLICA_PREFIX): tensor for name, tensor in weights.items()}
    return dict(weights)


def import_published(
    weights: Mapping[str, Tensor],
    vocabulary: Vocabulary,
    corpus: PublishedCorpus,
    *,
    where: str,
    settings: ModelSettings = PUBLISHED_MODEL,
    backbone: ImageEncoderSettings | None = None,
) -> Checkpoint:
    """Make a checkpoint from published weights, with the findings in our order.

    Args:
        weights: under the authors' names.
        vocabulary: of the train reports that the model was trained on.
        corpus: the corpus that the model was trained on.
        where: the file, for error messages.
        settings: of the network.
        backbone: ResNet-101 if left out.

    Raises:
        InputError: the weights do not fit such a network or the size of the vocabulary.
    """
    logits = weights.get(published_name("word_output.bias"))
    if logits is not None and logits.numel() != len(vocabulary):
        raise InputError(
            f"{where}: has {logits.numel()} words, but the train reports have {len(vocabulary)}; give the annotation "
            "file and the dataset that it was trained with"
        )
    network = XProNet(
        backbone=ResNet(backbone or ImageEncoderSettings(depth=101)),
        settings=settings,
        num_words=len(vocabulary),
        padding=vocabulary.padding,
        num_findings=len(FINDINGS),
    )
    state = from_published(weights, network.state_dict(), where)
    state["matching.bank"] = reorder_bank(state["matching.bank"], source=corpus.findings, target=FINDINGS)
    network.load_state_dict(state)
    return Checkpoint(
        network=network.eval(),
        vocabulary=vocabulary,
        images=ImageSettings(test="squash"),
        max_views=corpus.max_views,
        search=BeamSettings(max_words=corpus.vocabulary.max_words),
        findings=FINDINGS,
        thresholds=dict.fromkeys(FINDINGS, DEFAULT_THRESHOLD),
    )


def export_published(checkpoint: Checkpoint, corpus: PublishedCorpus) -> dict[str, Tensor]:
    """Return a checkpoint's tensors under the authors' names, with the bank in the order of their label table."""
    state = checkpoint.network.state_dict()
    bank = reorder_bank(state["matching.bank"], source=checkpoint.findings, target=corpus.findings)
    return to_published({**state, "matching.bank": bank})


def reorder_bank(
    bank: Float[Tensor, "rows width"], *, source: Sequence[str], target: Sequence[str]
) -> Float[Tensor, "rows width"]:
    """Reorder the prototypes of each finding from its position in `source` to its position in `target`."""
    assert sorted(source) == sorted(target)
    blocks = bank.reshape(len(source), -1, bank.shape[1])
    return blocks[[source.index(finding) for finding in target]].flatten(0, 1)


def _load_archive(path: Path) -> Any:
    try:
        # PyTorch warns about pickle protocols it may not fully support; what it cannot read is an error anyway.
        with warnings.catch_warnings(action="ignore"), torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True)
    # A damaged archive can fail in any of its parts; these are the errors that they raise.
    except (
        pickle.UnpicklingError,
        RuntimeError,
        OSError,
        EOFError,
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
    ) as error:
        if asked := re.search(r"GLOBAL (\S+)", str(error)):
            raise InputError(
                f"{path}: contains the Python object {asked[1]}, but only tensors and plain values are "
                "read; ask its owner to save the state_dict alone"
            ) from None
        raise InputError(f"{path}: not a complete file of PyTorch weights; download it again") from None
