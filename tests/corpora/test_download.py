"""Fetching over HTTP from a server of our own: whole, broken off, changed, refused."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xpronet.corpora import download as fetching
from xpronet.corpora.download import RemoteFile, download, download_open_i
from xpronet.errors import InputError

CONTENT = np.random.default_rng(0).bytes(3_000_000)


class Server(ThreadingHTTPServer):
    """Serves one content, with ranges, and misbehaves as told."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = CONTENT
        self.tag = '"first"'
        self.ranges = True
        self.break_after: list[int] = []
        self.status: list[int] = []
        self.asked: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.asked.append(asked)
        if self.server.status:
            self.send_error(self.server.status.pop(0))
            return
        content, start = self.server.content, 0
        if asked and self.server.ranges and self.headers.get("If-Range") == self.server.tag:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        self.send_header("ETag", self.server.tag)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        until = start + self.server.break_after.pop(0) if self.server.break_after else len(content)
        self.wfile.write(content[start:until])

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


def fetched(server: Server, folder: Path, **values: Any) -> Path:
    return download(server.url + "a.tgz", folder / "a.tgz", wait=lambda _: None, **values)


def test_a_file_is_fetched_once(server: Server, tmp_path: Path) -> None:
    blocks: list[int] = []

    def track(items: Any, description: str, total: int) -> Any:
        for item in items:
            blocks.append(total)
            yield item

    path = fetched(server, tmp_path / "new", sha256=hashlib.sha256(CONTENT).hexdigest(), track=track)
    assert path.read_bytes() == CONTENT
    assert blocks == [3, 3, 3]
    fetched(server, tmp_path / "new")
    assert server.asked == [None]
    assert sorted(p.name for p in path.parent.iterdir()) == ["a.tgz", "a.tgz.sha256"]
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(InputError, match=r"SHA-256 is .*; delete it and download it again"):
        fetched(server, tmp_path / "new")


def test_broken_off_it_goes_on(server: Server, tmp_path: Path) -> None:
    server.break_after = [1_000_000, 500_000]
    assert fetched(server, tmp_path).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=1000000-", "bytes=1500000-"]


def test_a_later_call_goes_on(server: Server, tmp_path: Path) -> None:
    server.break_after = [400_000, 100_000, 100_000, 100_000, 100_000]
    with pytest.raises(InputError, match=r"5 tries failed .*continue at byte 800,000"):
        fetched(server, tmp_path)
    assert fetched(server, tmp_path).read_bytes() == CONTENT
    assert server.asked[-1] == "bytes=800000-"


def test_stopped_after_the_last_byte(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.tgz.part").write_bytes(CONTENT)
    (tmp_path / "a.tgz.part.version").write_text(server.tag)
    assert fetched(server, tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("ranges", [True, False])
def test_a_changed_file_starts_afresh(ranges: bool, server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.tgz.part").write_bytes(b"x" * 1000)
    (tmp_path / "a.tgz.part.version").write_text('"older"' if ranges else server.tag)
    server.ranges = ranges
    assert fetched(server, tmp_path).read_bytes() == CONTENT
    assert server.asked == ["bytes=1000-"]


def test_refusals_are_told(server: Server, tmp_path: Path) -> None:
    server.status = [404]
    with pytest.raises(InputError, match="the server answers 404"):
        fetched(server, tmp_path)
    server.status = [503, 500]
    assert fetched(server, tmp_path).is_file()
    with pytest.raises(InputError, match="SHA-256"):
        fetched(server, tmp_path / "other", sha256="0" * 64)
    assert not (tmp_path / "other" / "a.tgz").exists()
    with pytest.raises(InputError, match="only http and https"):
        download("file:///etc/passwd", tmp_path / "b")


def test_both_archives(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "REPORTS", RemoteFile(name="r.tgz", sha256=hashlib.sha256(CONTENT).hexdigest()))
    reports, images = download_open_i(tmp_path, base=server.url)
    assert images is not None
    assert (reports.name, images.name) == ("r.tgz", "NLMCXR_png.tgz")
    assert download_open_i(tmp_path / "texts", base=server.url, images=False)[1] is None


def test_the_known_sum_is_that_of_the_real_archive(shared: Path) -> None:
    content = (shared / "data" / "iu_xray" / fetching.REPORTS.name).read_bytes()
    assert hashlib.sha256(content).hexdigest() == fetching.REPORTS.sha256
