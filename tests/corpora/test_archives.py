"""Archives of strangers: what is read, and that nothing is written outside or without limit."""

import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from xpronet.corpora.archives import Limits, read_files, unpack
from xpronet.errors import InputError

FILES = {"a/one.xml": b"<one/>", "a/TWO.XML": b"<two/>", "b.png": b"png" * 1000}


def tar(path: Path, members: dict[str, bytes], change: Callable[[tarfile.TarInfo], None] = lambda _: None) -> Path:
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            change(info)
            archive.addfile(info, io.BytesIO(content))
    return path


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return path


def made(path: Path, members: dict[str, bytes]) -> Path:
    return zipped(path, members) if path.suffix == ".zip" else tar(path, members)


@pytest.mark.parametrize("name", ["a.tgz", "a.tar.gz", "a.tar", "a.zip", "folder"])
def test_files_are_read_by_suffix(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name == "folder":
        (path / "a").mkdir(parents=True)
        for file, content in FILES.items():
            (path / file).write_bytes(content)
    else:
        made(path, FILES)
    assert dict(read_files(path, ".xml")) == {"a/one.xml": b"<one/>", "a/TWO.XML": b"<two/>"}


@pytest.mark.parametrize("name", ["a.tgz", "a.zip"])
def test_what_is_wanted_is_unpacked_once(name: str, tmp_path: Path) -> None:
    path, out = made(tmp_path / name, FILES), tmp_path / "out"
    assert unpack(path, out, lambda member: member.endswith(".png")) == 1
    assert [file.name for file in out.rglob("*") if file.is_file()] == ["b.png"]
    before = (out / "b.png").stat().st_mtime_ns
    assert unpack(path, out, lambda member: True) == 3
    assert (out / "b.png").stat().st_mtime_ns == before
    assert {file.relative_to(out).as_posix(): file.read_bytes() for file in out.rglob("*.*")} == FILES
    (out / "b.png").write_bytes(b"torn")
    unpack(path, out, lambda member: True)
    assert (out / "b.png").read_bytes() == FILES["b.png"]


HOSTILE = ["../x.xml", "/tmp/x.xml", "a/../../x.xml", "..", "C:/x.xml", "a\\..\\..\\x.xml"]


@pytest.mark.parametrize("name", ["a.tgz", "a.zip"])
@pytest.mark.parametrize("member", HOSTILE)
def test_names_that_lead_out_are_refused(member: str, name: str, tmp_path: Path) -> None:
    path = made(tmp_path / name, {"good.xml": b"", member: b"<evil/>"})
    for call in (lambda: list(read_files(path, ".xml")), lambda: unpack(path, tmp_path / "out", lambda _: True)):
        with pytest.raises(InputError, match="leads out of the archive"):
            call()
    assert {file.name for file in tmp_path.rglob("*") if file.is_file()} == {name, "good.xml"}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_are_refused(kind: bytes, tmp_path: Path) -> None:
    def change(info: tarfile.TarInfo) -> None:
        info.type, info.linkname = kind, "/etc/passwd"

    path = tar(tmp_path / "a.tgz", {"x.xml": b""}, change)
    with pytest.raises(InputError, match="link or device"):
        unpack(path, tmp_path / "out", lambda _: True)


def test_links_in_zip_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        info = zipfile.ZipInfo("x.xml")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(InputError, match="link or device"):
        list(read_files(tmp_path / "a.zip", ".xml"))


@pytest.mark.parametrize("name", ["a.tgz", "a.zip"])
@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(file=1 << 20, total=1 << 30, files=9), "bytes; .* are allowed in one file"),
        (Limits(file=1 << 30, total=1 << 20, files=9), "more than 9 files or .* bytes"),
        (Limits(file=1 << 30, total=1 << 30, files=1), "more than 1 files"),
    ],
)
def test_bombs_are_refused(limits: Limits, reason: str, name: str, tmp_path: Path) -> None:
    path = made(tmp_path / name, {"small.xml": b"x", "bomb.xml": bytes(4 << 20)})
    assert path.stat().st_size < 40_000
    with pytest.raises(InputError, match=reason):
        list(read_files(path, ".xml", limits))
    with pytest.raises(InputError, match=reason):
        unpack(path, tmp_path / "out", lambda _: True, limits=limits)


def test_a_header_may_not_ask_for_everything(tmp_path: Path) -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 1 << 32
    with gzip.open(tmp_path / "a.tgz", "wb") as stream:
        stream.write(info.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 20))
    with pytest.raises(InputError, match="asks for 4,294,96"):
        list(read_files(tmp_path / "a.tgz", ".xml"))


def test_a_torn_header_is_no_end(tmp_path: Path) -> None:
    path = tar(tmp_path / "a.tar", {f"{number}.xml": b"<a/>" for number in range(9)})
    content = bytearray(path.read_bytes())
    content[4 * 1024 + 3] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="damaged header"):
        list(read_files(path, ".xml"))
    path.write_bytes(content[: 4 * 1024])
    with pytest.raises(InputError, match="its end is missing"):
        list(read_files(path, ".xml"))


@pytest.mark.parametrize("name", ["a.tgz", "a.tar", "a.zip"])
def test_mutated_archives_are_read_or_refused(name: str, tmp_path: Path) -> None:
    members = {f"{number}.xml": bytes([60, number]) * 99 for number in range(20)}
    original = made(tmp_path / name, members).read_bytes()
    rng = np.random.default_rng(0)
    path, out = tmp_path / "mutated" / name, tmp_path / "mutated" / "out"
    path.parent.mkdir()
    messages = []
    for _ in range(200):
        content = bytearray(original)
        for place in rng.integers(0, len(content), rng.integers(1, 5)):
            content[place] = rng.integers(256)
        path.write_bytes(content[: rng.integers(1, len(content))] if rng.random() < 0.2 else content)
        try:
            unpack(path, out, lambda _: True)
            for _, read in read_files(path, ".xml"):
                assert len(read) < 1 << 20
        except InputError as error:
            messages.append(str(error))
    assert len(messages) > 50
    assert all("\n" not in message for message in messages)
    assert {file.name for file in tmp_path.iterdir()} == {name, "mutated"}
    assert {file.name for file in (tmp_path / "mutated").iterdir()} <= {name, "out"}


def test_other_files_are_no_archives(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="neither a folder nor an archive"):
        list(read_files(tmp_path / "a.rar", ".xml"))
    with pytest.raises(InputError, match="no such file"):
        list(read_files(tmp_path / "a.zip", ".xml"))
    (tmp_path / "a.tgz").write_text("<html>moved</html>")
    with pytest.raises(InputError, match="damaged or incomplete archive"):
        list(read_files(tmp_path / "a.tgz", ".xml"))
