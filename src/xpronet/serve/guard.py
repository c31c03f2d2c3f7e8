"""What stands before every request: host, origin and token checks, limits on bodies, headers on answers, the log."""

import asyncio
import hmac
import logging
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from xpronet.serve.metrics import Metrics
from xpronet.serve.refusal import RefusedError
from xpronet.serve.settings import ServeSettings

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOG = logging.getLogger("xpronet.serve")

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})
WITHOUT_TOKEN = frozenset({"/", "/healthz", "/readyz"})
"""What anybody may ask for, besides the page's own files: nothing there tells of a study or of the model."""
STATIC = "/static/"
OTHER = "other"
"""What the log and the metrics call a path that is none of ours: it may hold anything."""
MAX_QUIET_BODY = 1 << 16
"""Bytes of a body that a request which reads none may have."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = tuple(
    (name.encode(), value.encode())
    for name, value in {
        "content-security-policy": POLICY,
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": "camera=(), microphone=(), geolocation=()",
        "cache-control": "no-store",
    }.items()
)


class BodyLimits:
    """How many bytes of uploads are held, over all requests."""

    def __init__(self, settings: ServeSettings) -> None:
        """Start with none."""
        self.settings = settings
        self.held = 0


class Guard:
    """ASGI middleware; the outermost."""

    def __init__(
        self, app: "ASGIApp", *, settings: ServeSettings, limits: BodyLimits, metrics: Metrics, routes: frozenset[str]
    ) -> None:
        """Wrap an application.

        Args:
            app: what is guarded.
            settings: token, host and limits.
            limits: shared count of the bytes held.
            metrics: where answers are counted.
            routes: the paths there are, for the log.
        """
        self._app = app
        self._settings = settings
        self._limits = limits
        self._metrics = metrics
        self._routes = routes
        self._token = settings.token.encode()

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Let a request through, or answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.monotonic()
        status = 500
        begun = False

        async def send_guarded(message: "Message") -> None:
            nonlocal status, begun
            if message["type"] == "http.response.start":
                begun = True
                status = message["status"]
                own = {name for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(pair for pair in HEADERS if pair[0] not in own)]
            await send(message)

        body = _Body(scope, receive, self._limits)
        try:
            refusal = self._refusal(scope)
            if refusal is not None:
                await _refuse(send_guarded, refusal)
            else:
                await self._app(scope, body.receive, send_guarded)
        except RefusedError as error:
            # The application turns those it meets into answers itself; this one came before or behind it.
            if not begun:
                await _refuse(send_guarded, error)
        finally:
            body.release()
            route = scope["path"] if scope["path"] in self._routes else OTHER
            self._metrics.answered(route, status)
            method = scope["method"] if scope["method"] in ("GET", "POST", "HEAD") else OTHER
            LOG.info("%s %s %d %.3f s", method, route, status, time.monotonic() - started)

    def _refusal(self, scope: "Scope") -> RefusedError | None:
        """Return why a request is not let through, None where it is."""
        headers = dict(scope["headers"])
        host = headers.get(b"host", b"").decode("latin-1")
        if self._settings.loopback and _host_name(host) not in LOOPBACK_NAMES:
            # A page elsewhere whose name was made to point at this machine (DNS rebinding).
            return RefusedError(421, "this server answers to 127.0.0.1 and localhost only")
        origin = headers.get(b"origin")
        if origin is not None and urlsplit(origin.decode("latin-1")).netloc != host:
            return RefusedError(403, "requests from other pages are not answered")
        if headers.get(b"content-encoding", b"identity") != b"identity":
            return RefusedError(415, "compressed bodies are not read; send the files as they are")
        if self._token and not self._open(scope["path"]) and not self._has_token(headers):
            return RefusedError(401, "this server needs its token: Authorization: Bearer TOKEN")
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > self._settings.max_upload_bytes:
            return RefusedError(413, f"at most {self._settings.max_upload_bytes:,} bytes a request are taken")
        if scope["method"] != "POST" and int(length) > MAX_QUIET_BODY:
            return RefusedError(413, "this request takes no body")
        return None

    def _open(self, path: str) -> bool:
        return path in WITHOUT_TOKEN or path.startswith(STATIC)

    def _has_token(self, headers: dict[bytes, bytes]) -> bool:
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        return scheme.lower() == b"bearer" and hmac.compare_digest(token.strip(), self._token)


class _Body:
    """A request's body, counted and timed while it comes."""

    def __init__(self, scope: "Scope", receive: "Receive", limits: BodyLimits) -> None:
        self._receive = receive
        self._limits = limits
        self._deadline = time.monotonic() + limits.settings.upload_seconds
        self._taken = 0
        self._whole = False

    async def receive(self) -> "Message":
        if self._whole:
            return await self._receive()  # what comes after the body is only the end of the connection
        settings = self._limits.settings
        try:
            async with asyncio.timeout(self._deadline - time.monotonic()):
                message = await self._receive()
        except TimeoutError:
            raise RefusedError(408, f"the upload took longer than {settings.upload_seconds:g} seconds") from None
        size = len(message.get("body", b""))
        self._taken += size
        self._limits.held += size
        self._whole = not message.get("more_body", False)
        if self._taken > settings.max_upload_bytes:
            raise RefusedError(413, f"at most {settings.max_upload_bytes:,} bytes a request are taken")
        if self._limits.held > settings.max_held_bytes:
            raise RefusedError(503, "too many uploads at a time; come again in a moment", retry_after=2)
        return message

    def release(self) -> None:
        self._limits.held -= self._taken
        self._taken = 0


def _host_name(host: str) -> str:
    """Return a Host header without its port, an IPv6 address without its brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


async def _refuse(send: "Send", refusal: RefusedError) -> None:
    from starlette.responses import JSONResponse

    response = JSONResponse({"detail": refusal.detail}, status_code=refusal.status, headers=refusal.headers)
    await response({"type": "http"}, _nothing, send)


async def _nothing() -> "Message":
    return {"type": "http.disconnect"}
