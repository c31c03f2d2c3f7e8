"""Which code made a model: handed over with it, without host names and folders."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xpronet.errors import InputError
from xpronet.files import read_json, write_json
from xpronet.training.run_folder import RUN_FILE, read_starts

ORIGIN_FILE = "origin.json"


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The code and the seeds that made a model."""

    revision: str = ""
    """The commit of the code that trained it; empty where that is not known."""
    changed: bool = False
    """Whether that code had changes that were not committed."""
    versions: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Of xpronet, python and torch."""
    seeds: Mapping[str, int] = dataclasses.field(default_factory=dict)
    """By what they seed."""
    command: str = ""
    """What made the model from nothing, as whoever packed it says."""

    def write(self, folder: Path) -> None:
        """Write it into a model folder."""
        write_json(folder / ORIGIN_FILE, dataclasses.asdict(self), overwrite=True)

    def lines(self) -> list[str]:
        """Return it in words, a line each; nothing that is not known."""
        told = []
        if self.command:
            told.append(f"Made by `{self.command}`")
        if self.revision:
            told.append(f"Trained by commit {self.revision}{' with changes' if self.changed else ''}")
        if self.versions:
            told.append(f"Trained with {', '.join(f'{name} {version}' for name, version in self.versions.items())}")
        if self.seeds:
            told.append(f"Seeds: {', '.join(f'{name} {seed}' for name, seed in self.seeds.items())}")
        return told


def read_origin(folder: Path, *, command: str = "") -> Origin:
    """Return which code made the model of a run or model folder, as far as the folder says.

    Args:
        folder: of a run, its last start counts.
        command: what made the model, where the folder does not say.

    Raises:
        InputError: what it says is damaged.
    """
    record: Any = None
    if (folder / ORIGIN_FILE).is_file():
        record = read_json(folder / ORIGIN_FILE)
    elif (folder / RUN_FILE).is_file():
        start = read_starts(folder)[-1]
        record = {**(start.get("git") or {}), "versions": start.get("versions"), "seeds": start.get("seeds")}
    else:
        return Origin(command=command)
    try:
        return Origin(
            revision=str(record.get("revision") or ""),
            changed=bool(record.get("changed")),
            versions={str(name): str(version) for name, version in (record.get("versions") or {}).items()},
            seeds={str(name): int(seed) for name, seed in (record.get("seeds") or {}).items()},
            command=command or str(record.get("command") or ""),
        )
    except (AttributeError, TypeError, ValueError):
        raise InputError(f"{folder / ORIGIN_FILE}: does not say which code made the model; remove it") from None
