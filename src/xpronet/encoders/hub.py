"""Files of the Hugging Face hub: fetched once, found on disk ever after, and a clear line where it is out of reach."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from xpronet.errors import InputError

HUB = "hub:"
"""What a source that lies on the hub begins with: "hub:owner/name"."""

OUT_OF_REACH = "was not fetched before and the hub is out of reach; give the path of a local copy"

SECONDS_TO_ANSWER = 10
"""How long the hub may take to answer before it counts as out of reach."""

MODEL_FILES = ("*.json", "*.txt", "*.model", "*.safetensors")
ARCHIVE = "pytorch_model.bin"
"""Where older repositories keep their weights; fetched only where there is no safetensors file."""


def hub_file(source: str, file_name: str) -> Path:
    """Return one file of a hub repository.

    Raises:
        InputError: the file was not fetched before, and the hub is out of reach or does not have it.
    """
    from huggingface_hub import hf_hub_download, try_to_load_from_cache

    repository = source.removeprefix(HUB)
    with hub_errors(source):
        found = try_to_load_from_cache(repository, file_name)
        if isinstance(found, str):
            return Path(found)
        _ask(repository, file_name)
        return Path(hf_hub_download(repository, file_name, etag_timeout=SECONDS_TO_ANSWER))


def hub_folder(source: str) -> Path:
    """Return the folder with a hub repository's model: configuration, words and weights.

    Raises:
        InputError: the model was not fetched before, and the hub is out of reach or does not have it.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    repository = source.removeprefix(HUB)
    with hub_errors(source):
        try:
            folder = Path(snapshot_download(repository, local_files_only=True))
        except LocalEntryNotFoundError:
            folder = None
        if folder is not None and (any(folder.glob("*.safetensors")) or (folder / ARCHIVE).is_file()):
            return folder
        _ask(repository, "config.json")
        folder = Path(snapshot_download(repository, allow_patterns=list(MODEL_FILES)))
        if not any(folder.glob("*.safetensors")):
            snapshot_download(repository, allow_patterns=[ARCHIVE])
        return folder


def _ask(repository: str, file_name: str) -> None:
    """Ask the hub for a file's size, once: the downloads ask again and again for half a minute."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    get_hf_file_metadata(hf_hub_url(repository, file_name), timeout=SECONDS_TO_ANSWER)


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep the transformers library from reporting on its loading: what matters of it is checked by who loads."""
    from transformers.utils import logging as its_logging

    logging: Any = its_logging  # untyped
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


@contextmanager
def hub_errors(source: str, *, out_of_reach: str = OUT_OF_REACH) -> Iterator[None]:
    """Turn the errors of the hub's client into a line for the user.

    Args:
        source: "hub:owner/name", as the user wrote it.
        out_of_reach: what is told where the hub does not answer.

    Raises:
        InputError: the client refuses the name, or the hub does not answer or refuses.
    """
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    # The hub's client has changed its HTTP library twice; its own error has always been derived from the library's.
    library_error = cast(type[Exception], HfHubHTTPError.__bases__[0])
    try:
        yield
    except HFValidationError:
        raise InputError(f"{source}: not a hub name; write {HUB}owner/name") from None
    except HfHubHTTPError as error:
        status = error.response.status_code
        remedy = "check the name" + (" or log in with `hf auth login`" if status in (401, 403) else "")
        raise InputError(f"{source}: the hub answers with status {status}; {remedy}") from None
    except (OSError, library_error):
        raise InputError(f"{source}: {out_of_reach}") from None
