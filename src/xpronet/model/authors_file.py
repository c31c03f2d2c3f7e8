"""Checkpoints of the authors' published code: read without running anything in them, made into ours, and back."""

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

from xpronet.data.transforms import ImageSettings
from xpronet.data.vocabulary import Vocabulary, VocabularySettings
from xpronet.encoders.image_encoder import ImageEncoderSettings
from xpronet.encoders.resnet import ResNet
from xpronet.errors import InputError
from xpronet.labels.findings import FINDINGS, SCHEMAS
from xpronet.model.checkpoint import DEFAULT_THRESHOLD, Checkpoint, load_tensors
from xpronet.model.network import XProNet
from xpronet.model.published import from_published, published_name, to_published
from xpronet.model.settings import ModelSettings

REPLICA_PREFIX = "module."
"""What names start with in a file that was saved from a network wrapped for several GPUs."""

PUBLISHED_MODEL = ModelSettings(norm="published", findings_head=False)
"""The published network; its sizes are the same for both corpora."""


@dataclass(frozen=True, kw_only=True)
class PublishedCorpus:
    """What the published code does differently for each of its corpora."""

    vocabulary: VocabularySettings
    """Cleaning, rare words, longest report."""
    findings: tuple[str, ...]
    """The findings in the order of its label table, which is the order of the bank's rows."""
    max_views: int
    """Pictures of a study that it uses."""


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
"""By the names that the command line uses."""


def read_authors_file(path: Path) -> dict[str, Tensor]:
    """Return the tensors of an authors' checkpoint by the authors' names.

    The file is a .safetensors file, or one of `torch.save` that holds the weights or, under `state_dict`, the weights
    beside the state of the training. An `argparse.Namespace` in it is tolerated; whatever else it asks of Python is
    refused by name.

    Raises:
        InputError: the file is missing or damaged, or holds something else.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; give a checkpoint of the published code (.pth or .safetensors)")
    content: Any = load_tensors(path) if path.suffix == ".safetensors" else _load_archive(path)
    weights = content.get("state_dict", content) if isinstance(content, Mapping) else content
    if not isinstance(weights, Mapping) or not weights:
        raise InputError(f"{path}: holds a {type(weights).__name__}, no tensors by name")
    wrong = [name for name, tensor in weights.items() if not isinstance(name, str) or not isinstance(tensor, Tensor)]
    if wrong:
        raise InputError(
            f"{path}: {wrong[0]!r} is no tensor; a file without `state_dict` may hold the weights and nothing else"
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
    """Make a checkpoint of published weights, its findings in our order.

    Args:
        weights: by the authors' names.
        vocabulary: of the train reports that they were made with.
        corpus: what they were made for.
        where: the file, for messages.
        settings: of the network.
        backbone: ResNet-101 if left out.

    Raises:
        InputError: the weights are not those of such a network, or have another number of words.
    """
    logits = weights.get(published_name("word_output.bias"))
    if logits is not None and logits.numel() != len(vocabulary):
        raise InputError(
            f"{where}: scores {logits.numel()} words, the train reports give {len(vocabulary)}; give the annotation "
            "file it was trained with, and the dataset whose rules it was trained under"
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
        max_words=corpus.vocabulary.max_words,
        findings=FINDINGS,
        thresholds=dict.fromkeys(FINDINGS, DEFAULT_THRESHOLD),
    )


def export_published(checkpoint: Checkpoint, corpus: PublishedCorpus) -> dict[str, Tensor]:
    """Return a checkpoint's tensors under the authors' names, the bank in the order of their label table."""
    state = checkpoint.network.state_dict()
    bank = reorder_bank(state["matching.bank"], source=checkpoint.findings, target=corpus.findings)
    return to_published({**state, "matching.bank": bank})


def reorder_bank(
    bank: Float[Tensor, "rows width"], *, source: Sequence[str], target: Sequence[str]
) -> Float[Tensor, "rows width"]:
    """Move each finding's prototypes from its place in `source` to its place in `target`."""
    assert sorted(source) == sorted(target)
    blocks = bank.reshape(len(source), -1, bank.shape[1])
    return blocks[[source.index(finding) for finding in target]].flatten(0, 1)


def _load_archive(path: Path) -> Any:
    try:
        # It warns of protocols it may not read whole; what it cannot read is an error in any case.
        with warnings.catch_warnings(action="ignore"), torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True)
    # A damaged archive can fail in any of its parts; these are what they raise.
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
                f"{path}: the file asks Python for {asked[1]}, and nothing but tensors and plain values is "
                "read; have its owner save the state_dict alone"
            ) from None
        raise InputError(f"{path}: not a whole file of PyTorch weights; fetch it again") from None
