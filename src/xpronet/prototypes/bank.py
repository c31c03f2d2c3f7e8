"""The bank of prototypes: one matrix and what its rows mean, kept in one safetensors file."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as serialised

from xpronet.errors import InputError
from xpronet.files import new_file, utf8_name
from xpronet.images.transforms import ImageSettings, viewed_by
from xpronet.labels.findings import FINDINGS

TENSOR = "prototypes"
METADATA = "prototype_bank"
FORMAT = 2
"""1 did not say which image settings its features come from."""
REMEDY = "make one with `xpronet prototypes`"


@dataclass(frozen=True, kw_only=True)
class PrototypeBank:
    """PM, the prototype matrix as it is before training (paper, eq. 6 and 7)."""

    vectors: Float32[np.ndarray, "rows width"]
    """The prototypes; row = finding * per_finding + prototype. A row is image features, then text features."""
    image_width: int
    """How many of a row's values are image features."""
    findings: tuple[str, ...] = FINDINGS
    """Whose prototypes they are."""
    per_finding: int
    """N_p: prototypes of each finding."""
    counts: Mapping[str, int]
    """Studies with each finding that its prototypes were made from, by name."""
    image_encoder: str
    """Name of the backbone and its weights."""
    text_encoder: str
    """Name of the text encoder."""
    images: Mapping[str, int | str]
    """The image settings that its features depend on (`viewed_by`); empty of a random bank."""
    seed: int
    """What clustering, or a random bank, was seeded with."""
    notes: tuple[str, ...] = field(default=())
    """What whoever uses the bank should know, a sentence each."""

    @property
    def width(self) -> int:
        """Return the width of a prototype."""
        return int(self.vectors.shape[1])

    def of(self, finding: str) -> Float32[np.ndarray, "per_finding width"]:
        """Return the prototypes of one finding."""
        start = self.findings.index(finding) * self.per_finding
        return self.vectors[start : start + self.per_finding]

    def refuse_others(
        self, path: Path, *, image_encoder: str, text_encoder: str, images: ImageSettings, per_finding: int
    ) -> None:
        """Compare what the bank was made with to what it is to be used with.

        Raises:
            InputError: they differ; the line names the first difference.
        """
        wanted = {"image encoder": image_encoder, "text encoder": text_encoder, "prototypes.per_finding": per_finding}
        found = {
            "image encoder": self.image_encoder,
            "text encoder": self.text_encoder,
            "prototypes.per_finding": self.per_finding,
        }
        wanted |= {f"images.{name}": value for name, value in viewed_by(images).items()}
        found |= {f"images.{name}": value for name, value in self.images.items()}
        for name in dict.fromkeys([*wanted, *found]):
            if wanted.get(name) != found.get(name):
                raise InputError(
                    f"{path}: made with {name} {found.get(name)}, the recipe has {wanted.get(name)}; make it again "
                    "with `xpronet prototypes`, or change the recipe"
                )

    def save(self, path: Path, *, overwrite: bool = False) -> None:
        """Write the bank, whole or not at all; the same bank gives the same bytes.

        Raises:
            InputError: `path` exists and `overwrite` is false, or its folder cannot be written.
        """
        about = {item.name: getattr(self, item.name) for item in dataclasses.fields(self) if item.name != "vectors"}
        # One entry only: the library writes several in an order that changes from run to run.
        metadata = {
            METADATA: json.dumps(
                {"format": FORMAT, **about, "counts": dict(self.counts), "images": dict(self.images)},
                ensure_ascii=False,
            )
        }
        with new_file(path, overwrite=overwrite) as temporary:
            # Written by ourselves: the library would put another file in its place, which only its owner may read.
            temporary.write_bytes(serialised({TENSOR: np.ascontiguousarray(self.vectors)}, metadata=metadata))

    @classmethod
    def load(cls, path: Path, *, findings: Sequence[str] = FINDINGS) -> "PrototypeBank":
        """Read a bank, its findings joined by name and put in the order asked for.

        Raises:
            InputError: the file is missing or no whole bank, or has other findings.
        """
        vectors, about = _read(path)
        try:
            known = {item.name for item in dataclasses.fields(cls)}
            if set(about) - {"format"} != known - {"vectors"} or about["format"] != FORMAT:
                raise ValueError("other entries")
            about = {name: about[name] for name in known - {"vectors"}}
            bank = cls(
                **about | {"vectors": vectors, "findings": tuple(about["findings"]), "notes": tuple(about["notes"])}
            )
            sound = (
                bank.per_finding >= 1
                and len(vectors) == len(bank.findings) * bank.per_finding
                and 0 < bank.image_width <= bank.width
                and set(bank.counts) == set(bank.findings)
                and isinstance(bank.images, dict)
            )
        except (KeyError, TypeError, ValueError):
            sound = False
        if not sound:
            raise InputError(f"{path}: not a prototype bank of format {FORMAT}; {REMEDY}")
        if not np.isfinite(vectors).all():
            raise InputError(f"{path}: has values that are no numbers; {REMEDY}")
        if sorted(bank.findings) != sorted(findings):
            names = [name for name in (*findings, *bank.findings) if (name in findings) != (name in bank.findings)]
            raise InputError(f"{path}: other findings than the model's ({', '.join(names[:3])}); {REMEDY}")
        rows = np.concatenate([bank.of(finding) for finding in findings])
        return dataclasses.replace(bank, vectors=rows, findings=tuple(findings))


def _read(path: Path) -> tuple[Float32[np.ndarray, "rows width"], dict[str, Any]]:
    """Return the matrix and what the file says of it."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; {REMEDY}")
    try:
        with utf8_name(path) as name, safe_open(name, framework="numpy") as file:
            about = json.loads((file.metadata() or {}).get(METADATA, "null"))
            vectors = file.get_tensor(TENSOR) if list(file.keys()) == [TENSOR] else None
    except (SafetensorError, json.JSONDecodeError):
        raise InputError(f"{path}: not a whole safetensors file with prototypes; {REMEDY}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    if not isinstance(about, dict) or vectors is None or vectors.ndim != 2 or vectors.dtype != np.float32:
        raise InputError(f"{path}: not a prototype bank of format {FORMAT}; {REMEDY}")
    return vectors, about
