"""Hostile uploads to `xpronet serve` as started by a user; `make abuse` sends 500 of them."""

import io
import os
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pydicom
import pytest
from loopback import BOUNDARY, Answer, ask, multipart, post
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset

UPLOADS = int(os.environ.get("XPRONET_ABUSE", "36"))
MEGABYTE = 1 << 20
SPARE = 100
"""Megabytes that the server may have grown by in the end."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def served(tiny_run: Path) -> Iterator[tuple[str, int]]:
    """Address and process id of a server."""
    command = [
        sys.executable,
        "-m",
        "xpronet",
        "serve",
        str(tiny_run),
        "--port",
        "0",
        "--upload-seconds",
        "4",
        "--anyway",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        address = server.stdout.readline().split()[2]
        while ask(address, "/readyz").status != 200:
            time.sleep(0.5)
        yield address, server.pid
        server.send_signal(signal.SIGINT)
        assert server.wait(60) == 0, "Ctrl-C ends it in order"


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_of(width: int, height: int, *extra: bytes, pixels: bytes | None = None) -> bytes:
    """A grey PNG by its header; black unless pixels are given."""
    packed = zlib.compress(pixels if pixels is not None else bytes((width + 1) * height), 9)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(extra) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def dicom_of(rows: int, columns: int, pixels: bytes) -> bytes:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = rows, columns, 1
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    dataset.PixelData = pixels
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def noise_png() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 150)).astype(np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def hostile_files() -> dict[str, bytes]:
    whole = noise_png()
    film = dicom_of(64, 64, bytes(range(64)) * 64)
    bomb = zlib.compress(bytes(64 * MEGABYTE), 9)
    return {
        "text": b"no image at all",
        "empty": b"",
        "script": b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        "gif": b"GIF89a" + bytes(100),
        "zip": b"PK\x03\x04" + bytes(1000),
        "png of 100 megapixels": png_of(10_000, 10_000),
        "png of 4 gigapixels by its header": png_of(65_000, 65_000, pixels=b""),
        "png, slim": png_of(20_000, 4),
        "png with a text bomb": png_of(64, 64, chunk(b"zTXt", b"a\0\0" + bomb), pixels=b"\0"),
        "png with a profile bomb": png_of(64, 64, chunk(b"iCCP", b"a\0\0" + bomb), pixels=b""),
        "png cut off": whole[: len(whole) // 2],
        "png with a wrong byte": whole[:60] + bytes([whole[60] ^ 255]) + whole[61:],
        "jpeg cut off": b"\xff\xd8\xff\xe0" + bytes(40),
        "dicom cut off": film[:-1000],
        "dicom of its mark": bytes(128) + b"DICM",
        "dicom of 3 gigapixels": dicom_of(60_000, 60_000, bytes(100)),
        "dicom with markup": film.replace(b"MONOCHROME2 ", b"<b>X</b>    "),
        "dicom of noise": bytes(128) + b"DICM" + random.Random(1).randbytes(5000),
    }


def raw(address: str, content: bytes, *, then: Callable[[socket.socket], None] | None = None) -> int:
    """Send bytes as they are and return the status of the answer."""
    url = urlsplit(address)
    with socket.create_connection((str(url.hostname), int(url.port or 0)), timeout=60) as connection:
        try:
            connection.sendall(content)
            if then is not None:
                then(connection)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused already; the answer can still be read
        answer = connection.recv(4096)
    found = re.match(rb"HTTP/1\.1 (\d{3}) ", answer)
    assert found is not None, answer[:100]
    return int(found[1])


def head(length: str, *more: str) -> bytes:
    lines = ["POST /v1/reports HTTP/1.1", "Host: localhost", f"Content-Type: multipart/form-data; boundary={BOUNDARY}"]
    return "\r\n".join([*lines, length, *more, "", ""]).encode()


def endless(connection: socket.socket) -> None:
    """Send a gigabyte in chunks, or as much as is taken."""
    piece = b"100000\r\n" + bytes(MEGABYTE) + b"\r\n"
    for _ in range(1024):
        connection.sendall(piece)


def drip(connection: socket.socket) -> None:
    for _ in range(6):
        connection.sendall(b"x")
        time.sleep(1)


def attacks(address: str) -> list[Callable[[], int]]:
    """Every kind of attack once; each returns the status it was answered with."""
    files = hostile_files()

    def sends(*content: bytes, **more: object) -> Callable[[], int]:
        return lambda: post(address, content, **more).status  # type: ignore[arg-type]

    uploads = [sends(content) for content in files.values()]
    names = ["../../../etc/passwd", "C:\\Windows\\win.ini", 'a\\"b', "x" * 5000, "%00", "/dev/zero"]
    uploads += [sends(b"x", names=[name]) for name in names]
    return [
        *uploads,
        sends(*[noise_png()] * 9),
        sends(b"x", path="/v1/reports/stream"),
        sends(b"x", headers={"Content-Encoding": "gzip"}),
        sends(b"x", headers={"Origin": "http://evil.example"}),
        lambda: ask(address, "/v1/reports", method="POST", body=multipart([b"x"])).status,
        lambda: ask(address, "/static/../../../../etc/passwd").status,
        lambda: ask(address, "/static/%2e%2e/%2e%2e/pyproject.toml").status,
        lambda: raw(address, head(f"Content-Length: {1 << 30}") + bytes(1000)),
        lambda: raw(address, head("Transfer-Encoding: chunked"), then=endless),
        lambda: raw(address, head("Content-Length: 1000"), then=drip),
        lambda: raw(address, b"POST /v1/reports HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 200_000),
        lambda: raw(address, b"\x16\x03\x01" + bytes(200) + b"\r\n\r\n"),
    ]


def resident(pid: int) -> float:
    """Megabytes of a process and its children."""
    total = 0.0
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for each in [str(pid), *children]:
        status = Path(f"/proc/{each}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        total += int(found[1]) / 1024 if found else 0
    return total


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")
def test_hostile_uploads_are_refused_and_leave_no_trace(served: tuple[str, int]):
    address, pid = served
    kinds = attacks(address)
    good = noise_png()
    assert post(address, [good, good]).status == 200
    before = resident(pid)
    chosen = [kinds[number % len(kinds)] for number in range(UPLOADS)]
    with ThreadPoolExecutor(6) as threads:
        statuses = list(threads.map(lambda attack: attack(), chosen))
    wrong = [(number % len(kinds), status) for number, status in enumerate(statuses) if not 400 <= status < 500]
    assert wrong == []
    answer = post(address, [good])
    assert answer.status == 200
    assert answer.json()["report"]
    after = resident(pid)
    counts = ", ".join(f"{status} {count} times" for status, count in sorted(Counter(statuses).items()))
    print(f"{UPLOADS} hostile uploads: {counts}; {before:.0f} MB before, {after:.0f} MB after")
    assert after - before < SPARE


def test_markup_in_a_header_comes_back_as_json_only(served: tuple[str, int]):
    answer: Answer = post(served[0], [hostile_files()["dicom with markup"]])
    assert answer.status == 422
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_silent_client_is_disconnected(served: tuple[str, int]):
    url = urlsplit(served[0])
    with socket.create_connection((str(url.hostname), int(url.port or 0)), timeout=60) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: ")
        assert connection.recv(100).startswith(b"HTTP/1.1 408 ")
