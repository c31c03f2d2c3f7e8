from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from xpronet.encoders.hub import hub_file, hub_folder
from xpronet.errors import InputError

COMMIT = "0" * 40


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache of the hub's client, which is set to be offline."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path


def keep(cache: Path, *names: str) -> Path:
    """Lay files into the cache as the hub's client does."""
    repository = cache / "models--owner--name"
    folder = repository / "snapshots" / COMMIT
    folder.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    for name in names:
        (folder / name).write_text("kept")
    return folder


@pytest.mark.parametrize("fetch", [lambda name: hub_file(name, "model.safetensors"), hub_folder])
def test_out_of_reach_is_one_line_with_the_remedy(cache: Path, fetch: Callable[[str], Path]):
    with pytest.raises(InputError, match=r"^hub:owner/name: .*local copy$"):
        fetch("hub:owner/name")


@pytest.mark.parametrize("fetch", [lambda name: hub_file(name, "model.safetensors"), hub_folder])
def test_names_that_are_none_are_refused(cache: Path, fetch: Callable[[str], Path]):
    with pytest.raises(InputError, match="hub:a b/c/d: not a hub name"):
        fetch("hub:a b/c/d")


def test_files_once_fetched_are_found_offline(cache: Path):
    folder = keep(cache, "config.json", "model.safetensors")
    assert hub_file("hub:owner/name", "model.safetensors") == folder / "model.safetensors"
    assert hub_folder("hub:owner/name") == folder


def test_a_folder_without_weights_is_not_taken(cache: Path):
    keep(cache, "config.json")
    with pytest.raises(InputError, match="was not fetched before"):
        hub_folder("hub:owner/name")
