"""A stand-in for the Hugging Face hub: the part of its HTTP interface that publishing and loading use."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "1" * 40
LARGE = ".safetensors"
"""What goes into the hub's large file storage, here as there."""


class HubStub(ThreadingHTTPServer):
    """Repositories in memory, by name and file."""

    daemon_threads = True

    def __init__(self, token: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.token = token
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.private: dict[str, bool] = {}
        self.stored: dict[str, bytes] = {}
        """The large file storage, by SHA-256."""

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def hub_stub(token: str) -> Iterator[HubStub]:
    """Serve an empty hub whose one user has this token."""
    hub = HubStub(token)
    thread = threading.Thread(target=hub.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: HubStub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        body = self._body()
        if self.headers.get("Authorization") != f"Bearer {self.server.token}":
            self._json(401, {"error": "Invalid username or password."})
        elif self.path == "/api/repos/create":
            wanted = json.loads(body)
            name = f"{wanted['organization']}/{wanted['name']}"
            self.server.repositories.setdefault(name, {})
            self.server.private[name] = bool(wanted.get("private") or wanted.get("visibility") == "private")
            self._json(200, {"url": f"{self.server.address}/{name}"})
        elif self.path == "/api/validate-yaml":
            card = json.loads(body)["content"]
            errors = [] if card.startswith("---\n") else [{"message": "no front matter"}]
            self._json(400 if errors else 200, {"errors": errors, "warnings": []})
        elif "/preupload/" in self.path:
            files = [
                {
                    "path": each["path"],
                    "uploadMode": "lfs" if each["path"].endswith(LARGE) else "regular",
                    "shouldIgnore": False,
                }
                for each in json.loads(body)["files"]
            ]
            self._json(200, {"files": files})
        elif self.path.endswith("/info/lfs/objects/batch"):
            objects = [
                {**each, "actions": {"upload": {"href": f"{self.server.address}/storage/{each['oid']}"}}}
                for each in json.loads(body)["objects"]
            ]
            self._json(200, {"transfer": "basic", "objects": objects})
        elif "/commit/" in self.path:
            self._commit(body)
        else:
            self._json(404, {"error": self.path})

    def do_PUT(self) -> None:
        body = self._body()
        digest = self.path.rpartition("/")[2]
        assert hashlib.sha256(body).hexdigest() == digest
        self.server.stored[digest] = body
        self._json(200, {})

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        parts = self.path.partition("?")[0].strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            files = self.server.repositories.get("/".join(parts[2:4]))
            if files is None:
                self._json(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
            elif len(parts) > 4 and parts[4] == "tree":
                tree = [{"type": "file", "path": name, "size": len(files[name]), "oid": "0" * 40} for name in files]
                self._json(200, tree)
            else:
                name = "/".join(parts[2:4])
                siblings = [{"rfilename": file} for file in files]
                self._json(200, {"id": name, "modelId": name, "sha": COMMIT, "private": False, "siblings": siblings})
            return
        content = self.server.repositories.get("/".join(parts[:2]), {}).get("/".join(parts[4:]))
        if content is None:
            self._json(404, {"error": "Entry not found"}, {"X-Error-Code": "EntryNotFound"})
            return
        digest = hashlib.sha256(content).hexdigest()
        self._send(200, content, {"ETag": f'"{digest}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "none"})

    def _commit(self, body: bytes) -> None:
        parts = self.path.strip("/").split("/")
        files = self.server.repositories["/".join(parts[2:4])]
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.server.stored[value["oid"]]
        page = f"{self.server.address}/{'/'.join(parts[2:4])}/commit/{COMMIT}"
        self._json(200, {"success": True, "commitOid": COMMIT, "commitUrl": page, "hookOutput": ""})

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _json(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
        self._send(status, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})

    def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
