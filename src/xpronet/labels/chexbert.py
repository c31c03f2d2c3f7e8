"""Read the fourteen findings from a report with CheXbert: BERT with one small head a finding.

The checkpoint's layout is that of Smit et al., "CheXbert" (EMNLP 2020): `bert.*`, and `linear_heads.N.*` for finding N
of `FINDINGS`, thirteen of four classes and No Finding's of two, all on BERT's first position.
"""

import itertools
import pickle
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float, Int64
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from xpronet.encoders.hub import HUB, hub_file
from xpronet.errors import InputError
from xpronet.files import utf8_name
from xpronet.labels.findings import ABNORMALITIES, FINDINGS, NO_FINDING, State

CLASSES = (State.NOT_MENTIONED, State.POSITIVE, State.NEGATIVE, State.UNCERTAIN)
"""What the classes of a finding's head mean, in order; No Finding's head has the first two."""

HUB_WEIGHTS = "chexbert.pth"
"""The file taken from a hub repository where none is named."""

MAX_WORD_PIECES = 512
"""The longest report that BERT has positions for; the rest is cut off."""

REPORTS_AT_ONCE = 2048
"""How many reports are sorted by length together: enough for tight batches, little to hold in memory."""


@dataclass(frozen=True, kw_only=True)
class ChexbertSettings:
    """Which CheXbert, and how it runs."""

    weights: str
    """A .pth, .pt or .safetensors file, or "hub:owner/name" with or without "/FILE"."""
    bert: str | None = None
    """A folder with config.json and the words (vocab.txt or tokenizer.json), or "hub:owner/name"; None: that of the
    weights file."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Of BERT's arithmetic; bf16 takes half the memory, and on new CPUs half the time."""
    word_pieces: int = 16_384
    """How many word pieces, padding included, a batch may have."""
    device: str = "cpu"
    """Where it runs, as PyTorch names it."""

    def __post_init__(self) -> None:
        if self.word_pieces < 1:
            raise InputError(f"word_pieces = {self.word_pieces}: must be at least 1")


class ChexbertLabeler:
    """Reads findings from reports with CheXbert's weights."""

    def __init__(self, settings: ChexbertSettings) -> None:
        """Load the weights, strictly.

        Raises:
            InputError: the extra is not installed, a file is missing or damaged, or the weights are not CheXbert's.
        """
        weights_file = _weights_file(settings.weights)
        self._tokenizer, self._bert = _bert(_bert_folder(settings.bert, weights_file))
        width = self._bert.config.hidden_size
        self._heads = nn.ModuleList(nn.Linear(width, 2 if name == NO_FINDING else len(CLASSES)) for name in FINDINGS)
        _fill(self._bert, self._heads, _read_weights(weights_file), weights_file)
        self._device = torch.device(settings.device)
        self._bert.to(self._device, torch.bfloat16 if settings.precision == "bf16" else torch.float32).eval()
        self._heads.to(self._device).eval()
        self._word_pieces = settings.word_pieces
        self.name = f"chexbert ({weights_file.name}, {weights_file.stat().st_size} bytes, {settings.precision})"
        self._positions = min(MAX_WORD_PIECES, int(self._bert.config.max_position_embeddings))

    def label(self, report: str) -> dict[str, State]:
        """Return the state of all fourteen findings, in the order of `FINDINGS`."""
        return self._label([report])[0]

    def label_many(self, texts: Iterable[tuple[str, str]]) -> Iterator[tuple[str, dict[str, State]]]:
        """Yield the id and labels of each id and report, in order; a few thousand are held at a time."""
        remaining = iter(texts)
        while some := list(itertools.islice(remaining, REPORTS_AT_ONCE)):
            labels = self._label([report for _, report in some])
            yield from zip((study_id for study_id, _ in some), labels, strict=True)

    def _label(self, reports: Sequence[str]) -> list[dict[str, State]]:
        cleaned = [" ".join(report.split()) for report in reports]
        pieces: list[list[int]] = self._tokenizer(
            cleaned, truncation=True, max_length=self._positions, return_attention_mask=False, verbose=False
        )["input_ids"]
        labels: list[dict[str, State]] = [{} for _ in reports]
        for batch in _batches([len(some) for some in pieces], self._word_pieces):
            padded = nn.utils.rnn.pad_sequence([torch.tensor(pieces[index]) for index in batch], batch_first=True)
            lengths = torch.tensor([len(pieces[index]) for index in batch])
            for index, states in zip(batch, self._states(padded, lengths), strict=True):
                labels[index] = states
        return labels

    @torch.inference_mode()
    def _states(
        self, pieces: Int64[Tensor, "reports positions"], lengths: Int64[Tensor, " reports"]
    ) -> list[dict[str, State]]:
        mask = (torch.arange(pieces.shape[1]) < lengths.unsqueeze(1)).to(torch.int64)
        states: Float[Tensor, "reports positions width"] = self._bert(
            input_ids=pieces.to(self._device), attention_mask=mask.to(self._device)
        ).last_hidden_state
        first = states[:, 0].float()
        classes = torch.stack([head(first).argmax(dim=1) for head in self._heads], dim=1).tolist()
        return [{name: CLASSES[index] for name, index in zip(FINDINGS, row, strict=True)} for row in classes]


def _batches(lengths: Sequence[int], word_pieces: int) -> Iterator[list[int]]:
    """Yield batches of like lengths that stay under `word_pieces` with their padding, longest first."""
    batch: list[int] = []
    longest = 0
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        if batch and (len(batch) + 1) * longest > word_pieces:
            yield batch
            batch = []
        if not batch:
            longest = lengths[index]
        batch.append(index)
    if batch:
        yield batch


def _weights_file(source: str) -> Path:
    if not source.startswith(HUB):
        path = Path(source)
        if not path.is_file():
            raise InputError(f"{path}: no such file; give CheXbert's weights or {HUB}owner/name")
        return path
    owner, _, rest = source.removeprefix(HUB).partition("/")
    name, _, file_name = rest.partition("/")
    return hub_file(f"{HUB}{owner}/{name}", file_name or HUB_WEIGHTS)


def _bert_folder(source: str | None, weights_file: Path) -> Path:
    """Return the folder with BERT's config.json and words; no weights of BERT are fetched, CheXbert has its own."""
    if source is not None and source.startswith(HUB):
        hub_file(source, "tokenizer_config.json")
        hub_file(source, "vocab.txt")
        return hub_file(source, "config.json").parent
    folder = weights_file.parent if source is None else Path(source)
    words = (folder / "vocab.txt").is_file() or (folder / "tokenizer.json").is_file()
    if not (words and (folder / "config.json").is_file()):
        raise InputError(
            f"{folder}: no config.json with vocab.txt or tokenizer.json here; give BERT's folder or "
            f"{HUB}google-bert/bert-base-uncased with --bert"
        )
    return folder


def _bert(folder: Path) -> tuple[Any, Any]:
    """Return BERT's tokenizer, and BERT as its configuration says, without weights."""
    try:
        from transformers import AutoTokenizer, BertConfig, BertModel
    except ModuleNotFoundError:
        raise InputError("CheXbert needs the extra [text]: pip install 'xpronet[text]'") from None
    try:
        config = BertConfig.from_pretrained(folder, local_files_only=True)
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        return tokenizer, BertModel(config, add_pooling_layer=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{folder}: not a BERT ({' '.join(str(error).split())[:160]})") from None


def _read_weights(path: Path) -> dict[str, Tensor]:
    """Return named tensors, without what training in parallel put before their names."""
    try:
        if path.suffix == ".safetensors":
            with utf8_name(path) as name:
                weights: Any = load_file(name)
        else:
            weights = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise InputError(f"{path}: cannot be read as weights ({str(error).splitlines()[0]}); fetch it again") from None
    if isinstance(weights, dict) and isinstance(weights.get("model_state_dict"), dict):
        weights = weights["model_state_dict"]
    if not isinstance(weights, dict) or not all(isinstance(tensor, Tensor) for tensor in weights.values()):
        raise InputError(f"{path}: not a mapping from names to tensors; save the model's state_dict() alone")
    return {str(name).removeprefix("module."): tensor for name, tensor in weights.items()}


def _fill(bert: Any, heads: nn.ModuleList, weights: dict[str, Tensor], path: Path) -> None:
    """Put every weight in its place; none may be missing, left over or of another shape."""
    wanted = {f"bert.{name}": tensor for name, tensor in bert.state_dict().items()}
    wanted |= {f"linear_heads.{name}": tensor for name, tensor in heads.state_dict().items()}
    # Older files carry the numbers of the positions; the pooler serves next-sentence prediction.
    given = {
        name: tensor
        for name, tensor in weights.items()
        if name != "bert.embeddings.position_ids" and not name.startswith("bert.pooler.")
    }
    for complaint, names in (
        ("lacks", [name for name in wanted if name not in given]),
        ("has unknown", [name for name in given if name not in wanted]),
        (
            "has other shapes for",
            [name for name in wanted if name in given and wanted[name].shape != given[name].shape],
        ),
    ):
        if names:
            first = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
            raise InputError(
                f"{path}: {complaint} {len(names)} weights of CheXbert with {len(ABNORMALITIES) + 1} heads ({first})"
            )
    bert.load_state_dict({name.removeprefix("bert."): given[name] for name in wanted if name.startswith("bert.")})
    heads.load_state_dict(
        {name.removeprefix("linear_heads."): given[name] for name in wanted if name.startswith("linear_heads.")}
    )
