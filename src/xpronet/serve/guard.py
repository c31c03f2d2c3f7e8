"""What every request passes first: host, origin and token checks, limits on bodies, security headers, the log."""

import asyncio
import hmac
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from xpronet.serve.counters import Metrics
from xpronet.serve.refusal import RefusedError
from xpronet.serve.settings import ServeSettings

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOG = logging.getLogger("xpronet.serve")

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})
OPEN_PATHS = frozenset({"/", "/healthz", "/readyz"})
"""What needs no token, besides the page's own files: nothing there is about a study or the model."""
STATIC = "/static/"
OTHER = "other"
"""How the log and the metrics name unknown paths and methods: a client may put anything there."""
MAX_IDLE_BODY = 1 << 16
"""Largest body in bytes of a request that uses none."""

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


class Guard:
    """ASGI middleware; the outermost."""

    def __init__(
        self,
        app: "ASGIApp",
        *,
        settings: ServeSettings,
        metrics: Metrics,
        routes: frozenset[str],
        overloaded: Callable[[], bool],
    ) -> None:
        """Wrap an application.

        Args:
            app: what is guarded.
            settings: token, host and limits.
            metrics: where requests are counted.
            routes: known paths, for the log.
            overloaded: returns whether there are too many connections.
        """
        self._app = app
        self._settings = settings
        self._metrics = metrics
        self._routes = routes
        self._overloaded = overloaded
        self._uploads = _UploadMemory(settings)
        self._token = settings.token.encode()

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.monotonic()
        status = 500
        response_started = False

        async def send_guarded(message: "Message") -> None:
            nonlocal status, response_started
            if message["type"] == "http.response.start":
                response_started = True
                status = message["status"]
                own = {name for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(pair for pair in HEADERS if pair[0] not in own)]
            await send(message)

        body = _Body(receive, self._uploads)
        try:
            refusal = self._refusal(scope)
            if refusal is not None:
                await _refuse(send_guarded, refusal)
            else:
                # HEAD is answered as GET everywhere (RFC 9110, section 9.3.2); the server below leaves the body out.
                method = "GET" if scope["method"] == "HEAD" else scope["method"]
                await self._app({**scope, "method": method}, body.receive, send_guarded)
        except RefusedError as error:
            # The application answers those raised in its routes; this one was raised while it read the body.
            if not response_started:
                await _refuse(send_guarded, error)
        finally:
            body.release()
            route = scope["path"] if scope["path"] in self._routes else OTHER
            self._metrics.requests.labels(route=route, status=status).inc()
            method = scope["method"] if scope["method"] in ("GET", "POST", "HEAD") else OTHER
            LOG.info("%s %s %d %.3f s", method, route, status, time.monotonic() - started)

    def _refusal(self, scope: "Scope") -> RefusedError | None:
        """Return why a request is refused, None where it is not."""
        if self._overloaded():
            return RefusedError(503, "too many connections; try again in a moment", retry_after=1)
        headers = dict(scope["headers"])
        host = headers.get(b"host", b"").decode("latin-1")
        if self._settings.loopback and _host_name(host) not in LOOPBACK_NAMES:
            # DNS rebinding: another site's page whose host name was made to resolve to this machine.
            return RefusedError(421, "this server answers to 127.0.0.1 and localhost only")
        origin = headers.get(b"origin")
        if origin is not None and urlsplit(origin.decode("latin-1")).netloc != host:
            return RefusedError(403, "requests from pages of other origins are refused")
        if headers.get(b"content-encoding", b"identity") != b"identity":
            return RefusedError(415, "compressed bodies are not accepted; send the files as they are")
        if self._token and not _is_open(scope["path"]) and not self._has_token(headers):
            return RefusedError(401, "this server needs its token: Authorization: Bearer TOKEN")
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > self._settings.max_upload_bytes:
            return RefusedError(413, f"a request may have at most {self._settings.max_upload_bytes:,} bytes")
        if scope["method"] != "POST" and int(length) > MAX_IDLE_BODY:
            return RefusedError(413, "this request takes no body")
        return None

    def _has_token(self, headers: dict[bytes, bytes]) -> bool:
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        return scheme.lower() == b"bearer" and hmac.compare_digest(token.strip(), self._token)


class _UploadMemory:
    """The bytes of uploads in memory, over all requests."""

    def __init__(self, settings: ServeSettings) -> None:
        self.settings = settings
        self.held = 0


class _Body:
    """A request's body, counted and timed as it arrives."""

    def __init__(self, receive: "Receive", uploads: _UploadMemory) -> None:
        self._receive = receive
        self._uploads = uploads
        self._deadline = time.monotonic() + uploads.settings.upload_seconds
        self._received = 0
        self._complete = False

    async def receive(self) -> "Message":
        if self._complete:
            return await self._receive()  # after the body there is only the end of the connection
        settings = self._uploads.settings
        try:
            async with asyncio.timeout(self._deadline - time.monotonic()):
                message = await self._receive()
        except TimeoutError:
            raise RefusedError(408, f"the upload took longer than {settings.upload_seconds:g} seconds") from None
        size = len(message.get("body", b""))
        self._received += size
        self._uploads.held += size
        self._complete = not message.get("more_body", False)
        if self._received > settings.max_upload_bytes:
            raise RefusedError(413, f"a request may have at most {settings.max_upload_bytes:,} bytes")
        if self._uploads.held > settings.max_held_bytes:
            raise RefusedError(503, "too many uploads at once; try again in a moment", retry_after=2)
        return message

    def release(self) -> None:
        self._uploads.held -= self._received
        self._received = 0


def _is_open(path: str) -> bool:
    return path in OPEN_PATHS or path.startswith(STATIC)


def _host_name(host: str) -> str:
    """Return a Host header without its port, an IPv6 address without its brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


async def _refuse(send: "Send", refusal: RefusedError) -> None:
    from starlette.responses import Response

    response = Response(refusal.body, refusal.status, refusal.headers, media_type="application/json")
    await response({"type": "http"}, _no_message, send)


async def _no_message() -> "Message":
    return {"type": "http.disconnect"}
