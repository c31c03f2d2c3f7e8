"""A model for others: packed with its card, into a folder or a repository of the Hugging Face hub."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from xpronet.corpora.licences import allows_derived_works
from xpronet.encoders.hub import HUB, hub_errors
from xpronet.errors import InputError
from xpronet.experiment.pack import learned_from, pack
from xpronet.experiment.test_scores import SCORECARD_FILE
from xpronet.experiment.training_data import TrainingData

NO_LICENCE_NEEDED = ("", "random", "auto")
"""What an image encoder may begin from without weights whose licence is not known; "auto" takes torchvision's."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """What was published."""

    where: str
    """The folder, or the address of the repository's page."""
    files: list[tuple[str, int]]
    """Name and size in bytes of each file."""
    notes: list[str]
    """What whoever publishes has to check, a line each."""


def publish(
    run: Path,
    to: str,
    *,
    name: str | None = None,
    corpus: Path | None = None,
    scorecard: Path | None = None,
    with_permission: bool = False,
    private: bool = False,
    overwrite: bool = False,
) -> Published:
    """Write a model into a folder as the Hugging Face hub shows it, or into a repository of the hub.

    Args:
        run: run, checkpoint or model folder; of a run, the best checkpoint is taken.
        to: a folder to write, or "hub:owner/name".
        name: what the card calls the model; by default the name of the folder or repository.
        corpus: the corpus that it learned from, where the run does not say.
        scorecard: its scorecard; by default the run's scorecard.json.
        with_permission: publish although the licence of what it learned from does not let everybody.
        private: make a new repository that others cannot see.
        overwrite: replace the folder if it is there. A repository keeps what it had in its history.

    Raises:
        InputError: a licence forbids it, nothing says what the model is worth, the run is no model, the folder exists,
            or the hub is out of reach or refuses.
    """
    data = learned_from(run, corpus)
    check_licences(data, with_permission=with_permission)
    if scorecard is None and not (run / SCORECARD_FILE).is_file():
        raise InputError(
            f"{run}: a model is published with what it is worth, and it has no {SCORECARD_FILE}; score it with "
            "`xpronet generate` and `xpronet evaluate --out FILE`, and name that with --scorecard"
        )
    if to.startswith(HUB) and to.count("/") != 1:
        raise InputError(f"{to}: not a hub name; write {HUB}owner/name")
    if to.startswith(HUB) and overwrite:
        raise InputError("--overwrite is for a folder; a repository keeps what it had in its history")
    with _folder(to) as (folder, address):
        title = name or (to.removeprefix(HUB).rpartition("/")[2] if address else folder.resolve().name)
        files = pack(
            run, folder, name=title, corpus=corpus, scorecard=scorecard, address=address or None, overwrite=overwrite
        )
        where = _upload(folder, to, private=private) if address else to
    notes = []
    if data.weights not in NO_LICENCE_NEEDED:
        notes.append(f"its image encoder began from {data.weights}: see that the licence of these weights allows it")
    return Published(where=where, files=files, notes=notes)


def check_licences(data: TrainingData, *, with_permission: bool) -> None:
    """Refuse a model that learned from a corpus whose licence does not let others have it.

    Raises:
        InputError: the licence is not known to allow it, and the user has not said that he may.
    """
    if with_permission:
        return
    remedy = "if you have the right to publish what was learned from it, say so with --with-permission"
    if not allows_derived_works(data.licence):
        stated = (
            f"the licence of {data.corpus} is {data.licence!r}"
            if _stated(data.licence)
            else f"nobody stated the licence of {data.corpus}"
        )
        raise InputError(f"{stated}, which does not let everybody publish a model of it; {remedy}")
    earlier = data.first_stage.partition("licence: ")[2]
    if data.first_stage and not allows_derived_works(earlier):
        raise InputError(
            f"an earlier stage of training learned from {data.first_stage}, which does not let everybody publish a "
            f"model of it; {remedy}"
        )


def _stated(licence: str) -> bool:
    return licence not in ("", "unknown", "not stated")


@contextmanager
def _folder(to: str) -> Iterator[tuple[Path, str]]:
    """Yield the folder to write and, for a repository, what `xpronet.load` finds it by."""
    if not to.startswith(HUB):
        yield Path(to), ""
        return
    with tempfile.TemporaryDirectory(prefix="xpronet-publish-") as temporary:
        yield Path(temporary) / "model", to


def _upload(folder: Path, to: str, *, private: bool) -> str:
    """Upload a folder to a repository of the hub, made if need be, and return the address of its page."""
    from huggingface_hub import HfApi

    repository, hub = to.removeprefix(HUB), HfApi(library_name="xpronet")
    with hub_errors(to, out_of_reach="the hub is out of reach; publish into a folder and upload that later"):
        page = str(hub.create_repo(repository, exist_ok=True, private=private or None))
        hub.upload_folder(repo_id=repository, folder_path=folder, commit_message="A model of xpronet")
    return page
