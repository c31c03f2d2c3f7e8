"""A small HTTP client: what a test sends is exactly what it says."""

import http.client
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

BOUNDARY = "boundary-of-the-test"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def events(self) -> list[tuple[str, Any]]:
        events = []
        for block in self.body.decode().split("\n\n")[:-1]:
            name, data = block.split("\n")
            events.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
        return events


def ask(
    address: str, path: str, *, method: str = "GET", body: bytes = b"", headers: dict[str, str] | None = None
) -> Answer:
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=300)
    try:
        connection.request(method, path, body or None, headers or {})
        answer = connection.getresponse()
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def multipart(
    files: Sequence[bytes], *, names: Sequence[str] = (), text: str | None = None, person: str | None = None
) -> bytes:
    parts = []
    for number, content in enumerate(files):
        name = names[number] if names else f"{number}.png"
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="views"; filename="{name}"\r\n\r\n'
        parts += [head.encode(), content, b"\r\n"]
    for name, value in (("text", text), ("person", person)):
        if value is not None:
            head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
            parts.append(f"{head}{value}\r\n".encode())
    return b"".join([*parts, f"--{BOUNDARY}--\r\n".encode()])


def post(
    address: str,
    files: Sequence[bytes],
    *,
    path: str = "/v1/reports",
    names: Sequence[str] = (),
    text: str | None = None,
    person: str | None = None,
    headers: dict[str, str] | None = None,
) -> Answer:
    kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    body = multipart(files, names=names, text=text, person=person)
    return ask(address, path, method="POST", body=body, headers={**kind, **(headers or {})})
