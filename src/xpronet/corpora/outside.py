"""Corpora read by a function of another package; see docs/how_to/extend_corpus.md."""

import dataclasses
import inspect
from collections.abc import Mapping
from pathlib import Path

from xpronet.corpora.build import BuildSettings, BuildSummary, build_studies
from xpronet.corpora.source import SourceCorpus, SourceStudy
from xpronet.errors import InputError
from xpronet.extensions import load_object
from xpronet.progress import Tracker, silent

WHAT = "corpus reader"


def read_outside(reader: str, options: Mapping[str, str]) -> SourceCorpus:
    """Return what a reader of another package brings in.

    Args:
        reader: "python:package.module:function" of a `CorpusReader` in an installed package. The user has typed its
            name, which allows its code to run.
        options: its keyword arguments.

    Raises:
        InputError: there is no such reader, it takes other options, or it returns something else than a corpus.
    """
    read = load_object(reader, what=WHAT, allow_code=True)
    parameters = inspect.signature(read)
    try:
        parameters.bind(**options)
    except TypeError as error:
        raise InputError(f"{WHAT} {reader}: {error}; its options are {parameters}") from None
    source = read(**options)
    if not isinstance(source, SourceCorpus):
        raise InputError(f"{WHAT} {reader}: returns a {type(source).__name__}, not a SourceCorpus")
    studies = list(source.studies)
    for study in studies:
        if not isinstance(study, SourceStudy):
            raise InputError(f"{WHAT} {reader}: has a {type(study).__name__} among its studies; each is a SourceStudy")
        if not (isinstance(study.id, str) and isinstance(study.report, str)):
            raise InputError(f"{WHAT} {reader}: study {study.id!r}: id and report must be text")
    if source.images is not None and not source.images.is_dir():
        raise InputError(f"{source.images}: no such folder of images")
    return dataclasses.replace(source, studies=studies)


def make_outside(
    out: Path,
    reader: str,
    options: Mapping[str, str],
    build: BuildSettings,
    *,
    overwrite: bool = False,
    track: Tracker = silent,
) -> BuildSummary:
    """Write a corpus folder from what a reader of another package brings in; see `read_outside` and `build_studies`."""
    return build_studies(
        out,
        read_outside(reader, options),
        build,
        where=reader,
        made={"command": "prepare outside", "reader": reader, "options": dict(options)},
        overwrite=overwrite,
        track=track,
    )
