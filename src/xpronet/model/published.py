"""Mapping between the names of our parameters and those in the authors' published checkpoints."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from xpronet.errors import InputError
from xpronet.model.transformer import sinusoids

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
