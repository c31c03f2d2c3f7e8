"""Turn reports into sentence features: TF-IDF without any weights, a BERT-family model, or an outside encoder."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from safetensors import SafetensorError
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from torch import Tensor

from xpronet.encoders.hub import HUB, hub_folder, quiet_transformers
from xpronet.errors import InputError
from xpronet.extensions import check_fulfils, is_outside, load_object
from xpronet.progress import Tracker, silent
from xpronet.text.cleaning import clean

Pooling = Literal["cls", "mean"]

TFIDF = "tfidf"
MAX_TERMS = 50_000
"""The most frequent words and pairs of words that TF-IDF keeps."""
MAX_WORD_PIECES = 512
"""The longest text that BERT has positions for; the rest is cut off."""


@dataclass(frozen=True, kw_only=True)
class TextSettings:
    """Which features of a report its study's prototypes are made from."""

    encoder: str = TFIDF
    """tfidf, a BERT-family model by folder or hub:OWNER/NAME, or python:package.module:factory."""
    pooling: Pooling = "cls"
    """What of a BERT counts: its first position (CheXbert) or the mean of all (sentence models)."""
    width: int = 128
    """Width of the TF-IDF features; an outside factory may read it as it likes."""


@runtime_checkable
class TextEncoder(Protocol):
    """What turns reports into features."""

    @property
    def width(self) -> int:
        """Return the width of a feature."""
        ...

    def encode(self, texts: Sequence[str], *, track: Tracker = silent) -> Float32[np.ndarray, "texts width"]:
        """Return one feature for each text; texts are encoded each by itself."""
        ...


@dataclass(frozen=True, kw_only=True)
class TfidfEncoder:
    """Frequencies of words and pairs of words, reduced to their main directions; learned from reports."""

    vectorizer: TfidfVectorizer
    """From texts to weighted frequencies."""
    directions: TruncatedSVD
    """From frequencies to features."""

    @classmethod
    def fit(cls, reports: Sequence[str], *, width: int = 128, seed: int = 0) -> "TfidfEncoder":
        """Learn the terms and directions of train reports.

        Args:
            reports: what to learn from; never validation or test reports.
            width: of a feature; a corpus with fewer reports or fewer terms than this gives as many.
            seed: of the decomposition.

        Raises:
            InputError: the reports have fewer than two different words.
        """
        if width < 1:
            raise InputError(f"text width = {width}: must be at least 1")
        vectorizer = TfidfVectorizer(analyzer=_terms, sublinear_tf=True, max_features=MAX_TERMS, dtype=np.float32)
        if len({term for report in reports for term in _terms(report)}) < 2:
            raise InputError(f"the {len(reports)} train reports have fewer than two words; TF-IDF needs reports")
        frequencies = vectorizer.fit_transform(reports)
        directions = TruncatedSVD(min(width, *frequencies.shape), random_state=seed)
        # The share of variance that the fit also computes is 0/0 where all reports are the same.
        with np.errstate(invalid="ignore", divide="ignore"):
            directions.fit(frequencies)
        return cls(vectorizer=vectorizer, directions=directions)

    @property
    def width(self) -> int:
        """Return the width of a feature."""
        return len(self.directions.components_)

    def encode(self, texts: Sequence[str], *, track: Tracker = silent) -> Float32[np.ndarray, "texts width"]:
        """Return one feature for each text, of length 1 at most; 0 where all its words are unknown."""
        if not texts:
            return np.zeros((0, self.width), np.float32)
        features: np.ndarray = self.directions.transform(self.vectorizer.transform(texts))
        return features.astype(np.float32)


class BertEncoder:
    """Any BERT-family model of the transformers library."""

    def __init__(self, source: str, *, pooling: Pooling = "cls", batch: int = 32, device: str = "cpu") -> None:
        """Load the model.

        Args:
            source: a local folder in the transformers library's layout, or "hub:owner/name".
            pooling: the feature is that of the first position, as of CheXbert ("cls"), or the mean of all ("mean"),
                as sentence models want it.
            batch: texts at a time.
            device: where the model runs.

        Raises:
            InputError: the extra is not installed, the model is missing, damaged or of another kind, or the hub is
                out of reach.
        """
        folder = hub_folder(source) if source.startswith(HUB) else Path(source)
        if not (folder / "config.json").is_file():
            raise InputError(f"{source}: no text model here (no config.json); give a model's folder or {HUB}owner/name")
        self._tokenizer, model = _load(folder, source)
        self._model = model.to(device).eval()
        self._pooling = pooling
        self._batch = batch
        self.width = int(model.config.hidden_size)
        self._positions = min(MAX_WORD_PIECES, int(self._tokenizer.model_max_length))

    def encode(self, texts: Sequence[str], *, track: Tracker = silent) -> Float32[np.ndarray, "texts width"]:
        """Return one feature for each text; the end of a text of more than 512 word pieces is not seen."""
        features = np.zeros((len(texts), self.width), np.float32)
        if not texts:
            return features
        pieces = self._tokenizer(list(texts), truncation=True, max_length=self._positions, verbose=False)["input_ids"]
        # Texts of like length go together, so that little is spent on padding.
        order = sorted(range(len(texts)), key=lambda index: len(pieces[index]))
        batches = [order[start : start + self._batch] for start in range(0, len(order), self._batch)]
        for indices in track(batches, "Encode reports", len(batches)):
            padded = self._tokenizer.pad({"input_ids": [pieces[index] for index in indices]}, return_tensors="pt")
            features[indices] = self._features(padded["input_ids"], padded["attention_mask"]).cpu().numpy()
        return features

    @torch.inference_mode()
    def _features(
        self, pieces: Int64[Tensor, "texts positions"], mask: Int64[Tensor, "texts positions"]
    ) -> Float[Tensor, "texts width"]:
        device = self._model.device
        pieces, mask = pieces.to(device), mask.to(device)
        states: Tensor = self._model(input_ids=pieces, attention_mask=mask).last_hidden_state
        if self._pooling == "cls":
            return states[:, 0]
        weights = mask.unsqueeze(-1).to(states.dtype)
        return (states * weights).sum(1) / weights.sum(1)


def build_text_encoder(
    settings: TextSettings,
    train_reports: Sequence[str],
    *,
    seed: int = 0,
    device: str = "cpu",
    allow_code: bool = False,
) -> TextEncoder:
    """Build a text encoder.

    Args:
        settings: which encoder.
        train_reports: what TF-IDF learns its terms from, and an outside encoder may.
        seed: of the TF-IDF decomposition.
        device: where a BERT runs.
        allow_code: whether an outside factory may run.

    Raises:
        InputError: the encoder is missing, damaged or of another kind, or an outside factory is not allowed, does not
            exist or makes something else.
    """
    if settings.encoder == TFIDF:
        return TfidfEncoder.fit(train_reports, width=settings.width, seed=seed)
    if is_outside(settings.encoder):
        factory = load_object(settings.encoder, what="text encoder", allow_code=allow_code)
        made: TextEncoder = factory(train_reports, settings)
        check_fulfils(made, TextEncoder, name=settings.encoder, what="text encoder")
        return made
    return BertEncoder(settings.encoder, pooling=settings.pooling, device=device)


def text_encoder_name(settings: TextSettings) -> str:
    """Name a text encoder, without the folder it lies in, for the files made with it."""
    source = settings.encoder
    if source == TFIDF:
        return f"{TFIDF}-{settings.width}"
    if is_outside(source):
        return f"{source}, width {settings.width}"
    return f"{source.removeprefix(HUB) if source.startswith(HUB) else Path(source).resolve().name}-{settings.pooling}"


def _terms(text: str) -> list[str]:
    """Return a text's words and pairs of neighbouring words: "no effusion" means more than its words do."""
    words = clean(text).split()
    pairs = [" ".join(pair) for pair in pairwise(words) if "." not in pair]
    return [word for word in words if word != "."] + pairs


def _load(folder: Path, source: str) -> tuple[Any, Any]:
    """Return tokenizer and model, all of whose weights come from the file."""
    try:
        from transformers import AutoModel, AutoTokenizer
    except ModuleNotFoundError:
        raise InputError("a BERT text encoder needs the extra [text]: pip install 'xpronet[text]'") from None
    with quiet_transformers():
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            model, loaded = AutoModel.from_pretrained(
                folder,
                local_files_only=True,
                trust_remote_code=False,
                dtype=torch.float32,
                output_loading_info=True,
            )
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(f"{source}: cannot be loaded as a text model ({reason}); fetch it again") from None
    # The pooler serves next-sentence prediction; neither kind of pooling uses it, and many files leave it out.
    missing = sorted(name for name in loaded["missing_keys"] if not name.startswith("pooler."))
    if missing:
        raise InputError(f"{source}: lacks {len(missing)} weights ({', '.join(missing[:3])}); fetch it again")
    return tokenizer, model
