"""The images of one study in whatever form a caller has them: files, PIL images or arrays."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image

from xpronet.data.corpus import CORPUS_FILE, Corpus, each_study, open_corpus
from xpronet.data.study import Study
from xpronet.errors import InputError
from xpronet.images.dicom_study import check_body_parts, check_same_study, read_dicom_image
from xpronet.images.grey_range import low_range_warning
from xpronet.images.read import Grey, read_grey

ImageSource: TypeAlias = str | Path | Image.Image | np.ndarray
"""A PNG, JPEG, TIFF or DICOM file, a PIL image, or an array: (height, width) of uint8 or uint16, or RGB of uint8."""


SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".dcm", ".dicom", "")
"""File names that count as images in a folder of studies."""


@dataclass(frozen=True, kw_only=True)
class StudyImages:
    """One study whose images have been read."""

    id: str
    """What the caller calls the study, or the name of its first image."""
    names: tuple[str, ...]
    """What each view is called in messages."""
    images: tuple[Grey, ...]
    """Grey images of any size, 8 or 16 bits."""
    files: tuple[Path, ...] = ()
    """The files that the images were read from; empty where they were given as arrays."""
    warnings: tuple[str, ...] = ()
    """What is odd about the images, and what DICOM headers leave open about patient and study, a line each."""


StudySource: TypeAlias = ImageSource | Sequence[ImageSource] | StudyImages
"""The views of one study, frontal first; a single image is a study of one view."""

StudiesSource: TypeAlias = str | Path | Corpus | Mapping[str, StudySource] | Sequence[StudySource]
"""Many studies: a folder, a corpus, a mapping from ids to studies, or a sequence."""


def read_study(
    images: StudySource,
    *,
    id: str | None = None,  # noqa: A002 - a study's id
    frame: int | None = None,
    anyway: bool = False,
) -> StudyImages:
    """Read the images of one study.

    Args:
        images: one image or several, frontal first.
        id: the study's id; by default the name of its first image.
        frame: which frame of files that hold several to read, from 1; without it such files are refused.
        anyway: warn of images whose headers name another body part than the chest, which are refused otherwise.

    Raises:
        InputError: there is no image, one cannot be read, is no chest image by its form or its header, or two are of
            different patients or studies.
    """
    if isinstance(images, StudyImages):
        return images
    sources: list[ImageSource] = [images] if isinstance(images, str | Path | Image.Image | np.ndarray) else list(images)
    if not sources:
        raise InputError("no image given: name at least one PNG, JPEG or DICOM file")
    files = tuple(Path(source) for source in sources if isinstance(source, str | Path))
    names = tuple(
        Path(source).name if isinstance(source, str | Path) else f"view {number}"
        for number, source in enumerate(sources, 1)
    )
    greys = tuple(as_grey(source, name, frame=frame) for source, name in zip(sources, names, strict=True))
    headers = [read_dicom_image(source) if isinstance(source, str | Path) else None for source in sources]
    odd = zip(names, map(low_range_warning, greys), strict=True)
    low_range = [f"{name}: {warning}" for name, warning in odd if warning is not None]
    return StudyImages(
        id=id if id is not None else Path(names[0]).stem if files else "study",
        names=names,
        images=greys,
        files=files if len(files) == len(sources) else (),
        warnings=(*check_same_study(headers, names), *check_body_parts(headers, names, anyway=anyway), *low_range),
    )


def as_grey(source: ImageSource, name: str = "image", *, frame: int | None = None) -> Grey:
    """Return one image as grey levels.

    Raises:
        InputError: the file cannot be read, or the array is of another shape or type.
    """
    if isinstance(source, str | Path):
        return read_grey(Path(source), frame=frame)
    if isinstance(source, Image.Image):
        # 16-bit modes keep their depth; everything else becomes 8-bit grey.
        deep = source.mode.startswith("I")
        source = np.asarray(source).astype(np.uint16) if deep else np.asarray(source.convert("L"))
    if not isinstance(source, np.ndarray):
        raise InputError(f"{name}: a {type(source).__name__}; give a file name, a PIL image or an array")
    if source.ndim == 3 and source.shape[2] == 3 and source.dtype == np.uint8:
        source = np.asarray(Image.fromarray(source).convert("L"))
    if source.ndim != 2 or source.dtype not in (np.uint8, np.uint16) or not source.size:
        raise InputError(
            f"{name}: an array of shape {source.shape} and type {source.dtype}; "
            "give (height, width) or (height, width, 3) of uint8, or (height, width) of uint16"
        )
    return source


def each_study_images(studies: StudiesSource) -> Iterator[StudyImages]:
    """Yield the studies of a folder, a corpus, a mapping from ids to images or a sequence, read one at a time.

    A folder is a corpus folder, or holds one folder or one image a study; names are taken in alphabetical order. Images
    of other body parts, by their headers, are warned of: one odd header must not end a long run.

    Raises:
        InputError: there is no study, or an image cannot be read.
    """
    if isinstance(studies, Corpus):
        for study in studies.studies or each_study(studies.folder):
            yield _corpus_study(studies, study)
    elif isinstance(studies, Mapping):
        for name, images in studies.items():
            yield read_study(images, id=str(name), anyway=True)
    elif isinstance(studies, str | Path):
        yield from _folder_studies(Path(studies))
    else:
        for number, images in enumerate(studies, 1):
            named = isinstance(images, str | Path) or (isinstance(images, list | tuple) and _named(images))
            yield read_study(images, id=None if named else f"study-{number}", anyway=True)


def _named(images: Sequence[ImageSource]) -> bool:
    return bool(images) and isinstance(images[0], str | Path)


def _corpus_study(corpus: Corpus, study: Study) -> StudyImages:
    if not study.views:
        raise InputError(f"{corpus.folder}: study {study.id!r} has no view")
    return read_study([corpus.view_path(view) for view in study.views], id=study.id, anyway=True)


def _folder_studies(folder: Path) -> Iterator[StudyImages]:
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder of studies")
    if (folder / CORPUS_FILE).is_file():
        yield from each_study_images(open_corpus(folder))
        return
    for name, images in folder_studies(folder).items():
        yield read_study(images, id=name, anyway=True)


def folder_studies(folder: Path) -> dict[str, list[ImageSource]]:
    """Return the image files of each study of a folder, by the study's id, both in alphabetical order.

    A sub-folder is a study of its images, named as the folder; an image is a study of its own, named as the file
    without its extension. What begins with a dot, and files that are no images by their name, are left out.

    Raises:
        InputError: there is no study, or two have one name.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder of studies")
    studies: dict[str, list[ImageSource]] = {}
    entries: dict[str, Path] = {}
    for entry in sorted(entry for entry in folder.iterdir() if not entry.name.startswith(".")):
        own: list[ImageSource] = [entry] if _is_image(entry) else []
        images = _image_files(entry) if entry.is_dir() else own
        if not images:
            continue
        name = entry.name if entry.is_dir() else entry.stem
        if name in studies:
            raise InputError(f"{folder}: {entries[name].name} and {entry.name} are studies of one name; rename one")
        studies[name], entries[name] = images, entry
    if not studies:
        raise InputError(f"{folder}: no study here; put each study's images into a folder of its own")
    return studies


def _image_files(folder: Path) -> list[ImageSource]:
    return [path for path in sorted(folder.iterdir()) if _is_image(path)]


def _is_image(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".") and path.suffix.lower() in SUFFIXES
