"""Listen until told to stop: uvicorn, with deadlines for clients that dawdle."""

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from xpronet.serve.app import make_app
from xpronet.serve.batcher import Batcher, WritesReports
from xpronet.serve.metrics import Metrics
from xpronet.serve.service import ServedModel, Service
from xpronet.serve.settings import ServeSettings
from xpronet.serve.worker import Worker, WorkerSettings

SPARE_SECONDS = 60.0
"""Beyond upload and answer, in which a client must have taken its answer."""
MAX_CONNECTIONS = 512
CLOSING_SECONDS = 10


def serve(run: Path, model: ServedModel, settings: ServeSettings, *, ready: Callable[[str], None]) -> None:
    """Serve a model until SIGINT or SIGTERM.

    Args:
        run: run or checkpoint folder.
        model: what is known of it.
        settings: where to listen, and limits.
        ready: called with the page's address once the server listens; the model may still be loading.

    Raises:
        OSError: the address cannot be listened on.
    """
    threads = max(1, torch.get_num_threads() // settings.workers)  # OMP_NUM_THREADS, or all cores
    workers = [
        Worker(
            WorkerSettings(
                run=run,
                model=model.fingerprint,
                labels_from=settings.labels_from,
                search=model.search,
                threads=threads,
                number=number,
            )
        )
        for number in range(settings.workers)
    ]
    Listener(model, workers, settings, ready=ready).run()


class Listener(uvicorn.Server):
    """A socket, and the application that answers on it."""

    def __init__(
        self,
        model: ServedModel,
        workers: Sequence[WritesReports],
        settings: ServeSettings,
        *,
        ready: Callable[[str], None],
    ) -> None:
        """Take the address; `run` starts the workers and answers.

        Args:
            model: what is served.
            workers: write the reports.
            settings: where to listen, and limits.
            ready: called with the page's address once the server listens.

        Raises:
            OSError: the address cannot be listened on.
        """
        self._listening = _listen(settings.host, settings.port)
        self._ready = ready
        metrics = Metrics()
        service = Service(model, Batcher(workers, settings, metrics), settings, metrics)
        config = uvicorn.Config(
            make_app(service),
            http=_protocol(settings.header_seconds, settings.upload_seconds + settings.answer_seconds + SPARE_SECONDS),
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,  # the guard writes its own, without paths and addresses
            server_header=False,
            proxy_headers=False,
            limit_concurrency=MAX_CONNECTIONS,
            timeout_graceful_shutdown=CLOSING_SECONDS,
        )
        super().__init__(config)

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer until told to stop by a signal or by `should_exit`."""
        with self._listening:
            super().run([self._listening])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say where."""
        logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
        await super().startup(sockets)
        if self.started:
            host, port = self._listening.getsockname()[:2]
            self._ready(f"http://{f'[{host}]' if ':' in host else host}:{port}/")


def _listen(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listening = socket.socket(family, kind, protocol)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address)
    except OSError:
        listening.close()
        raise
    return listening


def _protocol(header_seconds: float, request_seconds: float) -> type[asyncio.Protocol]:
    """Return uvicorn's protocol with deadlines of its own: it waits for ever for headers, and for a reader."""

    class WithDeadlines(H11Protocol):
        _deadline: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._within(header_seconds)

        def handle_events(self) -> None:
            before = self.cycle
            super().handle_events()
            if self.cycle is not before:
                self._within(request_seconds)

        def on_response_complete(self) -> None:
            self._within(header_seconds)
            super().on_response_complete()

        def connection_lost(self, exc: Exception | None) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
            super().connection_lost(exc)

        def _within(self, seconds: float) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
            self._deadline = self.loop.call_later(seconds, self._late)

        def _late(self) -> None:
            if not self.transport.is_closing():
                if self.cycle is None or self.cycle.response_complete:
                    self.transport.write(
                        b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
                    )
                    self.transport.close()
                else:
                    self.transport.abort()

    return WithDeadlines
