"""Films decoded once into one file of bytes, which training reads as memory."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64, UInt8

from xpronet.errors import InputError
from xpronet.files import new_file
from xpronet.images.read import eight_bits, read_grey, resize
from xpronet.pretrain.studies import LabelledStudy
from xpronet.progress import Tracker, silent


@dataclass(frozen=True, kw_only=True)
class FilmSet:
    """Labelled studies with their films at hand."""

    ids: tuple[str, ...]
    """The studies."""
    pixels: UInt8[np.ndarray, "films side side"]
    """Every film, squashed to a square; mapped from a file."""
    starts: Int64[np.ndarray, " studies_and_one"]
    """Number of each study's first film; the last entry is the number of films."""
    targets: Float32[np.ndarray, "studies findings"]
    """See `Targets`."""

    def __len__(self) -> int:
        return len(self.ids)

    def films_of(
        self, studies: Int64[np.ndarray, " some"]
    ) -> tuple[Int64[np.ndarray, " films"], Int64[np.ndarray, " films"]]:
        """Return the films of some studies, and for each film the place of its study among these."""
        films = [np.arange(self.starts[study], self.starts[study + 1], dtype=np.int64) for study in studies]
        owners = [np.full(len(of_one), place, np.int64) for place, of_one in enumerate(films)]
        return np.concatenate(films), np.concatenate(owners)


def open_films(
    studies: Sequence[LabelledStudy], cache: Path, *, side: int, track: Tracker = silent, description: str = "Films"
) -> FilmSet:
    """Decode the films of studies into a file, or map the file that was made of the same films before.

    Args:
        studies: which ones.
        cache: folder for the file, whose name is a digest of the films' paths, sizes and times.
        side: of the squares, in pixels.
        track: shows progress.
        description: what the progress is called.

    Raises:
        InputError: a film is missing or damaged, or the folder cannot be written.
    """
    paths = [path for study in studies for path in study.films]
    file = cache / f"{_digest(paths, side)}.npy"
    shape = (len(paths), side, side)
    if not file.is_file():
        with new_file(file, synced=False) as temporary:
            decoded = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=shape)
            for number, path in enumerate(track(paths, description, len(paths))):
                grey = eight_bits(read_grey(path))
                decoded[number] = grey if grey.shape == shape[1:] else eight_bits(resize(grey, side, side))
            decoded.flush()
            del decoded
    try:
        pixels = np.load(file, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError):
        pixels = np.zeros(0, np.uint8)
    if pixels.shape != shape or pixels.dtype != np.uint8:
        raise InputError(f"{file}: not the films it is named after; remove it, it will be made again")
    return FilmSet(
        ids=tuple(study.id for study in studies),
        pixels=pixels,
        starts=np.cumsum([0, *(len(study.films) for study in studies)]).astype(np.int64),
        targets=np.stack([study.targets for study in studies]),
    )


def _digest(paths: Sequence[Path], side: int) -> str:
    digest = hashlib.sha256(f"{side}".encode())
    for path in paths:
        try:
            status = path.stat()
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror or error}); make the corpus again") from None
        digest.update(f"\n{path.resolve()}\t{status.st_size}\t{status.st_mtime_ns}".encode())
    return digest.hexdigest()[:24]
