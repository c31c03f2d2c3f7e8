"""Files whole or not at all, and never over what is there."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from xpronet.errors import InputError
from xpronet.files import (
    confined,
    new_file,
    new_folder,
    read_json,
    read_json_lines,
    read_text,
    write_json,
    write_json_lines,
    write_text,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("synced", [True, False])
def test_new_file_appears_whole(synced: bool, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.txt"
    with new_file(path, synced=synced) as temporary:
        temporary.write_text("whole")
        assert not path.exists()
        assert temporary.suffix == ".txt"
    assert path.read_text() == "whole"
    assert names(path.parent) == ["a.txt"]


def test_failure_leaves_the_file_that_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(RuntimeError), new_file(path, overwrite=True) as temporary:
        raise RuntimeError(temporary.write_text("half"))
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(InputError, match="already exists; choose another name or add --overwrite"):
        write_text(path, "new")
    assert path.read_text() == "old"
    write_text(path, "new", overwrite=True)
    assert path.read_text() == "new"


def test_file_modes_follow_the_umask(tmp_path: Path) -> None:
    previous = os.umask(0o027)
    try:
        write_text(tmp_path / "a.txt", "")
        with new_folder(tmp_path / "b"):
            pass
    finally:
        os.umask(previous)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o750


def test_new_folder_replaces_the_old_one_at_the_end(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    folder.mkdir()
    with new_folder(folder) as temporary:  # an empty folder is nothing to lose
        (temporary / "a").touch()
    with pytest.raises(InputError, match="already exists"), new_folder(folder):
        pass
    with pytest.raises(RuntimeError), new_folder(folder, overwrite=True) as temporary:
        raise RuntimeError
    assert names(folder) == ["a"]
    with new_folder(folder, overwrite=True) as temporary:
        (temporary / "b").touch()
        assert names(folder) == ["a"]
    assert names(folder) == ["b"]
    assert names(tmp_path) == ["corpus"]


def test_folder_does_not_replace_a_file(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("mine")
    with pytest.raises(InputError, match="already exists"), new_folder(path):
        pass
    with pytest.raises(InputError, match="is a file"), new_folder(path, overwrite=True):
        pass
    with pytest.raises(InputError, match="is a folder"), new_file(tmp_path, overwrite=True):
        pass
    assert path.read_text() == "mine"
    assert names(tmp_path) == ["notes.txt"]


def test_writing_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"cannot be written \(.+\); choose another place"):
        write_text(tmp_path / "file" / "a.txt", "")
    with (
        pytest.raises(InputError, match=r"cannot be written \(.+\); choose another place"),
        new_folder(tmp_path / "file" / "corpus"),
    ):
        pass


def test_json_round_trips(tmp_path: Path) -> None:
    value = {"report": "Größe normal.\u2028Next", "list": [1, None, True]}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value
    write_json_lines(tmp_path / "a.jsonl", (value for _ in range(3)))
    assert read_json_lines(tmp_path / "a.jsonl") == [value] * 3


def test_reading_names_the_place(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n\r\n{"a": \r\n')
    with pytest.raises(InputError, match="line 3: not JSON"):
        read_json_lines(path)
    path.write_text('{"a":\n 1,}')
    with pytest.raises(InputError, match="line 2"):
        read_json(path)
    path.write_bytes(b"caf\xe9")
    with pytest.raises(InputError, match=r"not UTF-8 text \(byte 3\); save it as UTF-8"):
        read_text(path)
    with pytest.raises(InputError, match="no such file"):
        read_text(tmp_path / "absent")
    with pytest.raises(InputError, match="cannot be read"):
        read_text(tmp_path)


def test_deeply_nested_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "deep.json"
    path.write_text("[" * 100_000)
    with pytest.raises(InputError, match="not JSON"):
        read_json(path)


def test_paths_stay_in_their_folder(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    (folder / "images").mkdir(parents=True)
    (tmp_path / "secret").touch()
    (folder / "link").symlink_to(tmp_path / "secret")
    assert confined(folder, "images/a.png") == folder / "images" / "a.png"
    assert confined(folder, "images/../images/a.png").name == "a.png"
    for path in ("../secret", "images/../../secret", str(tmp_path / "secret"), "link", "a\0b"):
        with pytest.raises(InputError):
            confined(folder, path)


@pytest.mark.parametrize("new", [new_file, new_folder])
def test_a_full_disk_is_one_line_and_leaves_nothing(new: Callable[..., Any], tmp_path: Path) -> None:
    told = r"target: cannot be written \(No space left on device\); free some space"
    with pytest.raises(InputError, match=told), new(tmp_path / "target"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert not list(tmp_path.iterdir())


def test_another_failure_while_filling_a_file_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), new_file(tmp_path / "target"):
        raise PermissionError(errno.EACCES, "some other file")
